"""simcc: one classification over the columns and one over the rows (Li et al., "SimCC", ECCV 2022)."""

import math
from dataclasses import replace

import torch
from torch import Tensor, nn

from semipose.codecs.codec import Codec, CodecSettings
from semipose.codecs.map_head import hidden_layer, map_layer
from semipose.errors import ConfigError

BETA = 10.0  # outputs are multiplied by it before the softmax, as in MMPose's RTMPose
LEAST = 1e-30  # share of a bin, so that logarithms are finite
INIT_STD = 0.01  # of what is added to the first weights, see `_projection`


class SimccCodec(Codec):
    """Outputs and targets (B, K, nx + ny): the vectors of the columns and of the rows, one after the other.

    A target is a Gaussian for each axis with sum 1, an output is what becomes such shares by a softmax.

    Bin b means x = (b + 0.5) / bins - 0.5: the bins of a pixel share it evenly, and reversed bins are exactly those of
    the mirrored view. MMPose has x = b / bins, which is less than half a pixel more. `settings.bins_at_edges` chooses
    that for its checkpoints; then the flip test is off by (1 - 1 / bins) pixels between both halves, as it is there.

    Attributes:
        counts: (nx, ny), bins for each axis.
        sigmas: standard deviations of the Gaussians in bins, for each axis.
        heights: the highest share of such a Gaussian.
    """

    def __init__(self, settings: CodecSettings):
        super().__init__(settings)
        self.bins = settings.bins
        self.counts = tuple(round(side * settings.bins) for side in settings.size)
        width, height = settings.size
        if self.counts != (width * settings.bins, height * settings.bins):
            raise ConfigError(
                f"MODEL.SIMCC.BINS {settings.bins:g}: no whole number of bins for a view {width}x{height}"
            )
        self.sigmas = tuple(settings.bin_sigma or (settings.bins * side / 16) ** 0.5 for side in settings.size)
        self.heights = tuple(_height(sigma) for sigma in self.sigmas)
        self.offset = 0.0 if settings.bins_at_edges else 0.5 / settings.bins - 0.5

    @property
    def meaning(self) -> CodecSettings:
        return replace(self.settings, stride=0.0)  # bins are counted in pixels of the view

    def make_head(self, in_channels: int, hidden: int = 0) -> nn.Module:
        return SimccHead(in_channels, self.settings, self.counts, hidden)

    def encode(self, points: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Shares (B, K, nx + ny), and weights (B, K) that are 0 also where a bin is more than 3 sigma outside."""
        centre = (points - self.offset) * self.bins
        axes = list(zip(centre.unbind(-1), self.counts, self.sigmas))
        inside = [(middle > -3 * sigma) & (middle < count - 1 + 3 * sigma) for middle, count, sigma in axes]
        inside = inside[0] & inside[1]
        # not farther than that: the square of a huge number is no number
        near = [(middle.clamp(-3 * sigma, count - 1 + 3 * sigma), count, sigma) for middle, count, sigma in axes]
        shares = torch.cat([_gaussian(middle, count, sigma) for middle, count, sigma in near], -1)
        return shares * (inside & (weights > 0)).unsqueeze(-1), weights * inside

    def perfect(self, target: Tensor) -> Tensor:
        return target.clamp_min(LEAST).log() / BETA

    def decode(self, output: Tensor) -> tuple[Tensor, Tensor]:
        """Points (B, K, 2), and scores (B, K): how high the softmax is against a perfect one, on the worse axis."""
        vectors = self._split(output.float())
        points = torch.stack([_highest(vector) for vector in vectors], -1) / self.bins + self.offset
        heights = [(BETA * vector).softmax(-1).amax(-1) / best for vector, best in zip(vectors, self.heights)]
        return points, torch.minimum(*heights).clamp_max(1.0)

    def loss(self, output: Tensor, target: Tensor, head: nn.Module) -> Tensor:
        """KL divergence of softmax(BETA * output) from the target, summed over both axes."""
        pairs = zip(self._split(output), self._split(target))
        return sum(_divergence((BETA * vector.float()).log_softmax(-1), wanted.float()) for vector, wanted in pairs)

    def unmirror(self, output: Tensor, flip_order: Tensor) -> Tensor:
        along_x, along_y = self._split(output[:, flip_order])
        return torch.cat([along_x.flip(-1), along_y], -1)

    def _split(self, vectors: Tensor) -> tuple[Tensor, Tensor]:
        return vectors[..., : self.counts[0]], vectors[..., self.counts[0] :]


class SimccHead(nn.Module):
    """A map for each keypoint, flattened, and a linear layer for each axis: (B, C, h, w) -> (B, K, nx + ny).

    The linear layers start as projections of the map on its axes. From random weights they learn what is where so
    slowly that few labels do not suffice: on drawn people, with 40 labels, it is 7 AP instead of 21.
    """

    def __init__(self, in_channels: int, settings: CodecSettings, counts: tuple[int, int], hidden: int):
        super().__init__()
        width, height = settings.map_size
        self.hidden = hidden_layer(in_channels, hidden)
        self.final = map_layer(hidden or in_channels, settings.joints)
        self.columns, self.rows = (nn.Linear(width * height, count) for count in counts)
        across = _projection(width, counts[0]).unsqueeze(1).expand(-1, height, -1) / height
        down = _projection(height, counts[1]).unsqueeze(2).expand(-1, -1, width) / width
        for layer, start in ((self.columns, across), (self.rows, down)):
            nn.init.normal_(layer.weight, std=INIT_STD)
            nn.init.zeros_(layer.bias)
            layer.weight.data += start.flatten(1)

    def forward(self, features: Tensor) -> Tensor:
        maps = self.final(self.hidden(features)).flatten(2)
        return torch.cat([self.columns(maps), self.rows(maps)], -1)


def _projection(pixels: int, bins: int) -> Tensor:
    """(bins, pixels): each bin takes the pixels around it, by linear interpolation; rows have the sum 1."""
    places = (torch.arange(bins) + 0.5) * pixels / bins - 0.5
    shares = (1 - (places.unsqueeze(1) - torch.arange(pixels)).abs()).clamp_min(0)
    return shares / shares.sum(1, keepdim=True)


def _gaussian(centre: Tensor, count: int, sigma: float) -> Tensor:
    """Shares (B, K, count) of bins around centres (B, K) in bins; their sum is 1, also where the centre is outside."""
    bins = torch.arange(count, device=centre.device, dtype=centre.dtype)
    return (-(bins - centre.unsqueeze(-1)).square() / (2 * sigma**2)).softmax(-1)


def _height(sigma: float) -> float:
    """The highest share of a Gaussian in the middle of a bin."""
    reach = math.ceil(6 * sigma)
    return 1 / sum(math.exp(-(distance**2) / (2 * sigma**2)) for distance in range(-reach, reach + 1))


def _highest(vector: Tensor) -> Tensor:
    """The place (B, K) of the maximum in bins: of a parabola through the highest bin and its neighbours.

    The logarithm of a Gaussian is a parabola, and outputs are logarithms. At most half a bin from the highest one.
    """
    count = vector.shape[-1]
    peak = vector.argmax(-1, keepdim=True)
    left, middle, right = (vector.gather(-1, (peak + step).clamp(0, count - 1)) for step in (-1, 0, 1))
    curve = left - 2 * middle + right
    bent = (curve < -1e-6) & (peak > 0) & (peak < count - 1)
    step = 0.5 * (left - right) / torch.where(bent, curve, torch.ones_like(curve))
    return (peak + torch.where(bent, step.clamp(-0.5, 0.5), torch.zeros_like(step))).squeeze(-1)


def _divergence(log_shares: Tensor, wanted: Tensor) -> Tensor:
    return (torch.xlogy(wanted, wanted) - wanted * log_shares).sum(-1)
