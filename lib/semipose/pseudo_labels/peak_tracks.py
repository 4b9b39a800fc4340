"""Time as a teacher among the peaks of heatmaps: the peaks that together make a steady motion are the track.

A teacher that takes one paw for another does so for several frames, so a look at the two neighbours does not tell. The
right place is often the second peak of the heatmap. Here a track goes through one peak of each frame (dynamic
programming, as Viterbi's); a pseudo-label then takes the peak that is nearest to its track.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from semipose.codecs import HeatmapCodec
from semipose.geometry import affine
from semipose.pseudo_labels.multiview import find_peaks, keep_near
from semipose.pseudo_labels.teacher_record import TeacherRecord
from semipose.views.view import View

PEAKS = 4  # of each heatmap, to choose from
LEAST = 0.02  # height of a peak; what is lower is no peak
MOST = 6.0  # nats that a break of the motion costs, however far the joint jumps
SHORTEST = 3  # frames of a track


@dataclass(frozen=True)
class PeakTracks:
    """Videos of the pool, and how steady a motion is.

    Attributes:
        videos: for each one its rows in the order of time.
        to_image: (N, 2, 3) from base-crop pixels to image pixels.
        reach: (N,) image pixels; a place that is so far from an even motion counts as exp(-1/2) of its peak.
    """

    videos: tuple[np.ndarray, ...]
    to_image: Tensor
    reach: Tensor

    def candidates(self, heatmaps: Tensor, view: View, codec: HeatmapCodec) -> Tensor:
        """(B, K, PEAKS, 3) x, y in base-crop pixels and height of the peaks, in the joint order of the base crop."""
        heights, cells = find_peaks(view.values_in_base(heatmaps), PEAKS)
        width = heatmaps.shape[-1]
        spots = codec.to_view(torch.stack([cells % width, cells // width], -1)).to(view.to_base.dtype)
        places = affine.apply(view.to_base, spots.flatten(1, 2)).view_as(spots)
        return torch.cat([places, heights.unsqueeze(-1).to(places)], dim=-1)

    def settle(self, record: TeacherRecord) -> None:
        """At the end of an epoch: the track through the peaks of each video becomes what the record has as past.

        Persons that no teacher has seen yet end a track. Where the track has a peak of less than `LEAST`, or there is
        none, the past has a peak of -inf.
        """
        peaks = record.candidates.cpu()
        places = affine.apply(self.to_image.cpu(), peaks[..., :2].flatten(1, 2)).view_as(peaks[..., :2]).numpy()
        heights, seen, reach = peaks[..., 2].numpy(), record.seen().cpu().numpy(), self.reach.cpu().numpy()
        record.past_peaks.fill_(-torch.inf)
        for video in self.videos:
            for rows in np.split(video, np.flatnonzero(~seen[video])):
                rows = rows[seen[rows]]
                if len(rows) >= SHORTEST:
                    chosen = torch.from_numpy(best_track(places[rows], heights[rows], reach[rows]))
                    track = torch.take_along_dim(peaks[rows], chosen[..., None, None], dim=2).squeeze(2)
                    _keep_as_past(record, torch.from_numpy(rows), track)

    def __call__(
        self, heatmaps: Tensor, candidates: Tensor, index: Tensor, view: View, record: TeacherRecord
    ) -> tuple[Tensor, Tensor]:
        """Heatmaps (B, K, h, w) of `view` in which only the peak that fits the track is left where that is not the
        highest one; and (B, K) weights in the joint order of the base crop, exp(-d^2 / (2 reach^2)) of its distance d.

        Joints without a track are left as they are.

        Args:
            candidates: of these heatmaps.
            index: (B,) rows of the unlabelled persons.
        """
        known, to_image = record.past_peaks[index] > -torch.inf, self.to_image[index]
        track = affine.apply(to_image, record.past_keypoints[index]).unsqueeze(2)
        places = affine.apply(to_image, candidates[..., :2].flatten(1, 2)).view_as(candidates[..., :2])
        off = 0.5 * ((places - track).norm(dim=-1) / self.reach[index, None, None]).square()
        heights = candidates[..., 2]
        fit = torch.where(heights > LEAST, heights.clamp_min(LEAST).log() - off.clamp_max(MOST), -torch.inf)
        best = fit.argmax(-1, keepdim=True)
        weights = torch.where(known, torch.exp(-off.gather(2, best).squeeze(2)), 1)
        maps = view.values_in_base(heatmaps)
        cells = find_peaks(maps, PEAKS)[1].gather(2, best)
        kept = keep_near(maps, cells, known & (best.squeeze(2) > 0))
        return view.from_base().swap(kept), weights


def _keep_as_past(record: TeacherRecord, rows: Tensor, track: Tensor) -> None:
    """`track` (T, K, 3) x, y and height, for rows (T,)."""
    rows, heights = rows.to(record.stamp.device), torch.where(track[..., 2] > LEAST, track[..., 2], -torch.inf)
    record.past_keypoints[rows] = track[..., :2].to(record.past_keypoints)
    record.past_peaks[rows] = heights.to(record.past_peaks)


def best_track(places: np.ndarray, heights: np.ndarray, reach: np.ndarray) -> np.ndarray:
    """(T, K) int64: which peak of each frame the track of each joint takes.

    It maximises the sum of the logarithms of the heights minus, for each three frames, half the square of the distance
    from an even motion in units of the reach, at most `MOST`.

    Args:
        places: (T, K, n, 2); heights: (T, K, n); reach: (T,), in the same pixels.
    """
    gains = np.log(np.maximum(heights, LEAST))
    score = gains[0][:, :, None] + gains[1][:, None, :]  # (K, n, n): of the last two peaks
    back = []
    for frame in range(2, len(places)):
        expected = 2 * places[frame - 1][:, None, :] - places[frame - 2][:, :, None]  # (K, n, n, 2)
        off = np.square(places[frame][:, None, None] - expected[:, :, :, None]).sum(-1) / reach[frame] ** 2
        total = score[..., None] - np.minimum(0.5 * off, MOST)
        back.append(total.argmax(1))
        score = total.max(1) + gains[frame][:, None, :]
    joints, count = np.arange(places.shape[1]), places.shape[2]
    before, last = np.divmod(score.reshape(len(joints), -1).argmax(1), count)
    path = [last, before]
    for best in back[::-1]:
        path.append(best[joints, path[-1], path[-2]])
    return np.stack(path[::-1]).astype(np.int64)
