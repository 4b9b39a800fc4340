"""udp: heatmaps on the grid of unit lengths (Huang et al., "The Devil is in the Details", CVPR 2020)."""

import torch
from torch import Tensor

from semipose.codecs.codec import CodecSettings
from semipose.codecs.heatmap import HeatmapCodec, between, highest_pixels, newton_step, window
from semipose.codecs.map_codec import corner_steps

LOWEST, HIGHEST = 1e-3, 50.0  # of a heatmap before the logarithm, as in the reference
# The reference has no limit. Where the heatmap is no Gaussian, its step leaves the peak it belongs to.
LONGEST_STEP = 3.0


class UdpCodec(HeatmapCodec):
    """Sizes are measured between pixel centres: `x_view = x_heatmap * (W - 1) / (w - 1)`.

    A mirrored view keeps this, so the flip test needs no shift. Decoding blurs the heatmap and takes one Newton step on
    its logarithm.
    """

    def __init__(self, settings: CodecSettings):
        super().__init__(settings)
        self.steps = corner_steps(settings.size, self.size)

    def decode(self, output: Tensor) -> tuple[Tensor, Tensor]:
        """Points (B, K, 2) and scores (B, K), the maxima of the heatmaps."""
        heatmaps = output.float()
        peak, score = highest_pixels(heatmaps)
        return self.to_view(peak + _newton_step(heatmaps, peak, score, self.sigma)), score


def _newton_step(heatmaps: Tensor, peak: Tensor, score: Tensor, sigma: float) -> Tensor:
    """The step (B, K, 2) from the highest pixel to the maximum of a Gaussian; none at the border or off a peak."""
    f = _blurred(heatmaps, peak, sigma)
    # the height of a peak stays what it was: it decides what is cut off
    f = f * (score / f.amax((-2, -1)).clamp_min(1e-10))[..., None, None]
    f = f.clamp(LOWEST, HIGHEST).log()
    middle, left, right, above, below = f[..., 1, 1], f[..., 1, 0], f[..., 1, 2], f[..., 0, 1], f[..., 2, 1]
    dx, dy = (right - left) / 2, (below - above) / 2
    dxx, dyy = right - 2 * middle + left, below - 2 * middle + above
    dxy = (f[..., 2, 2] - right - below + 2 * middle - left - above + f[..., 0, 0]) / 2
    height, width = heatmaps.shape[-2:]
    inside = between(peak, 0, (width - 1, height - 1))
    step = newton_step(dx, dy, dxx, dyy, dxy)
    return step.clamp(-LONGEST_STEP, LONGEST_STEP) * inside.unsqueeze(-1)


def _blurred(heatmaps: Tensor, peak: Tensor, sigma: float) -> Tensor:
    """(B, K, 3, 3) around peaks (B, K, 2) after a Gaussian blur, 0 outside the map.

    Only the pixels that are needed are blurred, and without a convolution: TF32 would shorten its numbers.
    """
    reach, blur = blur_of(sigma)
    distance = torch.arange(2 * reach + 3, device=heatmaps.device) - reach - 1
    around = window(heatmaps, peak, reach + 1)
    height, width = heatmaps.shape[-2:]
    xs, ys = (peak[..., :1] + distance, peak[..., 1:] + distance)
    around = around * ((xs >= 0) & (xs < width)).unsqueeze(-2) * ((ys >= 0) & (ys < height)).unsqueeze(-1)
    from_target = (distance - torch.arange(-1, 2, device=heatmaps.device).unsqueeze(-1)).to(heatmaps.dtype)
    kernel = torch.exp(-from_target.square() / (2 * blur**2)) * (from_target.abs() <= reach)
    kernel = kernel / kernel.sum(-1, keepdim=True)
    along_x = (around.unsqueeze(-2) * kernel).sum(-1)
    return (along_x.unsqueeze(-3) * kernel.unsqueeze(-1)).sum(-2)


def blur_of(sigma: float) -> tuple[int, float]:
    """Reach of the blur's kernel and its sigma, in heatmap pixels.

    The reference has kernels of 11 for sigma 2 and 17 for sigma 3, and OpenCV's sigma for a kernel.
    """
    reach = max(1, round(3 * sigma) - 1)
    return reach, 0.3 * (reach - 1) + 0.8
