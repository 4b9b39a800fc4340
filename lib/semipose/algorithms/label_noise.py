"""Labels may be wrong: which labelled keypoints count less. Everything here is off by default."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class LabelPolicy:
    """How far labels are trusted.

    Attributes:
        trim: share of the labelled keypoints of a batch that is left out: those with the largest loss.
        trim_start: first step in which they are.
        agreement: distance from a label to what a teacher predicts, in longer sides of the input at the person's own
            scale, at which the weight of the label has fallen to 0.61; 0 = off.
    """

    trim: float = 0.0
    trim_start: int = 0
    agreement: float = 0.0

    def trims(self, step: int) -> bool:
        """Whether labels are left out in this step."""
        return self.trim > 0 and step >= self.trim_start


def trimmed(weights: Tensor, loss: Tensor, share: float) -> Tensor:
    """The weights (B, K) with 0 for the `share` of those above 0 that has the largest loss (B, K), rounded down.

    A network learns clean labels first, so what it still gets wrong is often labelled wrong ("small loss", Han et al.,
    "Co-teaching", NeurIPS 2018).
    """
    labeled = weights > 0
    ranks = torch.where(labeled, loss.detach(), -torch.inf).flatten().argsort(descending=True).argsort()
    return weights * (ranks >= (share * labeled.sum()).floor()).view_as(weights)


def trust_in_labels(labels: Tensor, points: Tensor, scores: Tensor, sigma: float) -> Tensor:
    """(B, K) factors of the labels' weights: `1 - score * (1 - exp(-distance^2 / (2 sigma^2)))`.

    So an unsure teacher takes nothing away. Of several teachers the one that trusts the label most counts.

    Args:
        labels: (B, K, 2).
        points, scores: (T, B, K, 2) and (T, B, K), what T teachers predict, in the pixels and the order of the labels.
        sigma: in these pixels.
    """
    agreement = torch.exp(-(points - labels).square().sum(-1) / (2 * sigma**2))
    return (1 - scores.clamp(0, 1) * (1 - agreement)).amax(0)
