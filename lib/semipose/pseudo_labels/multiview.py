"""Keypoints that one picture shows twice, by a mirror or from a second camera: the two places must fit together.

A point in space has three coordinates, two pictures of it have four, so one linear combination of the four is (nearly)
constant. It is fitted to the labels (multi-view constraint of lightning-pose, Biderman et al., Nature Methods 2024). A
teacher that takes one paw for another breaks it. Here the constraint chooses among the peaks of both heatmaps, so the
pseudo-label moves to the peak that fits.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from semipose.codecs import HeatmapCodec
from semipose.errors import DataError
from semipose.geometry import affine
from semipose.views.view import View

PEAKS = 6  # of each heatmap, to choose from
PEAK_RADIUS = 2  # heatmap pixels around a peak that belong to it
FAINTEST = 1e-3  # smallest height of a peak
FEWEST = 5  # labelled pairs; fewer do not show a constraint on four numbers


@dataclass(frozen=True)
class Multiview:
    """The constraint `normal . (x1, y1, x2, y2) = offset` in base-crop pixels.

    Attributes:
        pairs: (first, second) indices of keypoints that are the same point in space.
        normal: 4 numbers, of length 1.
        offset: pixels.
        sigma: pixels; a peak that misses the constraint by so much counts as exp(-1/2) of its height.
    """

    pairs: tuple[tuple[int, int], ...]
    normal: tuple[float, float, float, float]
    offset: float
    sigma: float

    def __call__(self, heatmaps: Tensor, view: View, codec: HeatmapCodec) -> Tensor:
        """Heatmaps (B, K, h, w) of `view`; where another pair of peaks fits better, only that pair is kept.

        The best pair has the largest height * height * exp(-miss^2 / (2 sigma^2)).
        """
        maps = view.values_in_base(heatmaps)
        first, second = zip(*self.pairs)
        # one by one: a list as index becomes a tensor, and the CPU would wait for the GPU
        twins = torch.stack([maps[:, joint] for joint in (*first, *second)], dim=1)
        heights, cells = find_peaks(twins, PEAKS)
        width = heatmaps.shape[-1]
        spots = codec.to_view(torch.stack([cells % width, cells // width], -1))
        places = affine.apply(view.to_base, spots.flatten(1, 2).to(view.to_base.dtype)).view_as(spots)
        miss = self._miss(*places.chunk(2, dim=1))
        logs = heights.clamp_min(FAINTEST).log()
        fit = logs[:, : len(first), :, None] + logs[:, len(first) :, None, :] - 0.5 * (miss / self.sigma).square()
        best = fit.flatten(2).argmax(-1)
        chosen = torch.cat([best // PEAKS, best % PEAKS], dim=1)  # (B, 2P)
        spot = cells.gather(2, chosen.unsqueeze(-1))
        kept = maps.clone()
        for joint, left in zip((*first, *second), keep_near(twins, spot, chosen > 0).unbind(1)):
            kept[:, joint] = left
        return view.from_base().swap(kept)

    def _miss(self, first: Tensor, second: Tensor) -> Tensor:
        """(B, P, n, n) distance from the constraint of all combinations of (B, P, n, 2) and (B, P, n, 2), pixels."""
        ax, ay, bx, by = self.normal
        one = ax * first[..., 0] + ay * first[..., 1]
        two = bx * second[..., 0] + by * second[..., 1]
        return one.unsqueeze(-1) + two.unsqueeze(-2) - self.offset


def fit_multiview(keypoints: np.ndarray, pairs: tuple[tuple[int, int], ...], tolerance: float) -> Multiview:
    """The constraint that labelled keypoints obey best, over all pairs together (the smallest principal component).

    Args:
        keypoints: (N, K, 3) x, y in base-crop pixels, and above 0 where labelled.
        tolerance: pixels; `sigma` is this, or twice the spread of the labels around the constraint if that is more.

    Raises:
        DataError: fewer than five pairs are labelled.
    """
    rows = np.concatenate([np.concatenate([keypoints[:, a], keypoints[:, b]], axis=1) for a, b in pairs])
    rows = rows[(rows[:, 2] > 0) & (rows[:, 5] > 0)][:, [0, 1, 3, 4]].astype(np.float64)
    if len(rows) < FEWEST:
        raise DataError(f"PSEUDO.MULTIVIEW_PAIRS: {len(rows)} pairs are labelled in both views; {FEWEST} are needed")
    normal = np.linalg.svd(rows - rows.mean(axis=0))[2][3]
    miss = (rows - rows.mean(axis=0)) @ normal
    return Multiview(
        tuple(pairs), tuple(normal.tolist()), float(rows.mean(axis=0) @ normal), max(tolerance, 2 * float(miss.std()))
    )


def find_peaks(maps: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """(B, P, count) heights and cells of the highest local maxima, highest first; height 0 where there are fewer."""
    size = 2 * PEAK_RADIUS + 1
    highest = torch.nn.functional.max_pool2d(maps, size, stride=1, padding=PEAK_RADIUS)
    return torch.where(maps == highest, maps, 0).flatten(2).topk(count, dim=2)


def keep_near(maps: Tensor, cells: Tensor, changed: Tensor) -> Tensor:
    """Maps (B, P, h, w); where `changed` (B, P), all but the surroundings of the cell (B, P, 1) is set to 0."""
    height, width = maps.shape[-2:]
    ys, xs = torch.arange(height, device=maps.device), torch.arange(width, device=maps.device)
    near_x = (xs - cells % width).abs() <= PEAK_RADIUS  # (B, P, w)
    near_y = (ys - cells // width).abs() <= PEAK_RADIUS
    near = near_y.unsqueeze(-1) & near_x.unsqueeze(-2)
    return torch.where(near | ~changed[..., None, None], maps, 0)
