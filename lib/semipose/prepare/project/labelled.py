"""Labels that were read, as one side of a project."""

import os
from dataclasses import dataclass, field

from semipose.prepare.project.contents import LabelFile
from semipose.prepare.project.hold_out import HeldOut
from semipose.prepare.project.keypoints import Keypoints
from semipose.structures import Persons


@dataclass
class Labelled:
    """A file or folder of labels as it was read.

    Attributes:
        entry: the keys of the source.
        persons: those with a labelled keypoint, in its own keypoints.
        covered: images whose individuals have boxes in it, with or without keypoints.
        held_out: its validation pictures.
    """

    file: LabelFile
    keypoints: Keypoints
    entry: dict
    persons: Persons
    covered: set[str] = field(default_factory=set)
    held_out: HeldOut | None = None

    @property
    def paths(self) -> list[str]:
        """Of the labelled pictures."""
        return sorted({os.path.normpath(self.persons.path(row)) for row in range(len(self.persons))})

    @property
    def points(self) -> int:
        return int((self.persons.keypoints[..., 2] > 0).sum())

    def __str__(self) -> str:
        share = f"{len(self.persons)} labelled individuals on {len(self.paths)} pictures, {self.points} points"
        return f"{self.file.annotation} ({self.entry.get('format', self.file.kind)}): {share}"
