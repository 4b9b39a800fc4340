"""Boxes at random places, whatever is there: cutout (DeVries and Taylor, 2017) and CutMix (Yun et al., ICCV 2019).

CutMix is an occluder here: the joints of the image from which the rectangle comes are not added to the target, as in
MultiAugs (Zhou et al., 2024).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from semipose.views.hiding_boxes import Boxes, box_mask, draw_half_sizes


@dataclass(frozen=True)
class BoxPolicy:
    """Boxes of cutout.

    Attributes:
        count: boxes in each image; 0 switches cutout off.
        half_size: (smallest, largest) half side of a box, in pixels of a 256x192 crop.
    """

    count: int = 5
    half_size: tuple[float, float] = (10.0, 20.0)


@dataclass(frozen=True)
class CutMixPolicy:
    """Rectangles of CutMix, in the proportions of the view.

    Attributes:
        area: (smallest, largest) share of the view that one rectangle covers, before it is cut off at the border.
        count: rectangles in each image, all from the same donor; 0 switches CutMix off.
    """

    area: tuple[float, float] = (0.1, 0.3)
    count: int = 1


def draw_boxes(
    policy: BoxPolicy, batch: int, size: tuple[int, int], device: torch.device, generator: torch.Generator
) -> Boxes:
    """Boxes centred anywhere in views of (width, height) `size`, so that corners are hidden too."""
    centres = _draw_centres((batch, policy.count), size, generator)
    half = draw_half_sizes(policy.half_size, (batch, policy.count), size, generator)
    return Boxes(*(drawn.to(device, non_blocking=True) for drawn in (centres, half)))


def draw_cutmix(
    policy: CutMixPolicy, batch: int, size: tuple[int, int], device: torch.device, generator: torch.Generator
) -> Boxes:
    """Rectangles centred anywhere in views of (width, height) `size`."""
    centres = _draw_centres((batch, policy.count), size, generator)
    low, high = policy.area
    area = low + (high - low) * torch.rand((batch, policy.count, 1), generator=generator)
    half = area.sqrt() / 2 * torch.tensor(size)
    return Boxes(*(drawn.to(device, non_blocking=True) for drawn in (centres, half)))


def paste_boxes(images: Tensor, boxes: Boxes, donors: Tensor) -> Tensor:
    """Images (B, 3, H, W); inside the boxes they show the same place of the images `donors` (B,)."""
    mask = box_mask(boxes, (images.shape[-1], images.shape[-2]))
    return torch.where(mask.unsqueeze(1), images.index_select(0, donors), images)


def _draw_centres(shape: tuple[int, int], size: tuple[int, int], generator: torch.Generator) -> Tensor:
    # from the outer edge of the first pixel to that of the last
    return torch.rand((*shape, 2), generator=generator) * torch.tensor(size) - 0.5
