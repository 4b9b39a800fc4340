"""The one way to import torchvision. It repairs a torchvision whose compiled operators do not fit a CPU-only torch."""

import importlib
import sys
from types import ModuleType

import torch

FAULT = "operator torchvision::nms does not exist"
SCHEMAS = tuple(f"{op}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor" for op in ("nms", "qnms"))

# A Library removes its declarations when it is freed, so it must live as long as the process.
_declared: list[torch.library.Library] = []


def import_torchvision() -> ModuleType:
    """Return torchvision; its first import takes seconds, so call this only where torchvision is used.

    A torchvision built for CUDA cannot load its compiled operators into a CPU torch, and its import then stops at the
    missing `nms`. In that case, and only then, `nms` and `qnms` are declared without an implementation: a healthy
    torchvision declares them itself and would fail at a second declaration. After this repair models, weights and
    transforms work; compiled operators (nms, roi_align, deform_conv2d) do not, and raise when called.

    Raises:
        ImportError, RuntimeError: torchvision is missing or broken in another way.
    """
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as fault:
        if FAULT not in str(fault):
            raise
    for name in [n for n in sys.modules if n == "torchvision" or n.startswith("torchvision.")]:
        del sys.modules[name]
    library = torch.library.Library("torchvision", "FRAGMENT")
    for schema in SCHEMAS:
        library.define(schema)
    _declared.append(library)
    return importlib.import_module("torchvision")
