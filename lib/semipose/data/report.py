"""What a run trains and validates on, checked before the first step."""

import hashlib
import os
from dataclasses import dataclass

import numpy as np

from semipose.errors import DataError
from semipose.structures import Persons

SHOWN = 3


@dataclass(frozen=True)
class DataReport:
    """Counts of persons and images; `overlap` = persons that are both labelled and in the unlabelled pool."""

    labeled: int
    labeled_images: int
    unlabeled: int
    unlabeled_images: int
    overlap: int
    validation: int
    validation_images: int

    def __str__(self) -> str:
        lines = [f"labelled    {self.labeled:7d} persons on {self.labeled_images} images"]
        if self.unlabeled:
            lines.append(f"unlabelled  {self.unlabeled:7d} persons on {self.unlabeled_images} images")
            lines.append(f"            {self.overlap:7d} of them are also labelled")
        lines.append(f"validation  {self.validation:7d} persons on {self.validation_images} images, none in training")
        return "\n".join(lines)


def report_data(labeled: Persons, unlabeled: Persons | None, validation: Persons) -> DataReport:
    """Count persons and images, and make sure that nothing of the validation set is trained on.

    Raises:
        DataError: the labelled or validation set is empty, or validation images are in a training set.
    """
    if not len(labeled):
        raise DataError("the labelled set has no person (see DATASET.TRAIN_SET and DATASET.TRAIN_LEN)")
    if not len(validation):
        raise DataError("the validation set has no person (see DATASET.TEST_SET)")
    if unlabeled is not None and not len(unlabeled):
        raise DataError("the unlabelled set has no person (see DATASET.TRAIN_UNSUP_SET)")
    held_out = _used_paths(validation)
    for name, persons in (("labelled", labeled), ("unlabelled", unlabeled)):
        if persons is not None:
            _refuse_leak(name, _used_paths(persons), held_out)
    return DataReport(
        len(labeled), len(_used_paths(labeled)),
        len(unlabeled) if unlabeled is not None else 0, len(_used_paths(unlabeled)) if unlabeled is not None else 0,
        _shared_persons(labeled, unlabeled) if unlabeled is not None else 0,
        len(validation), len(held_out),
    )  # fmt: skip


def _used_paths(persons: Persons) -> set[str]:
    return {os.path.realpath(path) for path in persons.image_paths[np.unique(persons.image_index)]}


def _shared_persons(labeled: Persons, unlabeled: Persons) -> int:
    def keys(persons: Persons) -> set:
        return {(persons.path(row), tuple(persons.boxes[row].tolist())) for row in range(len(persons))}

    return len(keys(labeled) & keys(unlabeled))


def _refuse_leak(name: str, training: set[str], held_out: set[str]) -> None:
    shared = sorted(training & held_out) or _copies(training, held_out)
    if shared:
        shown = ", ".join(shared[:SHOWN]) + (", ..." if len(shared) > SHOWN else "")
        raise DataError(f"{len(shared)} validation images are also in the {name} set: {shown}; split them first")


def _copies(training: set[str], held_out: set[str]) -> list[str]:
    """Validation files that lie in a training folder as a copy: same name, same size, same content."""
    by_name = {os.path.basename(path): path for path in training}
    twins = [(path, by_name[os.path.basename(path)]) for path in held_out if os.path.basename(path) in by_name]
    return sorted(a for a, b in twins if _size(a) == _size(b) is not None and _digest(a) == _digest(b))


def _size(path: str) -> int | None:
    return os.path.getsize(path) if os.path.isfile(path) else None


def _digest(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()
