"""Losses of a softmax over the pixels of each joint's map. All (B, K), from logits (B, K, h, w).

They compute in float32 (float64 for such logits) also under autocast.
"""

import math

import torch
from torch import Tensor

EPS = 1e-6  # bounds `avoid_loss` at about 13.8


def spatial_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy of the softmax against target / sum(target); 0 where the target is empty.

    Args:
        target: (B, K, h, w), not negative.
    """
    log_share = _flat(logits).log_softmax(-1)
    return -(_normalised(target, log_share.dtype) * log_share).sum(-1)


def spatial_kl(logits: Tensor, target: Tensor) -> Tensor:
    """`spatial_cross_entropy` less the entropy of the target: 0 for a perfect softmax. The gradient is the same."""
    wanted = _normalised(target, _flat(logits).dtype)
    return spatial_cross_entropy(logits, target) + torch.xlogy(wanted, wanted).sum(-1)


def mass_near(logits: Tensor, peaks: Tensor, radius: float) -> Tensor:
    """Share of the softmax, in [0, 1], within `radius` of the peaks (B, K, 2), both in heatmap pixels."""
    return (_flat(logits).softmax(-1) * _near(logits, peaks, radius)).sum(-1)


def avoid_loss(logits: Tensor, peaks: Tensor, radius: float) -> Tensor:
    """`-log(1 - mass_near + 1e-6)`, shifted to 0 for no mass: small where the softmax stays away from the peaks.

    The mass elsewhere is summed, not subtracted from 1, which keeps its gradient right as it nears 0.
    """
    elsewhere = (_flat(logits).softmax(-1) * ~_near(logits, peaks, radius)).sum(-1)
    return math.log1p(EPS) - (elsewhere + EPS).log()


def ground_false(target: Tensor) -> Tensor:
    """For each joint where the other joints are: `clip(sum of their Gaussians, 0, 1)`, (B, K, h, w) -> (B, K, h, w).

    Plausible wrong places ("RegDA", Jiang et al., CVPR 2021).
    """
    return (target.sum(1, keepdim=True) - target).clamp(0, 1)


def _flat(logits: Tensor) -> Tensor:
    """(B, K, h*w) in float32 or float64."""
    return logits.flatten(2) if logits.dtype == torch.float64 else logits.flatten(2).float()


def _normalised(target: Tensor, dtype: torch.dtype) -> Tensor:
    """(B, K, h*w) with sum 1; 0 where the target is empty."""
    target = target.flatten(2).to(dtype)
    return target / target.sum(-1, keepdim=True).clamp_min(EPS)


def _near(logits: Tensor, peaks: Tensor, radius: float) -> Tensor:
    """(B, K, h*w) bool: pixels within `radius` of the peaks."""
    height, width = logits.shape[-2:]
    xs, ys = (torch.arange(size, device=peaks.device, dtype=peaks.dtype) for size in (width, height))
    across, down = (xs - peaks[..., :1]).square(), (ys - peaks[..., 1:]).square()
    return (across.unsqueeze(-2) + down.unsqueeze(-1) <= radius**2).flatten(2)
