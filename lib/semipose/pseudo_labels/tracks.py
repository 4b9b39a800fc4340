"""Time as a teacher: in a video, what a teacher says about the frames before and after must fit what it says now."""

from dataclasses import dataclass

import torch
from torch import Tensor

from semipose.geometry import affine
from semipose.pseudo_labels.teacher_record import TeacherRecord


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
    """

    neighbours: Tensor
    to_image: Tensor
    reach: Tensor

    def __call__(self, index: Tensor, keypoints: Tensor, record: TeacherRecord, min_score: float) -> Tensor:
        """(B, K) weights exp(-(jump / reach)^2 / 2) of the joints of one batch.

        A jump is the distance to the nearest of three places: before, after, and the middle between them; so an even
        motion is no jump, nor is a start or a stop.

        Args:
            index: (B,) rows of the unlabelled persons.
            keypoints: (B, K, 2) of the teacher, in pixels and joint order of the base crop.
            record: of the teacher, which keeps its past.
            min_score: of neighbours that count.
        """
        (before, after), known = self._beside(index, record, min_score)
        own = affine.apply(self.to_image[index], keypoints)
        near = torch.stack([before, after, (before + after) / 2])
        jump = (near - own).norm(dim=-1).amin(0) / self.reach[index].unsqueeze(1)
        return torch.where(known, torch.exp(-0.5 * jump.square()), 1)

    def _beside(self, index: Tensor, record: TeacherRecord, min_score: float) -> tuple[Tensor, Tensor]:
        """Places (2, B, K, 2) before and after, in image pixels; (B, K) bool where both count."""
        rows = self.neighbours[index].T
        there, rows = rows >= 0, rows.clamp_min(0).flatten()
        places = affine.apply(self.to_image[rows], record.past_keypoints[rows]).unflatten(0, (2, -1))
        scores = record.past_peaks[rows].unflatten(0, (2, -1))
        return places, (there.unsqueeze(-1) & (scores >= min_score)).all(0)
