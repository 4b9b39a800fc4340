"""The pictures that may be labelled next: of sources on the command line, or of the pool of a run."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from semipose.data.archives import image_name
from semipose.data.images import read_image
from semipose.data.orientation import read_orientation
from semipose.data.readings import upright_readings
from semipose.data.thumbnails import small_copy
from semipose.errors import DataError
from semipose.predict.boxes import BoxFile
from semipose.predict.next_to_label.committee import Answers, Committee
from semipose.predict.sources import Pictures, Source
from semipose.structures import AS_STORED, Persons, Reading


@dataclass(frozen=True)
class Shot:
    """One picture.

    Attributes:
        film: title of its source.
        file: picture file, `ARCHIVE.zip@MEMBER`, or the video.
        frame: number in the video; -1 for a picture.
        reading: how the file of a picture is read.
        boxes: (N, 4 or 5) in pixels; None: the whole picture is one box.
    """

    film: str
    file: str
    frame: int = -1
    reading: Reading = AS_STORED
    boxes: np.ndarray | None = None

    @property
    def name(self) -> str:
        """Of the file that a person would label: the picture's own, or the video's with the frame's number."""
        stem, ending = os.path.splitext(os.path.basename(image_name(self.file)))
        return f"{stem}_{self.frame:06d}.png" if self.frame >= 0 else stem + ending

    @property
    def place(self) -> str:
        """Where the picture lies, as patterns of names see it; a frame lies in the folder of its video."""
        return os.path.join(os.path.splitext(self.file)[0], self.name) if self.frame >= 0 else self.file

    def read(self) -> np.ndarray:
        """(H, W, 3) uint8 RGB of a picture file; raises DataError."""
        return read_image(self.file, reading=self.reading)

    @property
    def is_as_stored(self) -> bool:
        """Whether labelme shows the file of a picture as the network saw it."""
        return self.frame < 0 and self.reading.orientation == read_orientation(self.file)


Shots = Iterator[tuple[Shot, np.ndarray | None]]  # with the picture; None where it cannot be read


def shots_of_source(source: Source, boxes: BoxFile | None = None, every: int = 1) -> Shots:
    """All pictures of a source, or each `every`-th frame of a video."""
    if not source.is_video:
        yield from _shots_of_files(source, boxes)
        return
    for frame in source.frames():
        if frame.number % every == 0:
            own = None if frame.image is None else _boxes(boxes, frame.name, frame.image)
            yield Shot(source.title, source.video.name, frame.number, boxes=own), frame.image


def shots_of_persons(persons: Persons, title: str) -> Shots:
    """The pictures of a data set with the boxes of its persons; their keypoints are not looked at."""
    order = np.argsort(persons.image_index, kind="stable")
    images, starts = np.unique(persons.image_index[order], return_index=True)
    for image, rows in zip(images.tolist(), np.split(order, starts[1:])):
        file, boxes = str(persons.image_paths[image]), persons.boxes[rows].astype(np.float64)
        shot = Shot(title, file, -1, persons.reading(image), boxes)
        yield shot, _image_of(shot)


def _shots_of_files(source: Pictures, boxes: BoxFile | None) -> Shots:
    readings = upright_readings(source.title, source.paths)
    for name, path, reading in zip(source.names, source.paths, readings):
        shot = Shot(source.title, path, -1, reading)
        image = _image_of(shot)
        yield (shot if image is None else replace(shot, boxes=_boxes(boxes, name, image))), image


def _image_of(shot: Shot) -> np.ndarray | None:
    try:
        return shot.read()
    except DataError:
        return None


def _boxes(boxes: BoxFile | None, name: str, image: np.ndarray) -> np.ndarray | None:
    return None if boxes is None else boxes.boxes(name, (image.shape[1], image.shape[0]))[0]


@dataclass(frozen=True)
class Seen:
    """All pictures that could be read and have a person, and what is said of them.

    Attributes:
        shots: I pictures.
        sizes: (I, 2) width and height.
        thumbnails: (I, 32, 32) uint8.
        answers: of the persons; `answers.picture` counts these pictures.
        lost: pictures that could not be read.
        empty: pictures without a person.
    """

    shots: list[Shot]
    sizes: np.ndarray
    thumbnails: np.ndarray
    answers: Answers
    lost: list[str]
    empty: int


def look_at(committee: Committee, shots: Shots) -> Seen:
    """Ask the committee about all pictures; only as many as fill a batch are in memory.

    Raises:
        DataError: there is none with a person that can be read.
    """
    kept, sizes, thumbnails, lost, empty = [], [], [], [], 0
    waiting, answers = _Crops(), []
    for shot, image in shots:
        if image is None:
            lost.append(shot.file if shot.frame < 0 else f"{shot.file}: frame {shot.frame}")
            continue
        rows, used, crops, to_image = committee.predictor.cut(image, shot.boxes)
        if not len(used):
            empty += 1
            continue
        waiting.add(crops, rows[used, :4], to_image, len(kept))
        kept.append(shot)
        sizes.append((image.shape[1], image.shape[0]))
        thumbnails.append(small_copy(image))
        if len(waiting.images) >= committee.predictor.batch_size:
            answers.append(committee.ask(*waiting.taken()))
    if waiting.images:
        answers.append(committee.ask(*waiting.taken()))
    if not answers:
        raise DataError(f"no picture with a person to look at; {len(lost)} could not be read, {empty} have no box")
    return Seen(kept, np.array(sizes), np.stack(thumbnails), Answers.concatenate(answers), lost, empty)


def features_of(committee: Committee, shots: Shots) -> np.ndarray:
    """(P, F) pooled features of all persons that can be read; (0, 0) if there is none."""
    found = []
    for shot, image in shots:
        if image is not None:
            _, used, crops, to_image = committee.predictor.cut(image, shot.boxes)
            found += [committee.features(crops, to_image)] if len(used) else []
    return np.concatenate(found) if found else np.zeros((0, 0), np.float32)


@dataclass
class _Crops:
    """Crops that go through the networks together."""

    images: list[np.ndarray] = field(default_factory=list)
    boxes: list[np.ndarray] = field(default_factory=list)
    to_image: list[np.ndarray] = field(default_factory=list)
    picture: list[int] = field(default_factory=list)

    def add(self, images: np.ndarray, boxes: np.ndarray, to_image: np.ndarray, picture: int) -> None:
        self.images += list(images)
        self.boxes += list(boxes)
        self.to_image += list(to_image)
        self.picture += [picture] * len(images)

    def taken(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """All of them, as `Committee.ask` takes them; none is left."""
        parts = tuple(np.stack(part) for part in (self.images, self.boxes, self.to_image, self.picture))
        for part in (self.images, self.boxes, self.to_image, self.picture):
            part.clear()
        return parts
