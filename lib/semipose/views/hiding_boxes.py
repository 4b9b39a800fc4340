"""Boxes that hide parts of images."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

REFERENCE_SIDE = 192  # sizes in policies are given for the papers' 256x192 crop and scale with its shorter side
NOWHERE = -1.0  # half size of a box that is switched off: no pixel is within it


@dataclass(frozen=True)
class Boxes:
    """(B, n, 2) centres and half sizes in view pixels; a box with negative half sizes covers no pixel."""

    centres: Tensor
    half_sizes: Tensor


def scale_of(size: tuple[int, int]) -> float:
    """Pixels of a (width, height) view for one pixel of a 256x192 crop."""
    return min(size) / REFERENCE_SIDE


def draw_half_sizes(
    limits: tuple[float, float], shape: tuple[int, int], size: tuple[int, int], generator: torch.Generator
) -> Tensor:
    """(B, n, 2) half sides in view pixels, on the CPU; `shape` is (B, n), `limits` are pixels of a 256x192 crop."""
    low, high = limits
    return (low + (high - low) * torch.rand((*shape, 2), generator=generator)) * scale_of(size)


def largest_half_size(limits: tuple[float, float], size: tuple[int, int]) -> int:
    """The largest half side that these limits allow, in whole view pixels."""
    return math.ceil(max(limits) * scale_of(size))


def keep_boxes(boxes: Boxes, active: Tensor) -> Boxes:
    """`boxes` without those for which `active` (B, n) or (B, 1) is false."""
    return Boxes(boxes.centres, torch.where(active.unsqueeze(-1), boxes.half_sizes, NOWHERE))


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
