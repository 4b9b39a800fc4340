"""The image of a labelme file: where it lies below a root, and labels on a turned picture in its stored pixels."""

import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PureWindowsPath

import numpy as np

from semipose.data.formats.json_rows import Table, WrongRows
from semipose.errors import DataError

_TURNED = (5, 6, 7, 8)  # EXIF orientations that exchange width and height
_MIRRORED = (2, 4, 5, 7)
_ORIENTATION_TAG = 0x0112


@dataclass(frozen=True)
class LabeledImage:
    """The image of one labelme file.

    Attributes:
        name: relative to the root, folders separated by /.
        size: (width, height) of the stored pixels.
        orientation: EXIF orientation that the labels must be turned back by; 1 if they refer to the stored pixels.
        found: whether the file exists.
    """

    name: str
    size: tuple[int, int]
    orientation: int
    found: bool

    def to_stored(self, points: np.ndarray) -> np.ndarray:
        """(N, 2) pixels of the picture as labelme shows it -> (N, 2) stored pixels."""
        (x, y), (right, bottom) = points.T, (self.size[0] - 1, self.size[1] - 1)
        turned = {1: (x, y), 3: (right - x, bottom - y), 6: (y, bottom - x), 8: (right - y, x)}
        return np.stack(turned[self.orientation], axis=1)


def shown_points(path: str, size: tuple[int, int]) -> tuple[tuple[int, int], Callable] | None:
    """(width, height) of a picture as labelme shows it, and the map of (N, 2) stored pixels to the pixels there.

    Args:
        path: of the picture.
        size: (width, height) of its stored pixels.

    Returns:
        None where the EXIF orientation mirrors the picture.
    """
    orientation = _stored_size(path)[1]
    right, bottom = size[0] - 1, size[1] - 1
    if orientation in _MIRRORED:
        return None
    turns = {
        1: lambda x, y: (x, y), 3: lambda x, y: (right - x, bottom - y),
        6: lambda x, y: (bottom - y, x), 8: lambda x, y: (y, right - x),
    }  # fmt: skip
    shown = size[::-1] if orientation in _TURNED else size
    return shown, lambda points: np.stack(turns[orientation](*np.asarray(points, np.float64).T), axis=1)


def find_image(file: str, document: dict, folder: str, root: str) -> LabeledImage:
    """The image that a labelme file names.

    `imagePath` may be a Windows path and is relative to the file. If there is no file at this path, or it leaves the
    root, only the file name is used: beside the labelme file, or at the same place below the root.

    Args:
        file: labelme file, somewhere below `folder`.
        document: its content.
        folder: folder of all labelme files.
        root: folder that no image may leave; links that lead out of it are not followed.

    Raises:
        DataError: naming the file, the field and the reason.
    """
    table = Table(file, "image", [document])
    (image_path,), declared = table.texts("imagePath"), _declared_size(table, document)
    if table.faults:
        raise WrongRows({file: table.faults})
    path = _locate(file, image_path, folder, root)
    stored, orientation = _stored_size(path)
    if stored is None and declared is None:
        raise DataError(f"{file}: imageWidth: is not given, and {path} is not there to be measured")
    if stored is not None and declared not in (None, stored) or orientation != 1:
        orientation = _orientation_of_labels(file, path, declared, stored, orientation)
    name = os.path.relpath(path, root).replace(os.sep, "/")
    return LabeledImage(name, stored or declared, orientation, os.path.isfile(path))


def _locate(file: str, image_path: str, folder: str, root: str) -> str:
    written = PureWindowsPath(image_path)  # takes / as well as \
    if "\0" in image_path or written.name in ("", ".."):
        raise DataError(f"{file}: imagePath: {image_path!a} is not the name of a file")
    beside = os.path.dirname(file)
    same_place = os.path.join(root, os.path.relpath(beside, folder))
    parents = [beside, same_place, root]
    places = [] if written.anchor else [os.path.join(parent, written.as_posix()) for parent in parents]
    places += [os.path.join(parent, written.name) for parent in parents]
    places = [os.path.normpath(place) for place in places]
    found = next((place for place in places if os.path.isfile(place) and _is_inside(place, root)), None)
    inside = found or next((place for place in places if _is_inside(place, root)), None)
    if inside is None:
        raise DataError(f"{file}: imagePath: {image_path!a} is a link that leaves {root}")
    return inside


def _is_inside(path: str, root: str) -> bool:
    root = os.path.realpath(root)
    try:
        return os.path.commonpath([root, os.path.realpath(path)]) == root
    except (OSError, ValueError):
        return False


def _declared_size(table: Table, document: dict) -> tuple[int, int] | None:
    if document.get("imageWidth") is None and document.get("imageHeight") is None:
        return None
    sides = []
    for field in ("imageWidth", "imageHeight"):
        values = table.integers(field)
        table.refuse((values < 1) | (values > 10**9), field, "must be a number of pixels, found {}")
        sides.append(int(values[0]))
    return sides[0], sides[1]


def _stored_size(path: str) -> tuple[tuple[int, int] | None, int]:
    """(width, height) of the stored pixels and the EXIF orientation; (None, 1) for a file without an image header.

    A broken image is not reported here but when it is read, as for any other source.
    """
    from PIL import Image

    try:
        with Image.open(path) as image:
            return image.size, _orientation(image)
    except (OSError, ValueError, Image.DecompressionBombError):
        return None, 1


def _orientation(image) -> int:
    from PIL import Image

    # Pillow decodes a PNG to its end to look for EXIF data behind the pixels
    read = Image.Image.getexif if image.format == "PNG" else type(image).getexif
    try:
        orientation = read(image).get(_ORIENTATION_TAG, 1)
    except (OSError, ValueError, TypeError, SyntaxError, KeyError, struct.error):
        return 1  # damaged EXIF data, which labelme does not turn by either
    return orientation if orientation in range(1, 9) else 1


def _orientation_of_labels(
    file: str, path: str, declared: tuple[int, int] | None, stored: tuple[int, int], orientation: int
) -> int:
    """The orientation that the labels refer to. The image size in the file shows whether they were made on a turned
    picture."""
    shown = stored[::-1] if orientation in _TURNED else stored
    if declared in (None, shown) and orientation not in _MIRRORED:
        return orientation
    if declared in (None, shown) and orientation in _MIRRORED:
        raise DataError(
            f"{file}: {path} is mirrored by its EXIF orientation {orientation}, so left and right of the labels do not "
            f"fit its stored pixels; save it upright (such as with: mogrify -auto-orient)"
        )
    if declared == stored:
        return 1
    raise DataError(
        f"{file}: imageWidth x imageHeight are {declared[0]} x {declared[1]}, but {path} has {shown[0]} x {shown[1]}"
    )
