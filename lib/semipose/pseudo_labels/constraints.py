"""What must hold for pseudo-labels, whatever a teacher says."""

from dataclasses import dataclass

from semipose.pseudo_labels.multiview import Multiview
from semipose.pseudo_labels.peak_tracks import PEAKS, PeakTracks
from semipose.pseudo_labels.pose_space import PoseSpace
from semipose.pseudo_labels.tracks import Tracks


@dataclass(frozen=True)
class Constraints:
    """Each is None where it is not used.

    Attributes:
        multiview: keypoints that a picture shows twice must fit together.
        tracks: joints must not jump against both neighbours in time.
        peak_tracks: joints must be where the tracks through the peaks of all frames are.
        poses: poses must be like labelled ones.
    """

    multiview: Multiview | None = None
    tracks: Tracks | None = None
    peak_tracks: PeakTracks | None = None
    poses: PoseSpace | None = None

    @property
    def judges(self) -> bool:
        """Whether anything but `multiview` is used."""
        return any(part is not None for part in (self.tracks, self.peak_tracks, self.poses))

    @property
    def kept(self) -> tuple[bool, int]:
        """Whether the record of a teacher keeps its past, and how many peaks of each heatmap."""
        return self.tracks is not None or self.peak_tracks is not None, 0 if self.peak_tracks is None else PEAKS


UNCONSTRAINED = Constraints()
