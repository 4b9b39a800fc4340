"""How many supervised joints of the training batch are about right: the `acc_pose` of a log line."""

import torch
from torch import Tensor

from semipose.structures import LabeledOutput

THRESHOLD = 0.5  # of a tenth of the view


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


@torch.no_grad()
def pose_accuracy(output: LabeledOutput) -> Tensor:
    """Mean over joints of the share of the batch whose prediction is at the label, a scalar in 0..1.

    Nearly as `accuracy` of SimpleBaseline and HRNet: distances in tenths of the width and height, below 0.5; but
    of decoded points, not of highest pixels, so that it is the same for all codecs. Joints without a label in the batch
    are left out. 0 if nothing is labelled.
    """
    points, _ = output.decode()
    across, down = ((points - output.points)[..., axis] / (output.size[axis] / 10) for axis in (0, 1))
    labeled = output.weights > 0
    hits = (across.square() + down.square() < THRESHOLD**2) & labeled
    counts = labeled.sum(0)
    return (hits.sum(0) / counts.clamp_min(1)).sum() / (counts > 0).sum().clamp_min(1)
