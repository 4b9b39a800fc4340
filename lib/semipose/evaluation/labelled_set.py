"""What metrics are computed from: a validation set with its labels, and the options."""

from dataclasses import dataclass, replace

import numpy as np

from semipose.errors import ConfigError
from semipose.evaluation.ground_truth import CocoGroundTruth
from semipose.evaluation.pck import box_norm, pair_norm, segment_norm
from semipose.skeletons import Skeleton
from semipose.structures import Persons

NORMS = ("box", "torso", "head", "head_size")


@dataclass(frozen=True)
class MetricOptions:
    """How metrics are computed.

    Attributes:
        nms, nms_threshold: of OKS AP, see `select_detections`.
        pck_threshold, pck_norm: of PCK; the norm is one that `person_norm` knows.
        pixels: above 0: EPE comes with PCK_px, the share within so many image pixels.
        nme_norm: of NME.
        jhmdb_threshold: of JHMDB PCK.
        auc_pixels, auc_steps: of AUC.
    """

    nms: str = "hard"
    nms_threshold: float = 0.9
    pck_threshold: float = 0.1
    pck_norm: str | tuple[str, str] = "box"
    pixels: float = 0.0
    nme_norm: str | tuple[str, str] = "box"
    jhmdb_threshold: float = 0.2
    auc_pixels: float = 30.0
    auc_steps: int = 20


@dataclass(frozen=True)
class LabelledSet:
    """What the metrics get from a validation set.

    Attributes:
        name: what error messages call it.
        ground_truth: for OKS AP; None = there is none.
        persons: N persons, row n labels prediction n; without keypoints where the boxes are a detector's.
        skeleton: of the keypoints of persons, ground truth and predictions.
        framed: whether the boxes of the annotation are whole frames. Boxes and areas are here those of the labelled
            keypoints then, see `sized_by_keypoints`.
    """

    name: str
    ground_truth: CocoGroundTruth | None
    persons: Persons
    skeleton: Skeleton
    framed: bool = False

    def take(self, rows) -> "LabelledSet":
        """With the persons in `rows`; the ground truth stays whole."""
        return replace(self, persons=self.persons.take(rows))


def person_norm(persons: Persons, skeleton: Skeleton, norm: str | tuple[str, str]) -> np.ndarray:
    """(N,) size of each person in image pixels; 0 where it is not known.

    Args:
        norm: "box" (longer side), "torso", "head" (segments that the skeleton names), "head_size" (as in PCKh), or the
            names of two keypoints.

    Raises:
        ConfigError: another norm, or one that the skeleton does not have.
    """
    if norm == "box":
        return box_norm(persons.boxes)
    if norm == "head_size":
        return persons.head_sizes.astype(np.float64)
    if norm in ("torso", "head"):
        return segment_norm(persons.keypoints, skeleton, norm)
    if isinstance(norm, str) or len(norm) != 2:
        raise ConfigError(f"unknown norm {norm!r}; known: {', '.join(NORMS)}, or the names of two keypoints")
    return pair_norm(persons.keypoints, skeleton, norm)
