"""From DEKR's maps to instances, for all pictures of a batch at once."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

MOST = 30  # instances that are looked at in a picture
FAINTEST = 0.01  # root score of an instance that is kept
NEIGHBOURHOOD = 5  # pixels each way in which a root is the maximum
SHIFTS = 5  # of a keypoint to the peak of its heatmap
SAME = 0.05  # two keypoints are the same within this share of the instance's diagonal


@dataclass(frozen=True)
class FoundInstances:
    """N candidates of each of B pictures, the best first; those that are not real have a root score of 0.

    Attributes:
        points: (B, N, K, 2) in map pixels.
        heights: (B, N, K), the heatmaps at these places.
        roots: (B, N), root scores.
    """

    points: Tensor
    heights: Tensor
    roots: Tensor

    @property
    def scores(self) -> Tensor:
        """(B, N, K), of the keypoints: their height times the root score."""
        return self.heights * self.roots.unsqueeze(-1)

    def sort(self) -> "FoundInstances":
        """The best first, by the mean score of their keypoints."""
        order = self.scores.mean(-1).argsort(dim=1, descending=True, stable=True)
        return FoundInstances(
            self.points.gather(1, order[..., None, None].expand_as(self.points)),
            self.heights.gather(1, order[..., None].expand_as(self.heights)), self.roots.gather(1, order),
        )  # fmt: skip

    def keep(self, real: Tensor) -> "FoundInstances":
        """Those where `real` (B, N) is true; the others get a root score of 0."""
        return FoundInstances(self.points, self.heights, self.roots * real)

    def shorten(self) -> "FoundInstances":
        """`MOST` at most, without the last ones that are real in no picture; at least one is left."""
        count = min(MOST, max(1, int((self.roots > 0).sum(1).max()))) if len(self.roots) else 1
        return FoundInstances(self.points[:, :count], self.heights[:, :count], self.roots[:, :count])


def find_instances(output: Tensor, joints: int, snap: float = 0.0) -> FoundInstances:
    """Instances (B, N, ...) in outputs (B, 3 K + 1, h, w): roots, their offsets, and duplicates left out.

    snap: see `to_peaks`; 0 = keypoints stay where the offsets put them.
    """
    heat, root, offsets = output.float().split([joints, 1, 2 * joints], 1)
    roots, places = find_roots(root.squeeze(1))
    width = heat.shape[-1]
    pixels = torch.stack([places % width, places // width], -1).to(heat.dtype)
    steps = offsets.flatten(2).gather(2, places.unsqueeze(1).expand(-1, 2 * joints, -1))
    points = pixels.unsqueeze(2) + steps.unflatten(1, (joints, 2)).movedim(-1, 1)
    if snap:
        points = to_peaks(heat, points, snap)
    return without_duplicates(FoundInstances(points, heights_at(heat, points), roots))


def to_peaks(heat: Tensor, points: Tensor, sigma: float) -> Tensor:
    """Points (B, N, K, 2), each moved towards the peak of its heatmap in (B, K, h, w) that is near.

    Mean shift: a point becomes the mean of the pixels around it, weighted by the square of their heights and a Gaussian
    of `sigma` pixels; `SHIFTS` times. Where the heatmap is empty it stays.
    """
    height, width = heat.shape[-2:]
    reach = max(1, round(3 * sigma))
    window = torch.arange(-reach, reach + 1, device=heat.device)
    flat = heat.clamp_min(0).square().flatten(2).unsqueeze(1).expand(-1, points.shape[1], -1, -1)
    for _ in range(SHIFTS):
        pixels = points.round().unsqueeze(-1) + window  # (B, N, K, 2, n)
        x, y = pixels.unbind(-2)
        near = torch.exp(-(pixels - points.unsqueeze(-1)).square() / (2 * sigma**2))
        on_map = (pixels >= 0) & (pixels < pixels.new_tensor([width, height]).view(2, 1))
        near_x, near_y = (near * on_map).unbind(-2)
        column, row = (v.nan_to_num(0).clamp(0, most - 1).long() for v, most in ((x, width), (y, height)))
        index = row.unsqueeze(-1) * width + column.unsqueeze(-2)
        weight = flat.gather(-1, index.flatten(-2)).unflatten(-1, index.shape[-2:])
        weight = weight * near_y.unsqueeze(-1) * near_x.unsqueeze(-2)
        total = weight.sum((-2, -1)).unsqueeze(-1)
        mean = torch.stack([(weight.sum(-2) * x).sum(-1), (weight.sum(-1) * y).sum(-1)], -1) / total.clamp_min(1e-6)
        points = torch.where(total > 1e-6, mean, points)
    return points


def without_duplicates(found: FoundInstances) -> FoundInstances:
    """The best `MOST` instances of each picture, of which no two are the same, the best first."""
    found = found.sort()
    return found.keep(~duplicates(found)).sort().shorten()


def find_roots(root: Tensor) -> tuple[Tensor, Tensor]:
    """Scores (B, N) and flat pixel numbers (B, N) of the highest local maxima of maps (B, h, w)."""
    reach = NEIGHBOURHOOD // 2
    along_y = F.max_pool2d(root.unsqueeze(1), (NEIGHBOURHOOD, 1), 1, (reach, 0))  # one axis at a time: half the time
    highest = F.max_pool2d(along_y, (1, NEIGHBOURHOOD), 1, (0, reach)).squeeze(1)
    peaks = torch.where((root == highest) & (root > FAINTEST), root, 0).flatten(1)
    return peaks.topk(min(MOST, peaks.shape[1]), dim=1)


def heights_at(heat: Tensor, points: Tensor) -> Tensor:
    """(B, N, K): heatmap k of (B, K, h, w) at point k of each instance (B, N, K, 2), bilinear; 0 outside."""
    batch, joints, height, width = heat.shape
    size = heat.new_tensor([max(width - 1, 1), max(height - 1, 1)])
    grid = (points * (2 / size) - 1).transpose(1, 2).reshape(batch * joints, 1, -1, 2)
    each = heat.reshape(batch * joints, 1, height, width)
    found = F.grid_sample(each, grid, mode="bilinear", padding_mode="zeros", align_corners=True)
    return found.reshape(batch, joints, -1).transpose(1, 2).clamp_min(0)


def duplicates(found: FoundInstances) -> Tensor:
    """(B, N) bool: more than half of the keypoints lie where those of a better instance lie. The best comes first."""
    points = found.points
    diagonals = (points.amax(2) - points.amin(2)).square().sum(-1).sqrt()  # (B, N)
    distances = (points.unsqueeze(2) - points.unsqueeze(1)).square().sum(-1).sqrt()  # (B, better, other, K)
    near = (distances <= SAME * diagonals[..., None, None]).sum(-1) * 2 > points.shape[2]
    gone = found.roots <= 0
    for n in range(points.shape[1]):
        hidden = near[:, n] & ~gone[:, n : n + 1]
        hidden[:, : n + 1] = False
        gone = gone | hidden
    return gone
