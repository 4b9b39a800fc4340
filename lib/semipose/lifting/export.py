"""Lifters as ONNX files for other programs."""

import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from semipose import __version__
from semipose.errors import ModelError
from semipose.lifting.codec import CENTRED_SCALE, LiftCodec
from semipose.lifting.motion import WindowPlan
from semipose.lifting.networks import Lifter
from semipose.predict.description import KEY
from semipose.predict.export import OPSET, needed_packages, silent, write_whole
from semipose.skeletons import Skeleton

INPUT, OUTPUTS = "windows", ("poses", "roots")
MOST = 1e-3  # metres between what a file and the checkpoint say


class ExportedLifter(nn.Module):
    """The mean of several lifters, with plain outputs.

    Args:
        networks: in eval mode.
        codec, plan: of all of them.
    """

    def __init__(self, networks: tuple[Lifter, ...], codec: LiftCodec, plan: WindowPlan):
        super().__init__()
        self.networks, self.codec, self.plan = nn.ModuleList(networks), codec, plan

    def forward(self, windows: Tensor) -> tuple[Tensor, ...]:
        """Encoded windows (B, T, K, 2) -> poses (B, K, 3) and, with trajectory networks, roots (B, 3)."""
        lifted = [network(windows) for network in self.networks]
        poses = torch.stack([one.poses for one in lifted]).mean(0)
        if lifted[0].roots is None:
            return (poses,)
        return poses, torch.stack([one.roots for one in lifted]).mean(0)

    def description(self, skeleton: Skeleton) -> str:
        """One line of JSON: what comes in and goes out."""
        codec, plan = self.codec, self.plan
        names = [skeleton.keypoints[joint] for joint in codec.root]
        flat = "x / z, y / z" if codec.by_camera else "(pixel - size / 2) / (width / 2)"
        return json.dumps({
            "task": "lift", "version": __version__, "names": skeleton.keypoints, "skeleton": skeleton.to_plain(),
            "root": names, "frames": plan.frames, "step": plan.step, "causal": plan.causal, "input": flat,
            "centred": CENTRED_SCALE if codec.centred else 0, "unit": "m",
        })  # fmt: skip


def export_onnx(lifter: ExportedLifter, skeleton: Skeleton, path: Path) -> float:
    """Write an ONNX file with a dynamic batch, and compare it with the lifter on random windows.

    Returns:
        The largest difference in metres.

    Raises:
        ModelError: packages are missing, or the file says something else; it is removed then. SemiposeError: it cannot
            be written.
    """
    with needed_packages():
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401  torch's exporter needs it and says so less clearly
    windows = torch.randn(2, lifter.plan.frames, lifter.codec.inputs, 2, generator=torch.Generator().manual_seed(0)) / 3
    names = OUTPUTS[: len(lifter(windows))]
    with silent():
        program = torch.onnx.export(
            lifter.eval(), (windows,), dynamo=True, opset_version=OPSET, input_names=[INPUT], output_names=list(names),
            dynamic_shapes=({0: torch.export.Dim("batch")},), verbose=False,
        )  # fmt: skip
    model = program.model_proto
    onnx.helper.set_model_props(model, {KEY: lifter.description(skeleton)})
    write_whole(path, model.SerializeToString())
    with torch.no_grad():
        expected = lifter(windows[:1])
    found = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]).run(
        None, {INPUT: windows[:1].numpy()}
    )
    far = max(float(np.abs(one.numpy() - other).max()) for one, other in zip(expected, found, strict=True))
    if not far < MOST:
        path.unlink()
        raise ModelError(f"{path}: its poses are {far:.3g} m from the checkpoint's; removed")
    return far
