"""The image of a labelme file: where it lies below a root, and the size of the picture that its labels refer to."""

import os
from dataclasses import dataclass
from pathlib import PureWindowsPath

from semipose.data.formats.image_list import LEAVES, leads_inside
from semipose.data.formats.json_rows import Table, WrongRows
from semipose.data.images import image_size
from semipose.data.orientation import read_orientation, turned_size
from semipose.errors import DataError


@dataclass(frozen=True)
class LabeledImage:
    """The image of one labelme file.

    Attributes:
        name: relative to the root, folders separated by /.
        size: (width, height) of the picture that the labels refer to; labelme turns it by its EXIF orientation.
        found: whether the file exists.
    """

    name: str
    size: tuple[int, int]
    found: bool


def find_image(file: str, document: dict, folder: str, root: str) -> LabeledImage:
    """The image that a labelme file names.

    `imagePath` may be a Windows path and is relative to the file. If there is no file at this path, or it leaves the
    root, only the file name is used: beside the labelme file, or at the same place below the root. A wrong size is a
    fault of the picture when it is read.

    Args:
        file: labelme file, somewhere below `folder`.
        document: its content.
        folder: folder of all labelme files.
        root: folder that no image may leave, but by links into the folders of `links_to`.

    Raises:
        DataError: naming the file, the field and the reason.
    """
    table = Table(file, "image", [document])
    (image_path,), declared = table.texts("imagePath"), _declared_size(table, document)
    if table.faults:
        raise WrongRows({file: table.faults})
    path = _locate(file, image_path, folder, root)
    size = declared or _shown_size(path)
    if size is None:
        raise DataError(f"{file}: imageWidth: is not given, and {path} is not there to be measured")
    name = os.path.relpath(path, root).replace(os.sep, "/")
    return LabeledImage(name, size, os.path.isfile(path))


def _locate(file: str, image_path: str, folder: str, root: str) -> str:
    written = PureWindowsPath(image_path)  # takes / as well as \
    if "\0" in image_path or written.name in ("", ".."):
        raise DataError(f"{file}: imagePath: {image_path!a} is not the name of a file")
    beside = os.path.dirname(file)
    same_place = os.path.join(root, os.path.relpath(beside, folder))
    parents = [beside, same_place, root]
    places = [] if written.anchor else [os.path.join(parent, written.as_posix()) for parent in parents]
    places += [os.path.join(parent, written.name) for parent in parents]
    places = [place for place in map(os.path.normpath, places) if not os.path.relpath(place, root).startswith("..")]
    found = next((place for place in places if os.path.isfile(place) and leads_inside(place, root)), None)
    inside = found or next((place for place in places if leads_inside(place, root)), None)
    if inside is None:
        raise DataError(f"{file}: imagePath: {image_path!a} {LEAVES}")
    return inside


def _declared_size(table: Table, document: dict) -> tuple[int, int] | None:
    if document.get("imageWidth") is None and document.get("imageHeight") is None:
        return None
    sides = []
    for field in ("imageWidth", "imageHeight"):
        values = table.integers(field)
        table.refuse((values < 1) | (values > 10**9), field, "must be a number of pixels, found {}")
        sides.append(int(values[0]))
    return sides[0], sides[1]


def _shown_size(path: str) -> tuple[int, int] | None:
    """(width, height) of the turned picture; None for a file without an image header."""
    try:
        return turned_size(image_size(path), read_orientation(path))
    except DataError:
        return None
