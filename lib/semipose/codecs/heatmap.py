"""Heatmaps: one Gaussian per keypoint.

Two conventions are offered (`CODECS`):
    gaussian: the Gaussian sits at the float position, pixel centres of input and heatmap are aligned
        (`x_input = s * x_heatmap + (s - 1) / 2`, which a mirrored image keeps), decoding by a Taylor step on the
        log-heatmap (DARK, Zhang et al., CVPR 2020).
    msra: as in SimpleBaseline and HRNet, which published numbers come from: centre rounded to a heatmap pixel,
        `x_input = s * x_heatmap`, decoding by the maximum and a quarter pixel towards its higher neighbour.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from semipose.errors import ConfigError
from semipose.geometry import affine
from semipose.losses import heatmap_mse
from semipose.views.view import ViewMap

CODECS = ("gaussian", "msra")


class HeatmapCodec:
    """Encode, decode, warp and compare heatmaps (B, K, h, w).

    Args:
        input_size: (width, height) of a view in pixels.
        heatmap_size: (width, height) of a heatmap.
        sigma: standard deviation of the Gaussian in heatmap pixels.
        kind: one of `CODECS`.

    Raises:
        ConfigError: for an unknown kind, or when the heatmap is not a whole fraction of the input.
    """

    def __init__(
        self, input_size: tuple[int, int], heatmap_size: tuple[int, int], sigma: float, kind: str = "gaussian"
    ):
        if kind not in CODECS:
            raise ConfigError(f"unknown codec {kind!r}; known: {', '.join(CODECS)}")
        self.stride = input_size[0] // heatmap_size[0]
        if tuple(heatmap_size[i] * self.stride for i in (0, 1)) != tuple(input_size):
            raise ConfigError(
                f"heatmap size {tuple(heatmap_size)} is not input size {tuple(input_size)} over one stride"
            )
        self.size = tuple(heatmap_size)
        self.sigma = sigma
        self.rounded = kind == "msra"
        self.offset = 0.0 if self.rounded else (self.stride - 1) / 2

    def to_heatmap(self, points: Tensor) -> Tensor:
        """Heatmap pixels of points (..., 2) in view pixels."""
        return (points - self.offset) / self.stride

    def to_view(self, points: Tensor) -> Tensor:
        """View pixels of points (..., 2) in heatmap pixels."""
        return points * self.stride + self.offset

    def encode(self, points: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Targets of keypoints (B, K, 2) in view pixels with weights (B, K).

        Returns:
            heatmaps (B, K, h, w) with peak 1, and weights (B, K) that are 0 also where the Gaussian (3 sigma) lies
            wholly outside the view.
        """
        centre = self.to_heatmap(points)
        if self.rounded:
            centre = torch.floor(centre + 0.5)
        width, height = self.size
        xs = torch.arange(width, device=points.device, dtype=points.dtype)
        ys = torch.arange(height, device=points.device, dtype=points.dtype)
        along_x = torch.exp(-(xs - centre[..., :1]).square() / (2 * self.sigma**2))
        along_y = torch.exp(-(ys - centre[..., 1:]).square() / (2 * self.sigma**2))
        heatmaps = along_y.unsqueeze(-1) * along_x.unsqueeze(-2)
        reach = 3 * self.sigma
        inside = _between(centre, -reach, (width - 1 + reach, height - 1 + reach))
        seen = inside & (weights > 0)
        return heatmaps * seen[..., None, None], weights * inside

    def decode(self, heatmaps: Tensor) -> tuple[Tensor, Tensor]:
        """Keypoints (B, K, 2) in view pixels and their scores (B, K), the maxima of the heatmaps."""
        heatmaps = heatmaps.float()
        width = heatmaps.shape[-1]
        score, flat = heatmaps.flatten(2).max(-1)
        peak = torch.stack([flat % width, flat // width], -1)
        step = _quarter_step(heatmaps, peak) if self.rounded else _taylor_step(heatmaps, peak, self.sigma)
        return self.to_view(peak + step), score

    def warp(self, heatmaps: Tensor, view_map: ViewMap) -> Tensor:
        """Heatmaps of the source view as the target view should show them, channels swapped where mirrored."""
        stride, offset = (self.stride, self.stride), (self.offset, self.offset)
        to_view = affine.scaling(stride, offset, heatmaps.device)
        to_source = affine.compose(affine.invert(to_view), affine.compose(view_map.to_source, to_view))
        return view_map.swap(affine.warp(heatmaps, to_source, self.size))

    def unmirror(self, heatmaps: Tensor, flip_order: Tensor) -> Tensor:
        """Heatmaps predicted on mirrored views, turned back (for the flip test).

        The msra convention is not symmetric: its mirrored maps are moved by one pixel, as HRNet does.
        """
        turned = heatmaps.flip(-1)[:, flip_order]
        if self.rounded:
            turned = torch.cat([turned[..., :1], turned[..., :-1]], -1)
        return turned

    def loss(self, heatmaps: Tensor, targets: Tensor) -> Tensor:
        """(B, K) loss of predicted against target heatmaps."""
        return heatmap_mse(heatmaps, targets)


def _between(points: Tensor, low: float, high: tuple[float, float]) -> Tensor:
    """(...) bool, true where points (..., 2) lie above `low` and below `high`, both excluded.

    With numbers, not tensors: a tensor made from numbers on a GPU waits for all work queued there.
    """
    x, y = points.unbind(-1)
    return (x > low) & (x < high[0]) & (y > low) & (y < high[1])


def _window(heatmaps: Tensor, peak: Tensor, radius: int) -> Tensor:
    """Pixels around peaks (B, K, 2): (B, K, 2r+1, 2r+1), edges repeated."""
    height, width = heatmaps.shape[-2:]
    reach = torch.arange(-radius, radius + 1, device=heatmaps.device)
    x = (peak[..., :1] + reach).clamp(0, width - 1)
    y = (peak[..., 1:] + reach).clamp(0, height - 1)
    index = (y.unsqueeze(-1) * width + x.unsqueeze(-2)).flatten(2)
    return heatmaps.flatten(2).gather(-1, index).unflatten(-1, (2 * radius + 1, 2 * radius + 1))


def _quarter_step(heatmaps: Tensor, peak: Tensor) -> Tensor:
    """A quarter pixel towards the higher neighbour; none at the border or at 1, as the reference decodes (HRNet)."""
    w = _window(heatmaps, peak, 1)
    step = 0.25 * torch.stack([w[..., 1, 2] - w[..., 1, 0], w[..., 2, 1] - w[..., 0, 1]], -1).sign()
    height, width = heatmaps.shape[-2:]
    return step * _between(peak, 1, (width - 1, height - 1)).unsqueeze(-1)


def _taylor_step(heatmaps: Tensor, peak: Tensor, sigma: float) -> Tensor:
    """The step from the highest pixel to the maximum of a Gaussian fitted there, at most one pixel per axis."""
    f = _blurred_window(heatmaps, peak, sigma).clamp_min(1e-10).log()
    dx, dy = (f[..., 2, 3] - f[..., 2, 1]) / 2, (f[..., 3, 2] - f[..., 1, 2]) / 2
    dxx = (f[..., 2, 4] - 2 * f[..., 2, 2] + f[..., 2, 0]) / 4
    dyy = (f[..., 4, 2] - 2 * f[..., 2, 2] + f[..., 0, 2]) / 4
    dxy = (f[..., 3, 3] - f[..., 1, 3] - f[..., 3, 1] + f[..., 1, 1]) / 4
    det = dxx * dyy - dxy * dxy
    is_peak = (det > 1e-8) & (dxx < 0)
    det = torch.where(is_peak, det, torch.ones_like(det))
    step = torch.stack([dxy * dy - dyy * dx, dxy * dx - dxx * dy], -1) / det.unsqueeze(-1)
    height, width = heatmaps.shape[-2:]
    inside = _between(peak, 1, (width - 2, height - 2))
    return step.clamp(-1, 1) * (is_peak & inside).unsqueeze(-1)


def _blurred_window(heatmaps: Tensor, peak: Tensor, sigma: float) -> Tensor:
    """(B, K, 5, 5) around peaks (B, K, 2), after a Gaussian blur of half the target's width.

    The blur reduces noise, and a blurred Gaussian is still a Gaussian. Only the pixels of the window are blurred; the
    whole map would be a hundred times more work.
    """
    reach = max(1, round(1.5 * sigma))
    xs = torch.arange(-reach, reach + 1, device=heatmaps.device, dtype=heatmaps.dtype)
    kernel = torch.exp(-xs.square() / (2 * (0.5 * sigma) ** 2))
    kernel = kernel / kernel.sum()
    maps = _window(heatmaps, peak, 2 + reach).flatten(0, 1).unsqueeze(1)
    maps = F.conv2d(F.conv2d(maps, kernel.view(1, 1, 1, -1)), kernel.view(1, 1, -1, 1))
    return maps.squeeze(1).unflatten(0, heatmaps.shape[:2])
