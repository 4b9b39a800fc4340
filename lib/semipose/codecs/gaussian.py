"""gaussian: heatmaps whose Gaussian sits at the float position, decoded by DARK."""

import torch
import torch.nn.functional as F
from torch import Tensor

from semipose.codecs.codec import CodecSettings
from semipose.codecs.heatmap import HeatmapCodec, between, highest_pixels, newton_step, window
from semipose.codecs.map_codec import aligned_offsets


class GaussianCodec(HeatmapCodec):
    """Pixel centres of view and heatmap are aligned: `x_view = stride * x_heatmap + (stride - 1) / 2`.

    A mirrored view keeps this. Decoding takes a Taylor step on the logarithm of the heatmap (DARK, Zhang et al.,
    "Distribution-Aware Coordinate Representation for Human Pose Estimation", CVPR 2020).
    """

    def __init__(self, settings: CodecSettings):
        super().__init__(settings)
        self.offsets = aligned_offsets(settings.stride)

    def decode(self, output: Tensor) -> tuple[Tensor, Tensor]:
        """Points (B, K, 2) and scores (B, K), the maxima of the heatmaps."""
        heatmaps = output.float()
        peak, score = highest_pixels(heatmaps)
        return self.to_view(peak + _taylor_step(heatmaps, peak, self.sigma)), score


def _taylor_step(heatmaps: Tensor, peak: Tensor, sigma: float) -> Tensor:
    """The step from the highest pixel to the maximum of a Gaussian fitted there, at most one pixel per axis."""
    f = _blurred_window(heatmaps, peak, sigma).clamp_min(1e-10).log()
    dx, dy = (f[..., 2, 3] - f[..., 2, 1]) / 2, (f[..., 3, 2] - f[..., 1, 2]) / 2
    dxx = (f[..., 2, 4] - 2 * f[..., 2, 2] + f[..., 2, 0]) / 4
    dyy = (f[..., 4, 2] - 2 * f[..., 2, 2] + f[..., 0, 2]) / 4
    dxy = (f[..., 3, 3] - f[..., 1, 3] - f[..., 3, 1] + f[..., 1, 1]) / 4
    height, width = heatmaps.shape[-2:]
    inside = between(peak, 1, (width - 2, height - 2))
    return newton_step(dx, dy, dxx, dyy, dxy).clamp(-1, 1) * inside.unsqueeze(-1)


def _blurred_window(heatmaps: Tensor, peak: Tensor, sigma: float) -> Tensor:
    """(B, K, 5, 5) around peaks (B, K, 2), after a Gaussian blur of half the target's width.

    The blur reduces noise, and a blurred Gaussian is still a Gaussian. Only the pixels of the window are blurred; the
    whole map would be a hundred times more work.
    """
    reach = max(1, round(1.5 * sigma))
    xs = torch.arange(-reach, reach + 1, device=heatmaps.device, dtype=heatmaps.dtype)
    kernel = torch.exp(-xs.square() / (2 * (0.5 * sigma) ** 2))
    kernel = kernel / kernel.sum()
    maps = window(heatmaps, peak, 2 + reach).flatten(0, 1).unsqueeze(1)
    maps = F.conv2d(F.conv2d(maps, kernel.view(1, 1, 1, -1)), kernel.view(1, 1, -1, 1))
    return maps.squeeze(1).unflatten(0, heatmaps.shape[:2])
