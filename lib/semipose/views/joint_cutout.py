"""Joint cutout (Xie et al., ICCV 2021): hide the surroundings of some joints, so that a network must use the context.

How many joints are hidden is fixed (`draw_cutout`), drawn for each image (`draw_joint_mask`), or follows the confidence
of the teacher (`draw_adaptive_cutout`).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from semipose.views.hiding_boxes import Boxes, draw_half_sizes, keep_boxes, scale_of

ADAPTIVE_CONFIDENT = 0.45  # a joint is sure above this share of the largest peak in the batch
ADAPTIVE_FEWEST, ADAPTIVE_MOST = 2, 8  # joints hidden if none is sure, and if all are


@dataclass(frozen=True)
class CutoutPolicy:
    """Joints and boxes of joint cutout.

    Attributes:
        joints: number of distinct joints hidden in each image; 0 switches cutout off.
        half_size: (smallest, largest) half side of a box, in pixels of a 256x192 crop.
        jitter: standard deviation of a box centre around its joint, in pixels of a 256x192 crop.
    """

    joints: int = 5
    half_size: tuple[float, float] = (10.0, 20.0)
    jitter: float = 10.0


def draw_cutout(policy: CutoutPolicy, keypoints: Tensor, size: tuple[int, int], generator: torch.Generator) -> Boxes:
    """Boxes on `policy.joints` joints of each image, drawn without replacement.

    Args:
        keypoints: (B, K, 2) joints in view pixels (predicted by a teacher; labels are never used).
        size: (width, height) of the view.
    """
    return _draw_joint_boxes(policy, policy.joints, keypoints, size, generator)


def draw_joint_mask(
    policy: CutoutPolicy, joints: tuple[int, int], keypoints: Tensor, size: tuple[int, int], generator: torch.Generator
) -> Boxes:
    """Boxes like those of `draw_cutout` on `joints` = (fewest, most) joints; the number is drawn for each image."""
    fewest, most = joints
    counts = torch.randint(fewest, most + 1, (len(keypoints),), generator=generator)
    boxes = _draw_joint_boxes(policy, most, keypoints, size, generator)
    return _keep_first(boxes, counts.to(keypoints.device, non_blocking=True))


def draw_adaptive_cutout(
    policy: CutoutPolicy, keypoints: Tensor, scores: Tensor, size: tuple[int, int], generator: torch.Generator
) -> Boxes:
    """Boxes like those of `draw_cutout`, more of them where the teacher is sure; scores (B, K) are heatmap maxima."""
    boxes = _draw_joint_boxes(policy, ADAPTIVE_MOST, keypoints, size, generator)
    return _keep_first(boxes, adaptive_counts(scores))


def adaptive_counts(scores: Tensor) -> Tensor:
    """(B,) joints to hide: `max(2, int(l / K * 8))`, l = joints above 0.45 of the largest peak in the batch."""
    joints = scores.shape[1]
    peaks = scores / scores.amax().clamp_min(1e-6)
    confident = (peaks > ADAPTIVE_CONFIDENT).sum(1)
    return (confident * ADAPTIVE_MOST // joints).clamp(ADAPTIVE_FEWEST, joints)


def take_joints(keypoints: Tensor, order: Tensor) -> Tensor:
    """(B, n, 2) the joints `order` (B, n) of keypoints (B, K, 2)."""
    return keypoints.gather(1, order.unsqueeze(-1).expand(-1, -1, 2))


def _draw_joint_boxes(
    policy: CutoutPolicy, most: int, keypoints: Tensor, size: tuple[int, int], generator: torch.Generator
) -> Boxes:
    batch, joints = keypoints.shape[:2]
    count = min(most, joints)
    order = torch.rand((batch, joints), generator=generator).topk(count, dim=1).indices
    noise = torch.randn((batch, count, 2), generator=generator) * policy.jitter * scale_of(size)
    half = draw_half_sizes(policy.half_size, (batch, count), size, generator)
    order, noise, half = (drawn.to(keypoints.device, non_blocking=True) for drawn in (order, noise, half))
    return Boxes(take_joints(keypoints, order) + noise, half)


def _keep_first(boxes: Boxes, counts: Tensor) -> Boxes:
    number = torch.arange(boxes.centres.shape[1], device=counts.device)
    return keep_boxes(boxes, number < counts.unsqueeze(1))
