"""Images of training that a validation set shows too: the same files, their copies, and frames of the same video."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from semipose.data.formats.video import frame_numbers, video_thumbnails
from semipose.data.frame_series import NUMBERED
from semipose.data.same_files import RealPaths, same_files
from semipose.data.thumbnails import find_alike, is_plain, look_same, read_thumbnails, show_one_scene
from semipose.data.video_frames import near_frames
from semipose.errors import DataError
from semipose.structures import Persons

LABELLED, POOL = "labelled", "unlabelled"
SHOWN = 3


@dataclass(frozen=True)
class OverlapOptions:
    """How training is compared with validation.

    Attributes:
        pictures: sources of more images, or all if validation has more, are compared by path and content only.
        guard: frames of a video on each side of one that validation shows, which are left out of the pool with it.
        folder: where thumbnails are kept.
    """

    pictures: int = 20000
    guard: int = 5
    folder: str = ""


@dataclass(frozen=True)
class Part:
    """The persons of one source of one side of training; `video`: they are whole frames of a video; `key`: where the
    configuration names it."""

    side: str
    name: str
    persons: Persons
    video: bool = False
    key: str = ""


@dataclass(frozen=True)
class Overlap:
    """What a part of training has in common with validation.

    Attributes:
        side, name, key: of the part.
        images: how many have a person.
        twins: by the row of an image in the part its path, and the validation image that it is.
        beside: rows of other frames of a video, or of numbered images of one scene, next to one that validation shows.
        by_picture: whether pictures were compared, not only paths and content.
        unclear: validation images that are too plain to be known by their picture, or cannot be read.
    """

    side: str
    name: str
    images: int
    twins: dict[int, tuple[str, str]]
    beside: tuple[int, ...] = ()
    by_picture: bool = False
    unclear: int = 0
    key: str = ""

    def rest(self, persons: Persons) -> Persons:
        """The persons of the part on its other images."""
        return persons.take(~np.isin(persons.image_index, [*self.twins, *self.beside]))

    @property
    def place(self) -> str:
        """The part as the configuration has it."""
        key = f" ({self.key})" if self.key else ""
        return f"{'the labelled set' if self.side == LABELLED else 'the pool'} {self.name!r}{key}"

    @property
    def remedy(self) -> str:
        """What can be done where it is refused."""
        if self.side == LABELLED:
            return "take them out of one of the two sets; `semipose split` makes sets that share no image"
        if self.images > len(self.twins) + len(self.beside):
            return "DATASET.OVERLAP.POOL leave_out leaves them out of the pool"
        return "nothing of it would be left: name other images as the pool"

    @property
    def names(self) -> str:
        """The first images."""
        pairs = list(self.twins.values())
        shown = [twin if path == twin else f"{twin} (as {path})" for path, twin in pairs[:SHOWN]]
        return ", ".join(shown) + (", ..." if len(pairs) > SHOWN else "")


class HeldOut:
    """The images of all validation sets, to compare the parts of training with."""

    def __init__(self, validation: Sequence[Persons], options: OverlapOptions, files: RealPaths):
        self.options, self.files = options, files
        self.paths = list(dict.fromkeys(path for persons in validation for path in used_images(persons).values()))
        self._thumbnails = None

    @property
    def thumbnails(self) -> np.ndarray:
        """(A, 32, 32) uint8, read when they are needed."""
        if self._thumbnails is None:
            self._thumbnails = read_thumbnails(self.paths, self.options.folder)
        return self._thumbnails

    def compare(self, part: Part) -> Overlap:
        """What the images of `part` that have a person have in common with these."""
        images = used_images(part.persons)
        twins = same_files(images.values(), self.paths, self.files)
        twins = {row: (path, twins[path]) for row, path in images.items() if path in twins}
        overlap = Overlap(part.side, part.name, len(images), twins, key=part.key)
        if not 0 < len(self.paths) <= self.options.pictures or not images:
            return overlap
        if not part.video and len(images) > self.options.pictures:
            return overlap
        overlap = replace(overlap, by_picture=True, unclear=int(is_plain(self.thumbnails).sum()))
        return (self._compare_video if part.video else self._compare_pictures)(overlap, images)

    def _compare_pictures(self, overlap: Overlap, images: dict[int, str]) -> Overlap:
        thumbnails = read_thumbnails(list(images.values()), self.options.folder)
        twins = self._twins(images, find_alike(self.thumbnails, thumbnails), overlap.twins)
        by_row = dict(zip(images, thumbnails))
        return replace(overlap, twins=twins, beside=_numbered_beside(images, by_row, twins, self.options.guard))

    def _compare_video(self, overlap: Overlap, images: dict[int, str]) -> Overlap:
        """All frames of the video count, also those between the ones that are taken."""
        numbers = frame_numbers(list(images.values()))
        alike = find_alike(self.thumbnails, video_thumbnails(next(iter(images.values()))))
        twins = self._twins(images, alike[numbers], overlap.twins)
        alike[numbers[[row not in twins for row in images]]] = -1  # those that do not look the same closely
        near = near_frames(alike >= 0, self.options.guard)[numbers]
        beside = tuple(row for row, is_near in zip(images, near.tolist()) if is_near and row not in twins)
        return replace(overlap, twins=twins, beside=beside)

    def _twins(self, images: dict[int, str], alike: np.ndarray, known: dict) -> dict[int, tuple[str, str]]:
        """The twins that are known by path and content, and those that look the same."""
        pairs = {row: (images[row], self.paths[held]) for row, held in zip(images, alike.tolist()) if held >= 0}
        pairs = {row: pair for row, pair in pairs.items() if row not in known}
        with ThreadPoolExecutor(os.cpu_count()) as threads:
            same = list(threads.map(lambda pair: look_same(*pair), pairs.values()))
        return {row: pair for (row, pair), is_same in zip(pairs.items(), same) if is_same} | known


def _numbered_beside(
    images: dict[int, str], thumbnails: dict[int, np.ndarray], twins: dict, guard: int
) -> tuple[int, ...]:
    """Images that show the scene of a twin, whose file is named as the twin's but for a number at most `guard` apart:
    frames that were taken out of a video before."""
    places = {row: NUMBERED.fullmatch(path) for row, path in images.items()}
    places = {row: (place[1], int(place[2]), place[3]) for row, place in places.items() if place}
    by_place, beside = {place: row for row, place in places.items()}, set()
    for row in twins.keys() & places.keys():
        start, number, end = places[row]
        near = (by_place.get((start, number + step, end)) for step in range(-guard, guard + 1))
        beside |= {other for other in near if other is not None and show_one_scene(thumbnails[row], thumbnails[other])}
    return tuple(sorted(beside - twins.keys()))


def used_images(persons: Persons) -> dict[int, str]:
    """The path of each image that has a person, by its row."""
    return {row: str(persons.image_paths[row]) for row in np.unique(persons.image_index).tolist()}


def refuse_shared(overlap: Overlap) -> None:
    """Raises DataError if the part has images of validation."""
    if overlap.twins:
        raise DataError(
            f"{len(overlap.twins)} validation images are also in {overlap.place}: {overlap.names}; {overlap.remedy}"
        )
