"""Batched affine maps (B, 2, 3) in pixels, and images warped by them.

Autocast and TF32 shorten the numbers of every matrix product (`@`, `F.affine_grid`), in bfloat16 by as much as a pixel.
So the products are written out here, and coordinates keep their precision.
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def identity(count: int, device: torch.device | None = None) -> Tensor:
    """(count, 2, 3) maps that move nothing."""
    return torch.eye(2, 3, device=device).repeat(count, 1, 1)


def scaling(factor: tuple[float, float], offset: tuple[float, float], device: torch.device | None = None) -> Tensor:
    """(1, 2, 3) map `x -> factor * x + offset`, each for x and y."""
    # Made on the CPU and sent without waiting: `torch.tensor(..., device=...)` waits for all work queued on the GPU.
    return torch.tensor([[[factor[0], 0.0, offset[0]], [0.0, factor[1], offset[1]]]]).to(device, non_blocking=True)


def similarity(degrees: Tensor, scale: Tensor, mirrored: Tensor, source: Tensor, target: Tensor) -> Tensor:
    """Maps that mirror, turn and scale around a point and put that point somewhere else.

    Args:
        degrees: (B,) rotation; positive turns x towards y (clockwise on screen, since y points down).
        scale: (B,) growth of lengths.
        mirrored: (B,) bool, x is negated before the rotation.
        source: (B, 2) the fixed point before, target: (B, 2) where it lands.

    Returns:
        (B, 2, 3) maps. A true rotation in pixels: it never shears, whatever the shape of the image.
    """
    angle = torch.deg2rad(degrees)
    cos, sin = scale * torch.cos(angle), scale * torch.sin(angle)
    sign = torch.where(mirrored, -1.0, 1.0)
    linear = torch.stack([torch.stack([cos * sign, -sin], -1), torch.stack([sin * sign, cos], -1)], -2)
    return torch.cat([linear, target.unsqueeze(-1) - _product(linear, source.unsqueeze(-1))], -1)


def compose(outer: Tensor, inner: Tensor) -> Tensor:
    """The map that applies `inner` first, then `outer`; both (B, 2, 3) or broadcastable."""
    turned = _product(outer[..., :2], inner)
    return torch.cat([turned[..., :2], turned[..., 2:] + outer[..., 2:]], -1)


def invert(matrix: Tensor) -> Tensor:
    """The inverse maps, (B, 2, 3)."""
    a, b, c, d = matrix[..., 0, 0], matrix[..., 0, 1], matrix[..., 1, 0], matrix[..., 1, 1]
    adjugate = torch.stack([torch.stack([d, -b], -1), torch.stack([-c, a], -1)], -2)
    linear = adjugate / (a * d - b * c)[..., None, None]
    return torch.cat([linear, -_product(linear, matrix[..., 2:])], -1)


def apply(matrix: Tensor, points: Tensor) -> Tensor:
    """Points (B, ..., 2), or (K, 2) the same for all maps, moved by maps (B, 2, 3)."""
    between = (1,) * max(1, points.dim() - 2)
    along_x, along_y, offset = matrix.reshape(*matrix.shape[:-2], *between, 2, 3).unbind(-1)
    return points[..., :1] * along_x + points[..., 1:] * along_y + offset


def warp(images: Tensor, to_source: Tensor, size: tuple[int, int]) -> Tensor:
    """Images (B, C, H, W) sampled bilinearly; black (0) outside.

    Args:
        images: float images or heatmaps, of any float type; the result has the same.
        to_source: (B, 2, 3) map from an output pixel to the input pixel it shows.
        size: (width, height) of the output.
    """
    height, width = images.shape[-2:]
    # grid_sample with align_corners=True puts -1 and 1 on the centres of the first and last pixel
    normalise = scaling((2 / max(width - 1, 1), 2 / max(height - 1, 1)), (-1, -1), images.device)
    y, x = torch.meshgrid(*(torch.arange(n, device=images.device) for n in reversed(size)), indexing="ij")
    pixels = torch.stack([x, y], -1).flatten(0, 1)
    grid = apply(compose(normalise, to_source.to(images.device)), pixels).unflatten(1, (size[1], size[0]))
    sampled = F.grid_sample(images.to(grid), grid, mode="bilinear", padding_mode="zeros", align_corners=True)
    return sampled.to(images.dtype)


def _product(left: Tensor, right: Tensor) -> Tensor:
    """Matrix product (..., 2, 2) x (..., 2, n)."""
    return (left.unsqueeze(-1) * right.unsqueeze(-3)).sum(-2)
