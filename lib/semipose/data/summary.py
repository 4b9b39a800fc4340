"""What a run trains and validates on, checked before the first step."""

import hashlib
from dataclasses import dataclass

import numpy as np

from semipose.data.archives import image_name, read_bytes, real_path, stored_size
from semipose.errors import DataError
from semipose.structures import Persons

SHOWN = 3


@dataclass(frozen=True)
class DataReport:
    """Counts of persons and images; `overlap` = persons that are both labelled and in the unlabelled pool.

    Attributes:
        instances: persons on the labelled and on the validation images, where the rows are whole pictures.
    """

    labeled: int
    labeled_images: int
    unlabeled: int
    unlabeled_images: int
    overlap: int
    validation: int
    validation_images: int
    instances: tuple[int, int] | None = None

    def __str__(self) -> str:
        return self._of_persons() if self.instances is None else self._of_pictures()

    def _of_pictures(self) -> str:
        labeled, validation = self.instances
        lines = [f"labelled    {self.labeled:7d} pictures with {labeled} labelled persons"]
        if self.unlabeled:
            lines.append(f"unlabelled  {self.unlabeled:7d} pictures")
            lines.append(f"            {self.overlap:7d} of them are also labelled")
        return "\n".join(
            [*lines, f"validation  {self.validation:7d} pictures with {validation} persons, none in training"]
        )

    def _of_persons(self) -> str:
        lines = [f"labelled    {self.labeled:7d} persons on {self.labeled_images} images"]
        if self.unlabeled:
            lines.append(f"unlabelled  {self.unlabeled:7d} persons on {self.unlabeled_images} images")
            lines.append(f"            {self.overlap:7d} of them are also labelled")
        lines.append(f"validation  {self.validation:7d} persons on {self.validation_images} images, none in training")
        return "\n".join(lines)


def report_data(labeled: Persons, unlabeled: Persons | None, validation: list[Persons]) -> DataReport:
    """Count persons and images, and make sure that nothing of the validation set is trained on.

    Raises:
        DataError: the labelled or validation set is empty, or validation images are in a training set.
    """
    if not len(labeled):
        raise DataError("the labelled set has no person (see DATASET.TRAIN_SET and DATASET.TRAIN_LEN)")
    if unlabeled is not None and not len(unlabeled):
        raise DataError("the unlabelled set has no person (see DATASET.TRAIN_UNSUP_SET)")
    pool = labeled.take([]) if unlabeled is None else unlabeled
    taught, seen = _files(labeled), _files(pool)
    held_out = set().union(*(_files(persons).values() for persons in validation))
    _refuse_leak("labelled", set(taught.values()), held_out)
    _refuse_leak("unlabelled", set(seen.values()), held_out)
    return DataReport(
        len(labeled), len(set(taught.values())), len(pool), len(set(seen.values())),
        len(_keys(labeled, taught) & _keys(pool, seen)), sum(map(len, validation)), len(held_out),
    )  # fmt: skip


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


def _files(persons: Persons) -> dict[int, str]:
    """The file of each image that has a person, by the image's row; links are followed."""
    return {row: real_path(str(persons.image_paths[row])) for row in np.unique(persons.image_index).tolist()}


def _keys(persons: Persons, files: dict[int, str]) -> set:
    """What tells one person from another: file and box."""
    images, boxes = persons.image_index.tolist(), persons.boxes.tolist()
    return {(files[image], tuple(box)) for image, box in zip(images, boxes)}


def _refuse_leak(name: str, training: set[str], held_out: set[str]) -> None:
    shared = sorted(training & held_out) or _copies(training, held_out)
    if shared:
        shown = ", ".join(shared[:SHOWN]) + (", ..." if len(shared) > SHOWN else "")
        raise DataError(f"{len(shared)} validation images are also in the {name} set: {shown}; split them first")


def _copies(training: set[str], held_out: set[str]) -> list[str]:
    """Validation files that lie in a training folder as a copy: same name, same size, same content."""
    names = {image_name(path) for path in training} & {image_name(path) for path in held_out}
    by_name_and_size = {}
    for path in training:
        if image_name(path) in names:
            by_name_and_size.setdefault((image_name(path), stored_size(path)), []).append(path)
    return sorted(path for path in held_out if _has_copy(path, by_name_and_size))


def _has_copy(path: str, by_name_and_size: dict[tuple, list[str]]) -> bool:
    size = stored_size(path)
    twins = by_name_and_size.get((image_name(path), size), ())
    return size is not None and any(_digest(path) == _digest(twin) for twin in twins)


def _digest(path: str) -> str:
    try:
        return hashlib.sha256(read_bytes(path)).hexdigest()
    except DataError:
        return path  # a damaged member of an archive is reported when it is read
