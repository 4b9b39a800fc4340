"""Joint cutout (Xie et al., ICCV 2021): hide the neighbourhood of some joints, so that context must explain them."""

from dataclasses import dataclass

import torch
from torch import Tensor

REFERENCE_SIDE = 192  # sizes below are given for the papers' 256x192 crop and scale with its shorter side


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


@dataclass(frozen=True)
class Boxes:
    """(B, n, 2) centres and half sizes in view pixels."""

    centres: Tensor
    half_sizes: Tensor


def draw_cutout(policy: CutoutPolicy, keypoints: Tensor, size: tuple[int, int], generator: torch.Generator) -> Boxes:
    """Boxes on `policy.joints` joints of each image, drawn without replacement.

    Args:
        keypoints: (B, K, 2) joints in view pixels (predicted by a teacher; labels are never used).
        size: (width, height) of the view.
    """
    batch, joints = keypoints.shape[:2]
    count = min(policy.joints, joints)
    unit = min(size) / REFERENCE_SIDE
    low, high = policy.half_size
    order = torch.rand(batch, joints, generator=generator).topk(count, dim=1).indices
    noise = torch.randn(batch, count, 2, generator=generator)
    half = low + (high - low) * torch.rand(batch, count, 2, generator=generator)
    order, noise, half = (drawn.to(keypoints.device, non_blocking=True) for drawn in (order, noise, half))
    centres = keypoints.gather(1, order.unsqueeze(-1).expand(-1, -1, 2)) + noise * policy.jitter * unit
    return Boxes(centres, half * unit)


def box_mask(boxes: Boxes, size: tuple[int, int]) -> Tensor:
    """(B, H, W) bool, true where any box of the image covers the centre of a pixel."""
    device, dtype = boxes.centres.device, boxes.centres.dtype
    axes = [torch.arange(n, device=device, dtype=dtype) for n in size]
    hit_x, hit_y = (
        ((axis - boxes.centres[..., i, None]).abs() <= boxes.half_sizes[..., i, None]).to(dtype)
        for i, axis in enumerate(axes)
    )
    return torch.einsum("bny,bnx->byx", hit_y, hit_x) > 0


def fill_boxes(images: Tensor, boxes: Boxes, fill: Tensor) -> Tensor:
    """Images (B, 3, H, W) with every box painted in the colour `fill` (3,)."""
    mask = box_mask(boxes, (images.shape[-1], images.shape[-2]))
    return torch.where(mask.unsqueeze(1), fill.view(1, 3, 1, 1).to(images), images)
