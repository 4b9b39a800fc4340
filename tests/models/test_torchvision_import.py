import importlib
import os
import subprocess
import sys
from pathlib import Path

import torch

import semipose
from semipose.models.torchvision_import import import_torchvision

# A stand-in for torchvision, which fails at the same call as the real one does on a torch that it was not built for.
FAKE = """
import os
import torch
import torchvision.part

behaviour = os.environ["FAKE_TORCHVISION"]
if behaviour == "other fault":
    raise RuntimeError("operator torchvision::roi_align does not exist")
if behaviour == "healthy":
    library = torch.library.Library("torchvision", "FRAGMENT")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
if behaviour == "faulty":
    torch.library.register_fake("torchvision::nms")(lambda dets, scores, iou_threshold: scores)
"""

SCENARIOS = """
import os, sys
import torch
from semipose.models import torchvision_import
from semipose.models.torchvision_import import import_torchvision

assert "torchvision" not in sys.modules, "semipose.models must not import torchvision by itself"

os.environ["FAKE_TORCHVISION"] = "other fault"
try:
    import_torchvision()
except RuntimeError as fault:
    assert "roi_align" in str(fault)
else:
    raise AssertionError("another fault must not be hidden")
assert not hasattr(torch.ops.torchvision, "nms")

os.environ["FAKE_TORCHVISION"] = "healthy"
healthy = import_torchvision()
assert hasattr(torch.ops.torchvision, "nms")
assert torchvision_import._declared == []
healthy.library._destroy()
del sys.modules["torchvision"]
stale = sys.modules["torchvision.part"]

os.environ["FAKE_TORCHVISION"] = "faulty"
mended = import_torchvision()
assert sys.modules["torchvision.part"] is not stale
assert hasattr(torch.ops.torchvision, "nms") and hasattr(torch.ops.torchvision, "qnms")
assert import_torchvision() is mended
assert len(torchvision_import._declared) == 1
print("all scenarios passed")
"""


def test_cures_the_one_fault_and_only_that(tmp_path):
    package = tmp_path / "torchvision"
    package.mkdir()
    (package / "__init__.py").write_text(FAKE)
    (package / "part.py").touch()
    library = str(Path(semipose.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), library])}
    command = [sys.executable, "-c", SCENARIOS]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert result.stdout.strip() == "all scenarios passed", result.stderr


def test_models_and_transforms_work():
    torchvision = import_torchvision()
    assert torchvision is import_torchvision()
    assert torchvision is sys.modules["torchvision"]
    net = torchvision.models.resnet18(weights=None).eval()
    assert net(torch.zeros(1, 3, 32, 32)).shape == (1, 1000)
    functional = importlib.import_module("torchvision.transforms.v2.functional")
    assert functional.horizontal_flip(torch.tensor([[[1, 2]]])).tolist() == [[[2, 1]]]
