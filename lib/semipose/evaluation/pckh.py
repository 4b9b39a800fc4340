"""PCKh of the MPII set: PCK by head size, with a table of body parts."""

from dataclasses import dataclass

import numpy as np

from semipose.evaluation.pck import PCKResult, part_shares, pck
from semipose.skeletons import Skeleton, get_skeleton

PCKH_PARTS = {
    "Head": ("head_top",),
    "Shoulder": ("left_shoulder", "right_shoulder"),
    "Elbow": ("left_elbow", "right_elbow"),
    "Wrist": ("left_wrist", "right_wrist"),
    "Hip": ("left_hip", "right_hip"),
    "Knee": ("left_knee", "right_knee"),
    "Ankle": ("left_ankle", "right_ankle"),
}
NOT_COUNTED = ("pelvis", "thorax")
PCKH_METRICS = (*PCKH_PARTS, "PCKh", "PCKh@0.1")


@dataclass(frozen=True)
class PCKhResult:
    """Shares in 0..1, or -1 where no person shows the keypoints.

    Attributes:
        per_part: by the names of `PCKH_PARTS`, within half of the head size.
        mean: PCKh, over all keypoints but pelvis and thorax (neck included), each as often as it is labelled.
        fine: PCKh@0.1, the same within a tenth of the head size.
        left_out: persons without a head size, who count nowhere.
    """

    per_part: dict[str, float]
    mean: float
    fine: float
    left_out: int

    @property
    def metrics(self) -> dict[str, float]:
        """The `PCKH_METRICS`."""
        return self.per_part | {"PCKh": self.mean, "PCKh@0.1": self.fine}


def pckh(predictions, targets, visible, head_sizes, skeleton: Skeleton | None = None) -> PCKhResult:
    """Distance below .5 (.1) of the head size, strictly, as in MMPose.

    HRNet's script takes `<= .5`, and `<= .11` for its PCKh@0.1: that second number is not comparable.

    Args:
        predictions: (N, K, 2) image pixels.
        targets: (N, K, 2) image pixels, counted from the same corner as the predictions.
        visible: (N, K), above 0 where the target counts.
        head_sizes: (N,) pixels, 0.6 of the diagonal of the head box; not above 0 = not known.
        skeleton: of the K keypoints; None = MPII's 16. Any with limbs and a `head_top` will do.

    Raises:
        DataError: the arrays do not fit together.
        ConfigError: the skeleton lacks a keypoint of a part.
    """
    skeleton = skeleton or get_skeleton("mpii")
    arrays = predictions, targets, visible, head_sizes
    half, tenth = pck(*arrays, 0.5), pck(*arrays, 0.1)
    left_out = int((~(np.asarray(head_sizes) > 0)).sum())
    return PCKhResult(
        part_shares(half, skeleton, PCKH_PARTS), _weighted(half, skeleton), _weighted(tenth, skeleton), left_out
    )


def _weighted(result: PCKResult, skeleton: Skeleton) -> float:
    counts = np.where([name in NOT_COUNTED for name in skeleton.keypoints], 0, result.counts)
    return float((result.per_keypoint * counts).sum() / counts.sum()) if counts.any() else -1.0
