"""Losses of a softmax over the pixels of each joint's map. All (B, K), from logits (B, K, h, w).

They compute in float32 (in float64 if the logits are float64), also under autocast.
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


def avoid_loss(logits: Tensor, peaks: Tensor, radius: float) -> Tensor:
    """`-log(mass elsewhere + 1e-6)`, shifted to 0 where all mass is elsewhere: small away from the peaks.

    The mass elsewhere is the share of the softmax that is farther than `radius` from the peak, in heatmap pixels. It is
    summed up, and not computed as 1 - mass near the peak: so its gradient stays right where it is nearly 0.

    Args:
        peaks: (B, K, 2), x and y in heatmap pixels.
    """
    elsewhere = (_flat(logits).softmax(-1) * ~_near(logits, peaks, radius)).sum(-1)
    return math.log1p(EPS) - (elsewhere + EPS).log()


def ground_false(target: Tensor) -> Tensor:
    """For each joint the places of the others: `clip(sum of their Gaussians, 0, 1)`, (B, K, h, w) -> (B, K, h, w).

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
