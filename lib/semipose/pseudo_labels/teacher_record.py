"""The newest predictions of a teacher on the unlabelled images, and the easy/hard split made from them."""

import torch
import torch.distributed as dist
from torch import Tensor, nn

from semipose.pseudo_labels.difficulty import MIN_IMAGES, Difficulty, SplitReport, image_scores
from semipose.runtime.ranks import rank, ranks

NEVER = -1


class TeacherRecord(nn.Module):
    """The newest prediction for each unlabelled person, and the easy/hard split fitted to them once an epoch.

    The predictions come from passes that training makes anyway. All tensors are buffers, so that a checkpoint keeps
    them. Algorithms keep a record outside their own state: so `best.pth` stays small, and each of several processes
    fills its own record.

    Attributes:
        keypoints: (N, K, 2) float32, base-crop pixels.
        peaks: (N, K) float32, heatmap maxima.
        stamp: (N,) int64, step of the newest prediction; -1 = never seen.
        counts: (N, 2) int32 of whole pictures, see `Summary.counts`; None of single persons.
        past_keypoints, past_peaks: keypoints and peaks as they were at the end of the last epoch, or the track that was
            made of them; peaks of -inf where there was none. All ranks have the same, and a stop within an epoch does
            not change them. None where they are not kept.
        candidates: (N, K, C, 3) float32, see `PeakTracks.candidates`; None without tracks.
        difficulty: the split.

    Args:
        size: N, unlabelled persons or whole pictures.
        joints: K, keypoints of the skeleton.
        instances: they are whole pictures with any number of instances.
        past: keep what was said until the end of the last epoch.
        candidates: C, peaks of each heatmap that are kept; 0 = none.
    """

    def __init__(self, size: int, joints: int, instances: bool = False, past: bool = False, candidates: int = 0):
        super().__init__()
        self.register_buffer("keypoints", torch.zeros(size, joints, 2))
        self.register_buffer("peaks", torch.zeros(size, joints))
        self.register_buffer("stamp", torch.full((size,), NEVER))
        self.register_buffer("counts", torch.zeros(size, 2, dtype=torch.int32) if instances else None)
        self.register_buffer("past_keypoints", torch.zeros(size, joints, 2) if past else None)
        self.register_buffer("past_peaks", torch.full((size, joints), -torch.inf) if past else None)
        self.register_buffer("candidates", torch.zeros(size, joints, candidates, 3) if candidates else None)
        self.difficulty = Difficulty(joints)

    @torch.no_grad()
    def fill(
        self, index: Tensor, keypoints: Tensor, peaks: Tensor, step: int, counts: Tensor | None = None
    ) -> None:  # fmt: skip
        """Keep the predictions of one batch. Nothing leaves the device.

        Args:
            index: (B,) int64, rows; if a row comes twice, the later one in the batch is kept.
            keypoints: (B, K, 2) base-crop pixels, in the joint order of the base crop.
            peaks: (B, K) heatmap maxima, in the joint order of the base crop.
            step: of the training run.
            counts: (B, 2), of whole pictures.
        """
        newest = _last_of_each(index)
        self.keypoints[index] = keypoints.detach().to(self.keypoints.dtype)[newest]
        self.peaks[index] = peaks.detach().to(self.peaks.dtype)[newest]
        if counts is not None:
            self.counts[index] = counts.to(self.counts.dtype)[newest]
        self.stamp.index_fill_(0, index, step)

    @torch.no_grad()
    def fill_candidates(self, index: Tensor, candidates: Tensor) -> None:
        """Keep the peaks of one batch, (B, K, C, 3); as `fill`."""
        self.candidates[index] = candidates.to(self.candidates.dtype)[_last_of_each(index)]

    def seen(self) -> Tensor:
        """(N,) bool, true for the persons that have a prediction."""
        return self.stamp > NEVER

    @torch.no_grad()
    def easy(self, peaks: Tensor) -> Tensor | None:
        """(B,) bool, which images with heatmap maxima (B, K) are easy; None while there is no split."""
        return self.difficulty.p_easy(image_scores(peaks)) > 0.5 if self.difficulty.ready else None

    def refit(self, first_step: int = 0) -> SplitReport:
        """At the end of an epoch: fit the split to the images seen in it, by any process, and keep all as past.

        Scores rise while a teacher learns: of an epoch that is shorter than the pool, a split of all scores so far
        would part old ones from new ones. Where the epoch has too few for a split, all are taken.

        Args:
            first_step: of the epoch.
        """
        self.gather()
        if self.past_keypoints is not None:
            self.past_keypoints.copy_(self.keypoints)
            self.past_peaks.copy_(torch.where(self.seen().unsqueeze(1), self.peaks, -torch.inf))
        fresh = self.stamp >= max(0, first_step)
        return self.difficulty.refit(self.peaks[fresh if fresh.sum() >= MIN_IMAGES else self.seen()])

    @torch.no_grad()
    def gather(self) -> None:
        """Give every rank the newest entries of all ranks; if two are equally new, that of the lower rank.

        Every rank must call it at the same place. With one process it does nothing.
        """
        if ranks() == 1:
            return
        newest = self.stamp.clone()
        dist.all_reduce(newest, dist.ReduceOp.MAX)
        owner = torch.where(self.stamp == newest, rank(), ranks())
        dist.all_reduce(owner, dist.ReduceOp.MIN)
        for values in (
            self.keypoints,
            self.peaks,
            *filter(lambda kept: kept is not None, (self.counts, self.candidates)),
        ):
            _take_from_owner(values, owner == rank())
        self.stamp.copy_(newest)


def _last_of_each(index: Tensor) -> Tensor:
    """(B,) for each position in a batch the last position with the same row.

    So repeated rows write equal values: the order of such writes is not defined.
    """
    places = torch.arange(len(index), device=index.device)
    return torch.where(index.unsqueeze(1) == index, places, 0).amax(1)


def _take_from_owner(values: Tensor, mine: Tensor) -> None:
    """Replace (N, ...) `values` on each rank by those of the one rank where `mine` (N,) is true.

    Integers are summed, since a float sum would turn -0.0 to 0.0: the owner keeps its values bit for bit.
    """
    shape = (-1,) + (1,) * (values.dim() - 1)
    bits = torch.where(mine.view(shape), values.view(torch.int32), 0)
    dist.all_reduce(bits)
    values.copy_(bits.view(values.dtype))
