"""The contract of a codec: between the keypoints of a view and what a network puts out for them.

To add a codec: write one file like `simcc.py` with its head, and add one entry to the table in `codecs/__init__.py`.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from semipose.errors import ConfigError
from semipose.views.view import ViewMap


@dataclass(frozen=True)
class CodecSettings:
    """What codecs are made from; each takes what it needs.

    Attributes:
        size: (width, height) of a view in pixels.
        joints: K, keypoints of the skeleton.
        stride: view pixels in one pixel of the features that the head takes; need not be a whole number.
        sigma: standard deviation of a Gaussian on a heatmap, in heatmap pixels.
        bins: of simcc, for each pixel of the view.
        bin_sigma: standard deviation of a Gaussian over bins; 0 = sqrt(bins * side / 16), as MMPose sets it.
        bins_at_edges: simcc's bin b lies at pixel b / bins, as in MMPose; otherwise bins share each pixel evenly.
        joint_channels: of dekr's offset branch, for each keypoint.
        offset_weight: of dekr's offset loss, against that of its heatmaps.
        snap: how near, in map pixels, dekr's keypoints move to the peaks of their heatmaps; 0 = they stay.
    """

    size: tuple[int, int]
    joints: int
    stride: float = 4.0
    sigma: float = 2.0
    bins: float = 2.0
    bin_sigma: float = 0.0
    bins_at_edges: bool = False
    joint_channels: int = 15
    offset_weight: float = 0.03
    snap: float = 0.0

    @property
    def map_size(self) -> tuple[int, int]:
        """(width, height) of the features; raises ConfigError if the stride does not divide the view."""
        width, height = (round(side / self.stride) for side in self.size)
        if any(abs(count * self.stride - side) > 1e-3 for count, side in zip((width, height), self.size)):
            raise ConfigError(f"image size {self.size[0]}x{self.size[1]} is no multiple of the stride {self.stride:g}")
        return width, height


class Codec:
    """Encodes keypoints as targets, decodes and compares outputs.

    An output or target is a tensor (B, K, ...). Nobody but the codec looks behind the first two dimensions: images and
    keypoints. So outputs can be concatenated, and the keypoints of some images be swapped. Points are in view pixels,
    weights and scores (B, K), and a score is about 1 where the network is sure, 0 where it is not.

    Two codecs are equal if outputs of the one can be averaged with, or be targets for, outputs of the other.

    Attributes:
        stride: view pixels that count as one heatmap pixel, in messages and thresholds.
        pools: the head takes the coarsest features and pools them; otherwise it takes a map at `settings.stride`.
        has_maps: outputs are maps of the view with a peak of 1 at the keypoint; see `HeatmapCodec` for what such a
            codec has besides. Parts of a method that need maps ask for it.
        has_scores: the network tells how sure it is; otherwise all scores are 1.
        log_loss: the loss is a negative log-likelihood. It may be below 0; differences of it count, not ratios.
        instances: bottom-up: a view shows any number of instances. Points are (B, N, K, 2), weights and scores
            (B, N, K); the second dimension of an output is not that of the keypoints. A weight may be `IGNORED`.
        joins: the head takes all levels of an HRNet, brought to stride 4; otherwise the finest is enough.
    """

    pools = False
    instances = False
    joins = False
    has_maps = False
    has_scores = True
    log_loss = False

    def __init__(self, settings: CodecSettings):
        self.settings = settings
        self.stride = settings.stride

    def __eq__(self, other) -> bool:
        return type(self) is type(other) and self.meaning == other.meaning

    def __hash__(self) -> int:
        return hash((type(self), self.meaning))

    @property
    def meaning(self) -> CodecSettings:
        """The settings that outputs depend on."""
        return self.settings

    def make_head(self, in_channels: int, hidden: int = 0) -> nn.Module:
        """A new head: features (B, in_channels, h, w) -> output (B, K, ...), contiguous.

        Args:
            hidden: channels of a 3x3 convolution before the last layer; 0 = none.
        """
        raise TypeError(f"{type(self).__name__} must define make_head()")

    def encode(self, points: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """The target of points (B, K, 2) with weights (B, K), and weights (B, K).

        The weights are 0 also for points that the codec cannot express, such as those far outside the view. A codec of
        instances also takes a `mask` (B, 1, H, W) of view pixels, 0 where persons have no labels, and `known` (B, K), 0
        for keypoints that nobody in the view can have a label for; None = 1.
        """
        raise TypeError(f"{type(self).__name__} must define encode()")

    def perfect(self, target: Tensor) -> Tensor:
        """An output whose loss is as small as can be; a sure network would put it out."""
        return target

    def decode(self, output: Tensor) -> tuple[Tensor, Tensor]:
        """Points (B, K, 2) and scores (B, K)."""
        raise TypeError(f"{type(self).__name__} must define decode()")

    def unsure_score(self) -> float:
        """The score of an output of zeros, as of a network that has not learned anything; 1 without scores."""
        points = torch.zeros(1, self.settings.joints, 2)
        target, _ = self.encode(points, torch.ones_like(points[..., 0]))
        return float(self.decode(torch.zeros_like(self.perfect(target)))[1].max())

    def loss(self, output: Tensor, target: Tensor, head: nn.Module) -> Tensor:
        """(B, K) loss.

        Args:
            head: the head that made the output. Only a loss that has parameters of its own takes them from it.
        """
        raise TypeError(f"{type(self).__name__} must define loss()")

    def average(self, outputs: list[Tensor]) -> Tensor:
        """The output of an ensemble, or of a view and its mirror image."""
        return outputs[0] if len(outputs) == 1 else torch.stack(outputs).mean(0)

    def unmirror(self, output: Tensor, flip_order: Tensor) -> Tensor:
        """What was put out for mirrored views, turned back (for the flip test); flip_order (K,)."""
        raise TypeError(f"{type(self).__name__} must define unmirror()")

    def warp(self, output: Tensor, view_map: ViewMap) -> Tensor:
        """The output for the source view as a target for the target view. Only of codecs that have maps."""
        raise TypeError(f"{type(self).__name__} has no maps to warp")
