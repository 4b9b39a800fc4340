"""What a run trains and validates on, checked before the first step."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from semipose.data.overlap import POOL, Overlap, used_images
from semipose.data.same_files import RealPaths
from semipose.errors import DataError
from semipose.structures import Persons


@dataclass(frozen=True)
class DataReport:
    """Counts of persons and images.

    Attributes:
        overlap: persons that are both labelled and in the unlabelled pool.
        left_out, beside: images left out of the pool, as validation shows them, or the frames next to them.
        compared: how training and validation were compared.
    """

    labeled: int
    labeled_images: int
    unlabeled: int
    unlabeled_images: int
    overlap: int
    validation: int
    validation_images: int
    left_out: int = 0
    beside: int = 0
    compared: str = ""

    def __str__(self) -> str:
        lines = [f"labelled    {self.labeled:7d} persons on {self.labeled_images} images"]
        if self.unlabeled:
            lines.append(f"unlabelled  {self.unlabeled:7d} persons on {self.unlabeled_images} images")
            lines.append(f"            {self.overlap:7d} of them are also labelled")
        if self.left_out or self.beside:
            beside = f" and {self.beside} frames next to them" if self.beside else ""
            lines.append(f"            left out of the pool: {self.left_out} images that validation shows{beside}")
        if self.validation:
            counts = f"{self.validation:7d} persons on {self.validation_images} images"
            lines.append(f"validation  {counts}; {self.compared}")
        else:
            lines.append("validation     none (DATASET.TEST_SET is empty): no scores, no best.pth, only last.pth")
        return "\n".join(lines)


def report_data(
    labeled: Persons, unlabeled: Persons | None, validation: Sequence[Persons], overlaps: Sequence[Overlap],
    files: RealPaths, most: int = 0,
) -> DataReport:  # fmt: skip
    """Count persons and images.

    Args:
        overlaps: of all parts of training with validation.
        most: images of a source whose pictures are compared.

    Raises:
        DataError: the labelled set or the pool is empty.
    """
    if not len(labeled):
        raise DataError("the labelled set has no person (see DATASET.TRAIN_SET and DATASET.TRAIN_LEN)")
    if unlabeled is not None and not len(unlabeled):
        raise DataError("the unlabelled set has no person (see DATASET.TRAIN_UNSUP_SET)")
    pool = labeled.take([]) if unlabeled is None else unlabeled
    taught, seen = _files(labeled, files), _files(pool, files)
    held_out = set().union(*(_files(persons, files).values() for persons in validation))
    from_pool = [overlap for overlap in overlaps if overlap.side == POOL]
    return DataReport(
        len(labeled), len(set(taught.values())), len(pool), len(set(seen.values())),
        len(_keys(labeled, taught) & _keys(pool, seen)), sum(map(len, validation)), len(held_out),
        sum(len(overlap.twins) for overlap in from_pool), sum(len(overlap.beside) for overlap in from_pool),
        how_compared(overlaps, most),
    )  # fmt: skip


def how_compared(overlaps: Sequence[Overlap], most: int) -> str:
    """What is known after the images in `overlaps` were refused or left out, and by what comparison."""
    others = dict.fromkeys(f"{part.name} ({part.images} images)" for part in overlaps if not part.by_picture)
    unclear = max((part.unclear for part in overlaps), default=0)
    if unclear and not others:
        return f"none in training by path and content; {unclear} are too plain or damaged to be compared as pictures"
    if not others:
        return "none in training, compared by path, content and picture"
    return (
        f"compared with training by path and content, but not as pictures (DATASET.OVERLAP.PICTURES {most}): "
        f"{', '.join(others)}"
    )


def training_key(labeled: Persons, unlabeled: Persons | None) -> str:
    """A key that changes with any id, box or label that is trained on. File paths do not count, so data may be
    moved."""
    digest = hashlib.sha256()
    for persons in (labeled, unlabeled):
        if persons is not None:
            trained_on = (persons.ids, persons.boxes) + ((persons.keypoints,) if persons is labeled else ())
            trained_on += (persons.weights,) if (persons.weights != 1).any() else ()
            for array in trained_on:
                digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def _files(persons: Persons, files: RealPaths) -> dict[int, str]:
    """The file of each image that has a person, by the image's row; links are followed."""
    return {row: files[path] for row, path in used_images(persons).items()}


def _keys(persons: Persons, files: dict[int, str]) -> set:
    """What tells one person from another: file and box."""
    images, boxes = persons.image_index.tolist(), persons.boxes.tolist()
    return {(files[image], tuple(box)) for image, box in zip(images, boxes)}
