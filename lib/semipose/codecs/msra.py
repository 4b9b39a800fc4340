"""msra: heatmaps as in SimpleBaseline and HRNet, which published numbers come from (Xiao et al., ECCV 2018)."""

import torch
from torch import Tensor

from semipose.codecs.heatmap import HeatmapCodec, between, highest_pixels, window


class MsraCodec(HeatmapCodec):
    """The Gaussian sits at a whole heatmap pixel, `x_view = stride * x_heatmap`.

    Decoding takes the highest pixel and a quarter pixel towards its higher neighbour.
    """

    def centre(self, points: Tensor) -> Tensor:
        return torch.floor(self.to_heatmap(points) + 0.5)

    def decode(self, output: Tensor) -> tuple[Tensor, Tensor]:
        """Points (B, K, 2) and scores (B, K), the maxima of the heatmaps."""
        heatmaps = output.float()
        peak, score = highest_pixels(heatmaps)
        return self.to_view(peak + _quarter_step(heatmaps, peak)), score

    def unmirror(self, output: Tensor, flip_order: Tensor) -> Tensor:
        """The convention is not symmetric: mirrored maps are moved by one pixel, as HRNet does."""
        turned = super().unmirror(output, flip_order)
        return torch.cat([turned[..., :1], turned[..., :-1]], -1)


def _quarter_step(heatmaps: Tensor, peak: Tensor) -> Tensor:
    """A quarter pixel towards the higher neighbour; none at the border or at 1, as the reference decodes (HRNet)."""
    w = window(heatmaps, peak, 1)
    step = 0.25 * torch.stack([w[..., 1, 2] - w[..., 1, 0], w[..., 2, 1] - w[..., 0, 1]], -1).sign()
    height, width = heatmaps.shape[-2:]
    return step * between(peak, 1, (width - 1, height - 1)).unsqueeze(-1)
