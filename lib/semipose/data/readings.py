"""How the images of a source are read: turned or as they are stored, and which value is white."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from semipose.data.archives import read_bytes
from semipose.data.depth import white_for
from semipose.data.images import image_size, stored_values
from semipose.data.orientation import SIDEWAYS, read_orientation, turned_size
from semipose.errors import DataError
from semipose.structures import Persons, Reading

LOOKED_AT = 32  # images of a set whose values are looked at
_EIGHT_BITS = (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".bmp", ".dib", ".gif", ".webp", ".pbm")
_PNG, _PNG_BITS = b"\x89PNG\r\n\x1a\n", 24  # how it starts, and where it has the bits of a value
_TURNED = "%s: %d images are turned upright by their EXIF orientation, such as %s"

_log = logging.getLogger(__name__)


class Marked(NamedTuple):
    """An image with an EXIF orientation, and the (width, height) of its stored pixels."""

    path: str
    orientation: int
    size: tuple[int, int]


def with_readings(
    name: str, persons: Persons, exif: str = "auto", upright: bool = False, white: float = 0, measured: bool = False,
    whole: bool = False,
) -> Persons:  # fmt: skip
    """The persons, with what their images are turned by and their white. What is not as stored is logged.

    Whole frames without labels are turned upright by their EXIF orientation, boxes and sizes too. Other images are read
    as their annotated size tells: as they are stored, or turned. Where both sizes are equal (a square, half a turn, a
    mirror image) or none is known, an image is turned if `upright` is set, or if all other images of the source with an
    orientation that their size tells are turned.

    Args:
        name: of the source, for messages.
        exif: "auto" as above; "stored": no image is turned; "upright": each is, also where its size is the stored one.
        upright: see above.
        white: 0 = from the values of some of the images.
        measured: the sizes are those of the files, not annotated, so that the size as stored tells nothing.
        whole: also images without a person.
    """
    rows = np.arange(len(persons.image_paths)) if whole else np.unique(persons.image_index)
    paths = [str(persons.image_paths[row]) for row in rows]
    marked = _marked(rows.tolist(), paths)
    frames = _are_frames(persons)
    if exif == "upright" or (frames and exif == "auto"):
        persons = _with_upright_sizes(persons, marked)
    turned, unsure = _chosen(persons, marked, exif, upright or frames, measured)
    _report(name, marked, turned, unsure)
    orientations, whites = persons.image_orientations.copy(), persons.image_whites.copy()
    orientations[turned] = [marked[row].orientation for row in turned]
    whites[rows] = white or white_of(name, paths)
    return replace(persons, image_orientations=orientations, image_whites=whites)


def upright_readings(name: str, paths: Sequence[str]) -> list[Reading]:
    """How pictures without labels are read: upright, with one white for all."""
    white = white_of(name, paths)
    readings = [Reading(orientation=read_orientation(path), white=white) for path in paths]
    turned = [path for path, reading in zip(paths, readings) if reading.orientation != 1]
    if turned:
        _log.warning(_TURNED + "; coordinates are for the upright pictures", name, len(turned), turned[0])
    return readings


def white_of(name: str, paths: Sequence[str]) -> float:
    """The white of a set of images by `white_for`, from at most 32 of them; 0 if none has more than 8 bits."""
    deep = [path for path in paths if _may_be_deep(path)]
    chosen = np.unique(np.linspace(0, len(deep) - 1, min(len(deep), LOOKED_AT)).round().astype(int))
    peaks = {deep[k]: found for k in chosen if (found := _peak(deep[k]))}
    if not peaks:
        return 0.0
    peak, floats = max(value for value, _ in peaks.values()), any(is_float for _, is_float in peaks.values())
    white = white_for(peak, floats)
    if floats or white != 65535:
        _log.warning(
            "%s: has images with more than 8 bits: %g becomes white (key white), as %g is the largest value in %d of "
            "them, such as %s", name, white, peak, len(peaks), next(iter(peaks)),
        )  # fmt: skip
    return white


def _marked(rows: list[int], paths: list[str]) -> dict[int, Marked]:
    """By row; an image without a size that can be read is left out, as it is reported when it is read."""
    found = {}
    for row, path in zip(rows, paths):
        orientation = read_orientation(path)
        size = _size(path) if orientation != 1 else None
        if size:
            found[row] = Marked(path, orientation, size)
    return found


def _size(path: str) -> tuple[int, int] | None:
    try:
        return image_size(path)
    except DataError:
        return None


def _are_frames(persons: Persons) -> bool:
    """Whether all persons are whole frames without labels."""
    return not persons.keypoints[..., 2].any() and bool(_is_frame(persons).all())


def _is_frame(persons: Persons) -> np.ndarray:
    """(N,) bool, whether the box is the whole image."""
    frames = np.concatenate([np.zeros_like(persons.image_sizes), persons.image_sizes], axis=1)[persons.image_index]
    return (persons.boxes == frames).all(axis=1)


def _with_upright_sizes(persons: Persons, marked: dict[int, Marked]) -> Persons:
    """Sizes, and boxes that are the whole image, of images that are stored lying, as they are after the turn."""
    lying = np.zeros(len(persons.image_paths), bool)
    for row, image in marked.items():
        lying[row] = image.orientation in SIDEWAYS and tuple(persons.image_sizes[row].tolist()) == image.size
    sizes, boxes = persons.image_sizes.copy(), persons.boxes.copy()
    of_lying = lying[persons.image_index] & _is_frame(persons)
    sizes[lying] = sizes[lying][:, ::-1]
    boxes[of_lying] = boxes[of_lying][:, [0, 1, 3, 2]]
    return replace(persons, image_sizes=sizes, boxes=boxes)


def _chosen(
    persons: Persons, marked: dict[int, Marked], exif: str, upright: bool, measured: bool
) -> tuple[list[int], list[int]]:
    """Rows of the images to turn, and of those that their size tells nothing about."""
    if exif != "auto":
        return (list(marked) if exif == "upright" else []), []
    told = {row: _told(image, tuple(persons.image_sizes[row].tolist())) for row, image in marked.items()}
    if measured:
        told = {row: "unsure" if kind == "stored" else kind for row, kind in told.items()}
    unsure = [row for row, kind in told.items() if kind == "unsure"]
    follow = upright or ("upright" in told.values() and "stored" not in told.values())
    turned = [row for row, kind in told.items() if kind == "upright" or (kind == "unsure" and follow)]
    return turned, [] if upright else unsure


def _told(image: Marked, annotated: tuple[int, int]) -> str:
    shown = turned_size(image.size, image.orientation)
    if shown == image.size or not any(annotated):
        return "unsure"
    return {shown: "upright", image.size: "stored"}.get(annotated, "another size")


def _report(name: str, marked: dict[int, Marked], turned: list[int], unsure: list[int]) -> None:
    if turned:
        _log.warning(_TURNED, name, len(turned), marked[turned[0]].path)
    if unsure:
        path, orientation, size = marked[unsure[0]]
        how = "turned upright, as the others are" if unsure[0] in turned else "read as they are stored"
        _log.warning(
            "%s: %d images have an EXIF orientation, and no size tells whether their labels are for the turned "
            "picture; they are %s; the key exif says which: stored or upright; such as %s (orientation %d)",
            name, len(unsure), how, path, orientation,
        )  # fmt: skip


def _may_be_deep(path: str) -> bool:
    """Whether an image may have more than 8 bits, by its ending, or the header of a PNG."""
    if path.lower().endswith(_EIGHT_BITS):
        return False
    if not path.lower().endswith(".png"):
        return True
    try:
        head = read_bytes(path, _PNG_BITS + 1)
    except DataError:
        return False
    return not head.startswith(_PNG) or head[_PNG_BITS:] == b"\x10"


def _peak(path: str) -> tuple[float, bool] | None:
    """The largest value, and whether it is a float; None for 8 bits, and for an image that cannot be read."""
    try:
        values = stored_values(path)
    except DataError:
        return None
    finite = values[np.isfinite(values)]
    return (float(finite.max()), values.dtype.kind == "f") if values.dtype != np.uint8 and finite.size else None
