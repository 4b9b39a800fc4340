"""The one way to import timm (PyTorch Image Models); its first import takes seconds."""

import importlib
from types import ModuleType

from semipose.models.torchvision_import import import_torchvision


def import_timm() -> ModuleType:
    """Return timm. It imports torchvision, so a torchvision that does not fit a CPU-only torch is repaired first."""
    import_torchvision()
    return importlib.import_module("timm")
