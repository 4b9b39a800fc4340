"""What labelled pictures are like: how many, how large, grey or colour."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from semipose.data.images import image_size, read_image
from semipose.data.orientation import turned_size
from semipose.errors import DataError
from semipose.structures import Persons

_LOOKED_AT = 50  # pictures whose headers are read
_DECODED = 8  # pictures that are looked at for colour
_MARGIN = 1.2  # an individual is longer than from its first keypoint to its last
_GREY = 4  # levels that the colours of a grey picture may differ by, as JPEG makes them
_MIRRORED = (
    ("top", "bot"), ("top", "bottom"), ("side", "bottom"), ("side", "bot"), ("direct", "mirror"), ("real", "mirror"),
    ("cam1", "cam2"), ("view1", "view2"), ("front", "side"),
)  # fmt: skip


def picture_size(people: Sequence[Persons]) -> tuple[int, int]:
    """(width, height) of the median picture with a person, turned as its labels are, of at most 50; raises DataError if
    none can be read."""
    sizes, files = [], []
    for persons in people:
        rows = np.unique(persons.image_index)
        files += zip(persons.image_paths[rows].tolist(), persons.image_orientations[rows].tolist())
    for path, orientation in spread(files, _LOOKED_AT):
        try:
            sizes.append(turned_size(image_size(path), orientation))
        except DataError as error:
            fault = error
    if not sizes:
        raise fault
    return tuple(np.median(np.array(sizes), axis=0).astype(int).tolist())


def is_grey(paths: Sequence[str]) -> bool:
    """Whether none of some pictures has colours."""
    for path in spread(paths, _DECODED):
        try:
            picture = read_image(path, 4).astype(np.int16)
        except DataError:
            continue
        if np.ptp(picture, axis=2).max() > _GREY:
            return False
    return True


def lengths(persons: Persons, own_boxes: bool) -> np.ndarray:
    """(N,) longer side of each individual in pixels: of its box, if somebody drew it, or else of its keypoints."""
    sides = persons.boxes[:, 2:].max(axis=1)
    points, labelled = persons.keypoints[..., :2], persons.keypoints[..., 2:] > 0
    low, high = np.where(labelled, points, np.inf).min(axis=1), np.where(labelled, points, -np.inf).max(axis=1)
    extent = _MARGIN * (high - low).max(axis=1)
    return sides if own_boxes else np.minimum(sides, np.maximum(extent, 1))


def several(persons: Persons) -> int:
    """Pictures that show more than one individual."""
    return sum(count > 1 for count in Counter(persons.image_index.tolist()).values())


def shown_twice(names: Sequence[str]) -> list[tuple[str, str]]:
    """Keypoints that a picture shows twice, by a mirror or another camera, as their names say: three and more pairs
    that end in the same two words, and that are most of the names."""
    for first, second in _MIRRORED:
        pairs = [
            (name, f"{name[: -len(first)]}{second}") for name in names if name.endswith((f"_{first}", f"-{first}"))
        ]
        pairs = [pair for pair in pairs if pair[1] in names]
        if len(pairs) >= 3 and 2 * len(pairs) >= 0.6 * len(names):
            return pairs
    return []


def spread(files: Sequence, count: int) -> list:
    """At most `count` of the files, evenly."""
    rows = np.unique(np.linspace(0, len(files) - 1, min(len(files), count)).astype(int)) if len(files) else []
    return [files[row] for row in rows]
