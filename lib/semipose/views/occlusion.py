"""What the operations of hard views need: predicted joints, and the strength of each operation."""

from dataclasses import dataclass, field

from torch import Tensor

from semipose.errors import ConfigError
from semipose.views.box_cutout import BoxPolicy, CutMixPolicy
from semipose.views.joint_cutout import CutoutPolicy
from semipose.views.joint_paste import PastePolicy
from semipose.views.photometric import ColorPolicy

EASY_MASKS = ("fixed", "adaptive")


@dataclass(frozen=True)
class PredictedJoints:
    """What a teacher predicts for a batch; labels are never used.

    Attributes:
        keypoints: (B, K, 2) in pixels of the hard view.
        scores: (B, K) heatmap maxima, 1 = a perfect Gaussian.
        weights: (B, K), above 0 where the pseudo-label is kept.
        easy: (B,) bool, images that are easy for the teacher; None while there is no split.
    """

    keypoints: Tensor
    scores: Tensor
    weights: Tensor
    easy: Tensor | None = None


@dataclass(frozen=True)
class OcclusionPolicies:
    """Strengths of the operations.

    Attributes:
        cutout: joint_cutout; its boxes are those of adaptive_cutout and joint_mask too.
        mask_joints: (fewest, most) joints that joint_mask hides.
        paste: joint_paste, cut_occlude.
        boxes: cutout.
        cutmix: cutmix.
        easy_mask: what by_difficulty does to easy images, "fixed" = joint_mask or "adaptive" = adaptive_cutout.
        colors: rand_augment.

    Raises:
        ConfigError: unknown `easy_mask`, or a range whose first number is larger than its second.
    """

    cutout: CutoutPolicy = field(default_factory=CutoutPolicy)
    mask_joints: tuple[int, int] = (4, 5)
    paste: PastePolicy = field(default_factory=PastePolicy)
    boxes: BoxPolicy = field(default_factory=BoxPolicy)
    cutmix: CutMixPolicy = field(default_factory=CutMixPolicy)
    easy_mask: str = "fixed"
    colors: ColorPolicy = field(default_factory=lambda: ColorPolicy(rand_augment=2))

    def __post_init__(self):
        if self.easy_mask not in EASY_MASKS:
            raise ConfigError(f"easy_mask: {self.easy_mask!r}; allowed: {', '.join(EASY_MASKS)}")
        for name, limits in (("mask_joints", self.mask_joints), ("cutmix area", self.cutmix.area)):
            if limits[0] > limits[1]:
                raise ConfigError(f"{name}: {list(limits)}; the first number must not be larger than the second")
