"""Colour changes of hard views. None of them moves a pixel.

`jitter` is gain, bias and noise; `rand_augment` applies a few operations in the manner of RandAugment (Cubuk et al.,
2020), without its geometric ones. Both draw on the CPU and work on the batch, never sample by sample.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class ColorPolicy:
    """Strength of colour changes.

    Attributes:
        jitter: strength of gain, bias and noise in [0, 1]; 0 = off.
        rand_augment: number of operations applied to each image, one after another; 0 = off.
        magnitude: strength of these operations in [0, 1].
    """

    jitter: float = 0.0
    rand_augment: int = 0
    magnitude: float = 0.5


def change_colors(images: Tensor, policy: ColorPolicy, generator: torch.Generator) -> Tensor:
    """Images (B, 3, H, W) in [0, 1], changed as the policy says; the input stays as it is."""
    if policy.jitter > 0:
        images = _jitter(images, policy.jitter, generator)
    for _ in range(policy.rand_augment):
        images = _random_operation(images, policy.magnitude, generator)
    return images


def _jitter(images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    batch = len(images)
    gain = 1 + strength * (2 * torch.rand((batch, 3, 1, 1), generator=generator) - 1)
    bias = strength / 2 * (2 * torch.rand((batch, 1, 1, 1), generator=generator) - 1)
    amount = strength / 4 * torch.rand((batch, 1, 1, 1), generator=generator)
    # one seed is drawn, so that the noise is made where the images are
    seed = int(torch.randint(2**31, (1,), generator=generator))
    local = torch.Generator(images.device).manual_seed(seed)
    noise = torch.randn(images.shape, generator=local, device=images.device)
    gain, bias, amount = (t.to(images, non_blocking=True) for t in (gain, bias, amount))
    return ((images - 0.5) * gain + 0.5 + bias + amount * noise).clamp(0, 1)


def _random_operation(images: Tensor, magnitude: float, generator: torch.Generator) -> Tensor:
    batch = len(images)
    kind = torch.randint(len(OPERATIONS), (batch,), generator=generator)
    sign = torch.randint(2, (batch,), generator=generator) * 2 - 1
    level = (torch.rand((batch,), generator=generator) * magnitude * sign).view(-1, 1, 1, 1)
    level = level.to(images, non_blocking=True)
    result = images.clone()
    for number, operation in enumerate(OPERATIONS):
        rows = (kind == number).nonzero().squeeze(1).to(images.device, non_blocking=True)
        if len(rows):
            result[rows] = operation(images[rows], level[rows]).clamp(0, 1)
    return result


def _grey(images: Tensor) -> Tensor:
    weights = torch.tensor([0.299, 0.587, 0.114], dtype=images.dtype).to(images.device, non_blocking=True)
    return (images * weights.view(1, 3, 1, 1)).sum(1, keepdim=True)


def _blend(images: Tensor, other: Tensor, level: Tensor) -> Tensor:
    """Near `other` at level -1, unchanged at 0, pushed away from `other` at 1."""
    return other + (images - other) * (1 + 0.9 * level)


def _identity(images: Tensor, level: Tensor) -> Tensor:
    return images


def _brightness(images: Tensor, level: Tensor) -> Tensor:
    return _blend(images, torch.zeros_like(images), level)


def _contrast(images: Tensor, level: Tensor) -> Tensor:
    return _blend(images, _grey(images).mean((2, 3), keepdim=True), level)


def _saturation(images: Tensor, level: Tensor) -> Tensor:
    return _blend(images, _grey(images), level)


def _sharpness(images: Tensor, level: Tensor) -> Tensor:
    return _blend(images, F.avg_pool2d(images, 3, 1, 1, count_include_pad=False), level)


def _posterize(images: Tensor, level: Tensor) -> Tensor:
    steps = torch.exp2((8 - 5 * level.abs()).round())
    return (images * (steps - 1)).round() / (steps - 1)


def _solarize(images: Tensor, level: Tensor) -> Tensor:
    return torch.where(images > 1 - level.abs(), 1 - images, images)


def _autocontrast(images: Tensor, level: Tensor) -> Tensor:
    low, high = images.amin((2, 3), keepdim=True), images.amax((2, 3), keepdim=True)
    # a flat channel has nothing to stretch; it would turn black
    stretched = torch.where(high - low > 1e-3, (images - low) / (high - low).clamp_min(1e-3), images)
    return images + level.abs() * (stretched - images)


OPERATIONS = (
    _identity, _brightness, _contrast, _saturation, _sharpness, _posterize, _solarize, _autocontrast,
)  # fmt: skip
