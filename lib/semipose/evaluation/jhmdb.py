"""PCK of the JHMDB set, by box (PCK) and by torso (tPCK), with a table of body parts."""

import numpy as np

from semipose.evaluation.pck import box_norm, pair_norm, part_shares, pck
from semipose.skeletons import Skeleton

JHMDB_PARTS = {
    "Head": ("head",),
    "Sho": ("left_shoulder", "right_shoulder"),
    "Elb": ("left_elbow", "right_elbow"),
    "Wri": ("left_wrist", "right_wrist"),
    "Hip": ("left_hip", "right_hip"),
    "Knee": ("left_knee", "right_knee"),
    "Ank": ("left_ankle", "right_ankle"),
}
TORSO = ("left_shoulder", "right_hip")
JHMDB_METRICS = tuple(name for kind in ("PCK", "tPCK") for name in (*(f"{kind}_{p}" for p in JHMDB_PARTS), kind))


def jhmdb_pck(
    predictions, targets, visible, boxes, skeleton: Skeleton, threshold: float = 0.2
) -> dict[str, float]:  # fmt: skip
    """PCK by the longer side of the box, and tPCK by the torso (left shoulder to right hip), as MMPose reports them.

    Args:
        predictions: (N, K, 2) image pixels.
        targets: (N, K, 2) image pixels.
        visible: (N, K), above 0 where the target counts.
        boxes: (N, 4) x, y, width, height in pixels.
        skeleton: of the K keypoints, with JHMDB's names.
        threshold: fraction of the norm; a distance must be below it.

    Returns:
        The `JHMDB_METRICS`: "PCK_Head", ..., "PCK" (mean over all keypoints), "tPCK_Head", ..., "tPCK"; in 0..1, or -1
        where no person shows the keypoints.

    Raises:
        DataError: the arrays do not fit together.
        ConfigError: the skeleton lacks a keypoint of a part.
    """
    arrays, metrics = (predictions, targets, visible), {}
    box = box_norm(boxes)
    results = {"PCK": pck(*arrays, box, threshold)}
    torso = torso_norm(*arrays, skeleton)  # somebody who was not found has none, and counts as wrong
    results["tPCK"] = pck(*arrays, np.where(torso > 0, torso, box), threshold)
    for kind, result in results.items():
        shares = part_shares(result, skeleton, JHMDB_PARTS)
        metrics |= {f"{kind}_{part}": share for part, share in shares.items()} | {kind: result.mean}
    return metrics


def torso_norm(predictions, targets, visible, skeleton: Skeleton) -> np.ndarray:
    """(N,) labelled torso; the predicted one where the labelled one is shorter than 1 px or an end is not visible."""
    predictions, targets, visible = (np.asarray(a, np.float64) for a in (predictions, targets, visible))
    labelled = pair_norm(np.concatenate([targets, visible[..., None]], axis=-1), skeleton, TORSO)
    seen = np.ones((*predictions.shape[:2], 1))
    predicted = pair_norm(np.concatenate([predictions, seen], axis=-1), skeleton, TORSO)
    return np.where(labelled < 1, predicted, labelled)
