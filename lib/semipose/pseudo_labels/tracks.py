"""Time as a teacher: in a video, what a teacher says about the frames before and after must fit what it says now."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from semipose.geometry import affine
from semipose.pseudo_labels.teacher_record import TeacherRecord


class Tracked(NamedTuple):
    """What time makes of predictions, in pixels and joint order of the base crop: keypoints (B, K, 2), scores and
    weights (B, K)."""

    keypoints: Tensor
    scores: Tensor
    weights: Tensor


@dataclass(frozen=True)
class Tracks:
    """The neighbours in time of each unlabelled person, and how far a joint may jump.

    The places of neighbours are those that the teacher's record had at the end of the last epoch: so neither the order
    of the batches nor the number of ranks matters. They are compared in image pixels, as neighbours have crops of their
    own. A joint without both neighbours, or of whose neighbours the teacher was not sure, is left as it is.

    Attributes:
        neighbours: (N, 2) int64 rows before and after; -1 = there is none.
        to_image: (N, 2, 3) from base-crop pixels to image pixels.
        reach: (N,) image pixels; a joint that jumps so far has a weight of exp(-1/2).
        smooth: where the places before and after agree, the joint moves to the mean of the track.
    """

    neighbours: Tensor
    to_image: Tensor
    reach: Tensor
    smooth: bool = False

    def __call__(
        self, index: Tensor, keypoints: Tensor, scores: Tensor, record: TeacherRecord, min_score: float
    ) -> Tracked:  # fmt: skip
        """Judges the predictions of one batch.

        A jump is the distance to the nearest of three places: before, after, and the middle between them; so an even
        motion is no jump, nor is a start or a stop. The weight is exp(-(jump / reach)^2 / 2).

        With `smooth`, where the places before and after are at most twice the reach apart, the joint becomes their mean
        with the own place, which counts by its weight, or not at all below `min_score`. There the weight is 1.

        Args:
            index: (B,) rows of the unlabelled persons.
            keypoints, scores: (B, K, 2) and (B, K) of the teacher, in pixels and joint order of the base crop.
            record: of the teacher, which keeps its past.
            min_score: of joints that count.
        """
        (before, after), (score_before, score_after), known = self._beside(index, record, min_score)
        own, reach = affine.apply(self.to_image[index], keypoints), self.reach[index].unsqueeze(1)
        near = torch.stack([before, after, (before + after) / 2])
        jump = (near - own).norm(dim=-1).amin(0) / reach
        weights = torch.where(known, torch.exp(-0.5 * jump.square()), 1)
        if not self.smooth:
            return Tracked(keypoints, scores, weights)
        agree = known & ((after - before).norm(dim=-1) <= 2 * reach)
        share = weights * (scores >= min_score)
        mean = (before + share.unsqueeze(-1) * own + after) / (2 + share.unsqueeze(-1))
        mean = affine.apply(affine.invert(self.to_image[index]), mean)
        mean_score = (score_before + share * scores + score_after) / (2 + share)
        return Tracked(
            torch.where(agree.unsqueeze(-1), mean, keypoints),
            torch.where(agree, mean_score, scores),
            torch.where(agree, 1, weights),
        )

    def _beside(self, index: Tensor, record: TeacherRecord, min_score: float) -> tuple[Tensor, Tensor, Tensor]:
        """Places (2, B, K, 2) in image pixels and scores (2, B, K) before and after; (B, K) bool where both count."""
        rows = self.neighbours[index].T
        there, rows = rows >= 0, rows.clamp_min(0).flatten()
        places = affine.apply(self.to_image[rows], record.past_keypoints[rows]).unflatten(0, (2, -1))
        scores = record.past_peaks[rows].unflatten(0, (2, -1))
        return places, scores, (there.unsqueeze(-1) & (scores >= min_score)).all(0)
