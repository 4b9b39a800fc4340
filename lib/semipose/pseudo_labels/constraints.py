"""What must hold for pseudo-labels, whatever a teacher says."""

from dataclasses import dataclass

from torch import Tensor

from semipose.pseudo_labels.multiview import Multiview
from semipose.pseudo_labels.pose_space import PoseSpace
from semipose.pseudo_labels.teacher_record import TeacherRecord
from semipose.pseudo_labels.tracks import Tracked, Tracks


@dataclass(frozen=True)
class Constraints:
    """Each is None where it is not used.

    Attributes:
        multiview: keypoints that a picture shows twice must fit together.
        tracks: joints must not jump in time.
        poses: poses must be like labelled ones.
    """

    multiview: Multiview | None = None
    tracks: Tracks | None = None
    poses: PoseSpace | None = None

    @property
    def judges(self) -> bool:
        """Whether `judge` does anything."""
        return self.tracks is not None or self.poses is not None

    @property
    def moves(self) -> bool:
        """Whether `judge` gives other keypoints and scores, not only weights."""
        return self.tracks is not None and self.tracks.smooth

    def judge(
        self, index: Tensor, keypoints: Tensor, scores: Tensor, record: TeacherRecord, min_score: float
    ) -> Tracked:
        """What tracks and plausible poses make of the predictions of one batch; the arguments are those of `Tracks`."""
        found = Tracked(keypoints, scores, scores.new_ones(()).expand_as(scores))
        if self.tracks is not None:
            found = self.tracks(index, keypoints, scores, record, min_score)
        if self.poses is not None:
            plausible = self.poses(found.keypoints, found.scores >= min_score)
            found = found._replace(weights=found.weights * plausible)
        return found


UNCONSTRAINED = Constraints()
