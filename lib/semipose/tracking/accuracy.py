"""How many supervised joints of the training batch are about right: the `acc_pose` of a log line."""

import torch
from torch import Tensor

from semipose.structures import LabeledOutput

THRESHOLD = 0.5  # of a tenth of the heatmap


class PoseAccuracy:
    """A number that is computed only when it is read, so that steps that are not logged cost nothing.

    It is the mean over all outputs, one for each student.
    """

    def __init__(self, outputs: tuple[LabeledOutput, ...]):
        self._outputs, self._value = outputs, None

    def __float__(self) -> float:
        if self._value is None:
            self._value = float(torch.stack([pose_accuracy(output) for output in self._outputs]).mean())
            self._outputs = ()
        return self._value


def pose_accuracy(output: LabeledOutput) -> Tensor:
    """Mean over joints of the share of the batch whose highest pixel is at the target's, a scalar in 0..1.

    As `accuracy` of SimpleBaseline and HRNet: distances in tenths of the heatmap's width and height, below 0.5. Joints
    without a label in the batch are left out. 0 if nothing is labelled.
    """
    width = output.heatmaps.shape[-1]
    size = torch.tensor([width / 10, output.heatmaps.shape[-2] / 10], device=output.heatmaps.device)
    found, wanted = (_peaks(maps, width) for maps in (output.heatmaps, output.target))
    labeled = output.weights > 0
    hits = (((found - wanted) / size).norm(dim=-1) < THRESHOLD) & labeled
    counts = labeled.sum(0)
    return (hits.sum(0) / counts.clamp_min(1)).sum() / (counts > 0).sum().clamp_min(1)


def _peaks(heatmaps: Tensor, width: int) -> Tensor:
    """(B, K, 2), x and y of the highest pixel."""
    flat = heatmaps.flatten(2).argmax(-1)
    return torch.stack([flat % width, flat // width], -1)
