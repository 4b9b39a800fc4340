"""integral: the expectation of a softmax over the map (Sun et al., "Integral Human Pose Regression", ECCV 2018)."""

import math

import torch
from torch import Tensor, nn

from semipose.codecs.codec import CodecSettings
from semipose.codecs.heatmap import between
from semipose.codecs.map_codec import MapCodec, aligned_offsets
from semipose.codecs.map_head import MapHead

# of the divergence against the distance: the best of DSNT's comparison (Nibali et al., 2018)
MAP_WEIGHT = 1.0
NEAR = 3.0  # sigmas around the expectation: the mass there is the score
TINY = 1e-12  # keeps the gradient of a distance of 0 finite


class IntegralCodec(MapCodec):
    """Outputs are logits (B, K, h, w), targets points (B, K, 2) in map pixels. The grid is that of `gaussian`.

    The map has no peak of 1, so this codec has no maps in the sense of the contract.
    """

    def __init__(self, settings: CodecSettings):
        super().__init__(settings)
        self.offsets = aligned_offsets(settings.stride)

    def make_head(self, in_channels: int, hidden: int = 0) -> nn.Module:
        return MapHead(in_channels, self.settings.joints, hidden)

    def encode(self, points: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Points (B, K, 2) in map pixels, and weights (B, K) that are 0 outside the view: an expectation is inside."""
        target = self.to_heatmap(points)
        inside = between(target, -0.5, (self.size[0] - 0.5, self.size[1] - 0.5))
        return target.clamp(-0.5, max(self.size) - 0.5), weights * inside

    def perfect(self, target: Tensor) -> Tensor:
        return self._log_gaussians(target)

    def decode(self, output: Tensor) -> tuple[Tensor, Tensor]:
        """Points (B, K, 2) and scores (B, K): the mass within 3 sigma."""
        shares = output.float().flatten(2).softmax(-1).view(output.shape)
        middle = _expectation(shares)
        across, down = _squared_distances(middle, self.size)
        near = across.unsqueeze(-2) + down.unsqueeze(-1) <= (NEAR * self.sigma) ** 2
        return self.to_view(middle), (shares * near).sum((-2, -1))

    def loss(self, output: Tensor, target: Tensor, head: nn.Module) -> Tensor:
        """Distance of the expectation in halves of the longer side, and divergence from a Gaussian, as in DSNT."""
        target = target.float()
        log_shares = output.float().flatten(2).log_softmax(-1)
        middle = _expectation(log_shares.exp().view(output.shape))
        distance = ((middle - target).square().sum(-1) + TINY).sqrt() / (max(self.size) / 2)
        wanted = self._log_gaussians(target).flatten(2).log_softmax(-1)
        return distance + MAP_WEIGHT * _divergence(log_shares, wanted)

    def average(self, outputs: list[Tensor]) -> Tensor:
        """Logits of the mean shares: where networks disagree, the score falls."""
        if len(outputs) == 1:
            return outputs[0]
        log_shares = torch.stack(outputs).float().flatten(3).log_softmax(-1)
        return (log_shares.logsumexp(0) - math.log(len(outputs))).view(outputs[0].shape)

    def unmirror(self, output: Tensor, flip_order: Tensor) -> Tensor:
        return output.flip(-1)[:, flip_order]

    def _log_gaussians(self, centre: Tensor) -> Tensor:
        """Logarithms (B, K, h, w) of Gaussians with a peak of 1 around centres (B, K, 2) in map pixels."""
        across, down = _squared_distances(centre, self.size)
        return -(across.unsqueeze(-2) + down.unsqueeze(-1)) / (2 * self.sigma**2)


def _expectation(shares: Tensor) -> Tensor:
    """Mean place (B, K, 2) under shares (B, K, h, w), in map pixels.

    Places are counted from the middle of the map, where the sums of a wide map lose least.
    """
    ends = [(count - 1) / 2 for count in reversed(shares.shape[-2:])]
    axes = zip((shares.sum(-2), shares.sum(-1)), ends)
    means = []
    for along, end in axes:
        places = torch.arange(along.shape[-1], device=along.device, dtype=along.dtype) - end
        means.append((along * places).sum(-1) + end)
    return torch.stack(means, -1)


def _squared_distances(centre: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Of each column (B, K, w) and row (B, K, h) from centres (B, K, 2)."""
    xs, ys = (torch.arange(count, device=centre.device, dtype=centre.dtype) for count in size)
    return (xs - centre[..., :1]).square(), (ys - centre[..., 1:]).square()


def _divergence(first: Tensor, second: Tensor) -> Tensor:
    """Jensen-Shannon divergence (...) of two distributions, given by logarithms (..., n): 0 to log 2.

    From logarithms throughout: the gradient of p * log(p) is not finite where p has become 0.
    """
    mixed = torch.logaddexp(first, second) - math.log(2)
    return 0.5 * (first.exp() * (first - mixed) + second.exp() * (second - mixed)).sum(-1)
