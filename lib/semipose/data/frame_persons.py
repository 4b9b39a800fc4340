"""Pictures of one individual each, seen whole: their frames take the place of the boxes."""

from collections import Counter
from dataclasses import replace

import numpy as np

from semipose.data.images import image_size
from semipose.data.orientation import turned_size
from semipose.errors import DataError
from semipose.structures import Persons


def as_whole_frames(persons: Persons, name: str) -> Persons:
    """The persons with the whole picture as their box and its area, as those of bare pictures and videos have.

    Raises:
        DataError: a picture shows more than one, naming the source and the picture; or has no size.
    """
    row, most = next(iter(Counter(persons.image_index.tolist()).most_common(1)), (0, 0))
    if most > 1:
        advice = "leave the key out, or train bottom-up (MODEL.CODEC dekr)"
        raise DataError(f"source {name!r}: whole_frames: {persons.image_paths[row]} has {most} individuals; {advice}")
    sizes = np.array([_size(persons, image) for image in persons.image_index.tolist()], np.float32).reshape(-1, 2)
    boxes = np.concatenate([np.zeros_like(sizes), sizes], axis=1)
    return replace(persons, boxes=boxes, areas=sizes.prod(axis=1))


def _size(persons: Persons, image: int) -> tuple[int, int]:
    """(width, height) of the upright picture; from the header of the file where none is annotated."""
    size = tuple(persons.image_sizes[image].tolist())
    if min(size) > 0:
        return size
    return turned_size(image_size(str(persons.image_paths[image])), int(persons.image_orientations[image]))
