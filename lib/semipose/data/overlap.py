"""Images of training that a validation set shows too: the same files, their copies, and frames of the same video."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from semipose.data.formats.video import frame_numbers, video_thumbnails
from semipose.data.same_files import RealPaths, same_files
from semipose.data.thumbnails import find_alike, read_thumbnails
from semipose.data.video_frames import near_frames
from semipose.errors import DataError
from semipose.structures import Persons

LABELLED, POOL = "labelled", "unlabelled"
SHOWN = 3


@dataclass(frozen=True)
class OverlapOptions:
    """How training is compared with validation.

    Attributes:
        pictures: sources of more images are compared by path and content only; 0 = all of them.
        guard: frames of a video on each side of one that validation shows, which are left out of the pool with it.
        folder: where thumbnails are kept.
    """

    pictures: int = 20000
    guard: int = 5
    folder: str = ""


@dataclass(frozen=True)
class Part:
    """The persons of one source of one side of training; `video`: they are whole frames of a video."""

    side: str
    name: str
    persons: Persons
    video: bool = False


@dataclass(frozen=True)
class Overlap:
    """What a part has in common with validation.

    Attributes:
        shown: (I,) bool, images of the part that a validation set has too.
        beside: (I,) bool, other frames of a video, next to one that validation shows.
        twins: the validation image that each shown image is, by row.
        by_picture: whether pictures were compared, not only paths and content.
    """

    part: Part
    shown: np.ndarray
    beside: np.ndarray
    twins: dict[int, str] = field(default_factory=dict)
    by_picture: bool = False

    @property
    def rest(self) -> Persons:
        """The persons on the other images."""
        persons = self.part.persons
        return persons.take(~(self.shown | self.beside)[persons.image_index])

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Each shown image and its twin in validation."""
        return [(str(self.part.persons.image_paths[row]), twin) for row, twin in sorted(self.twins.items())]

    def __str__(self) -> str:
        pairs = [twin if path == twin else f"{twin} (as {path})" for path, twin in self.pairs[:SHOWN]]
        return ", ".join(pairs) + (", ..." if len(self.twins) > SHOWN else "")


class HeldOut:
    """The images of all validation sets."""

    def __init__(self, validation: Sequence[Persons], options: OverlapOptions, files: RealPaths):
        self.options, self.files = options, files
        self.paths = list(dict.fromkeys(path for persons in validation for path in used_images(persons).values()))
        self._thumbnails = None

    @property
    def has_pictures(self) -> bool:
        return 0 < len(self.paths) <= self.options.pictures

    @property
    def thumbnails(self) -> np.ndarray:
        """(A, 32, 32) uint8, read when they are needed."""
        if self._thumbnails is None:
            self._thumbnails = read_thumbnails(self.paths, self.options.folder)
        return self._thumbnails

    def compare(self, part: Part) -> Overlap:
        """What the images of `part` that have a person have in common with these."""
        images = used_images(part.persons)
        by_file = same_files(images.values(), self.paths, self.files)
        twins = {row: by_file[path] for row, path in images.items() if path in by_file}
        none = np.zeros(len(part.persons.image_paths), bool)
        overlap = Overlap(part, none, none.copy(), twins)
        if part.video and self.has_pictures:
            overlap = self._compare_video(overlap)
        elif self.has_pictures and len(images) <= self.options.pictures:
            overlap = self._compare_pictures(overlap, images)
        overlap.shown[list(overlap.twins)] = True
        return overlap

    def _compare_pictures(self, overlap: Overlap, images: dict[int, str]) -> Overlap:
        alike = find_alike(self.thumbnails, read_thumbnails(list(images.values()), self.options.folder))
        seen = {row: self.paths[held] for row, held in zip(images, alike.tolist()) if held >= 0}
        return replace(overlap, twins=seen | overlap.twins, by_picture=True)

    def _compare_video(self, overlap: Overlap) -> Overlap:
        """All frames of the video count, also those between the ones that are taken."""
        paths = overlap.part.persons.image_paths
        alike, numbers = find_alike(self.thumbnails, video_thumbnails(paths[0])), frame_numbers(paths)
        seen = {row: self.paths[held] for row, held in enumerate(alike[numbers].tolist()) if held >= 0}
        near = near_frames(alike >= 0, self.options.guard)[numbers]
        near[list(seen)] = False
        return replace(overlap, beside=near, twins=seen | overlap.twins, by_picture=True)


def used_images(persons: Persons) -> dict[int, str]:
    """The path of each image that has a person, by its row."""
    return {row: str(persons.image_paths[row]) for row in np.unique(persons.image_index).tolist()}


def refuse_shared(overlaps: Sequence[Overlap]) -> None:
    """Raises DataError if a training set has images of validation."""
    for overlap in overlaps:
        if overlap.twins:
            raise DataError(
                f"{len(overlap.twins)} validation images are also in the {overlap.part.side} set "
                f"{overlap.part.name!r}: {overlap}; split them first"
            )
