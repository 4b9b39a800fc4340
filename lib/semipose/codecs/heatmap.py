"""What codecs with one Gaussian heatmap for each keypoint have in common."""

import torch
from torch import Tensor, nn

from semipose.codecs.map_codec import MapCodec
from semipose.codecs.map_head import MapHead
from semipose.geometry import affine
from semipose.losses import heatmap_mse
from semipose.views.view import ViewMap


class HeatmapCodec(MapCodec):
    """Outputs and targets are heatmaps (B, K, h, w) with a peak of 1. Each codec adds how it decodes them."""

    has_maps = True

    def make_head(self, in_channels: int, hidden: int = 0) -> nn.Module:
        return MapHead(in_channels, self.settings.joints, hidden)

    def centre(self, points: Tensor) -> Tensor:
        """Where the Gaussians of points (..., 2) are drawn, in heatmap pixels."""
        return self.to_heatmap(points)

    def encode(self, points: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Heatmaps (B, K, h, w), and weights (B, K) that are 0 also where the Gaussian (3 sigma) is wholly outside."""
        centre, reach = self.centre(points), 3 * self.sigma
        width, height = self.size
        inside = between(centre, -reach, (width - 1 + reach, height - 1 + reach))
        seen = inside & (weights > 0)
        return draw_gaussians(centre, self.size, self.sigma) * seen[..., None, None], weights * inside

    def loss(self, output: Tensor, target: Tensor, head: nn.Module) -> Tensor:
        return heatmap_mse(output, target)

    def unmirror(self, output: Tensor, flip_order: Tensor) -> Tensor:
        return output.flip(-1)[:, flip_order]

    def warp(self, output: Tensor, view_map: ViewMap) -> Tensor:
        """Heatmaps of the source view as the target view should show them, channels swapped where mirrored."""
        to_view = affine.scaling(self.steps, self.offsets, output.device)
        to_source = affine.compose(affine.invert(to_view), affine.compose(view_map.to_source, to_view))
        return view_map.swap(affine.warp(output, to_source, self.size))


def draw_gaussians(centre: Tensor, size: tuple[int, int], sigma: float) -> Tensor:
    """Gaussians with a peak of 1 around centres (B, K, 2) in heatmap pixels: (B, K, h, w)."""
    xs, ys = (torch.arange(count, device=centre.device, dtype=centre.dtype) for count in size)
    along_x = torch.exp(-(xs - centre[..., :1]).square() / (2 * sigma**2))
    along_y = torch.exp(-(ys - centre[..., 1:]).square() / (2 * sigma**2))
    return along_y.unsqueeze(-1) * along_x.unsqueeze(-2)


def highest_pixels(heatmaps: Tensor) -> tuple[Tensor, Tensor]:
    """x and y (B, K, 2) of the highest pixels of (B, K, h, w), and their heights (B, K)."""
    width = heatmaps.shape[-1]
    height, flat = heatmaps.flatten(2).max(-1)
    return torch.stack([flat % width, flat // width], -1), height


def between(points: Tensor, low: float, high: tuple[float, float]) -> Tensor:
    """(...) bool, true where points (..., 2) lie above `low` and below `high`, both excluded.

    With numbers, not tensors: a tensor made from numbers on a GPU waits for all work queued there.
    """
    x, y = points.unbind(-1)
    return (x > low) & (x < high[0]) & (y > low) & (y < high[1])


def newton_step(dx: Tensor, dy: Tensor, dxx: Tensor, dyy: Tensor, dxy: Tensor) -> Tensor:
    """The step (..., 2) to the maximum of a surface with these derivatives (...); 0 where it has no maximum."""
    det = dxx * dyy - dxy * dxy
    is_peak = (det > 1e-8) & (dxx < 0)
    det = torch.where(is_peak, det, torch.ones_like(det))
    step = torch.stack([dxy * dy - dyy * dx, dxy * dx - dxx * dy], -1) / det.unsqueeze(-1)
    return step * is_peak.unsqueeze(-1)


def window(heatmaps: Tensor, peak: Tensor, radius: int) -> Tensor:
    """Pixels around peaks (B, K, 2): (B, K, 2r+1, 2r+1), edges repeated."""
    height, width = heatmaps.shape[-2:]
    reach = torch.arange(-radius, radius + 1, device=heatmaps.device)
    x = (peak[..., :1] + reach).clamp(0, width - 1)
    y = (peak[..., 1:] + reach).clamp(0, height - 1)
    index = (y.unsqueeze(-1) * width + x.unsqueeze(-2)).flatten(2)
    return heatmaps.flatten(2).gather(-1, index).unflatten(-1, (2 * radius + 1, 2 * radius + 1))
