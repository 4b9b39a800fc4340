"""A folder of labelme files that a network filled in and a person went through."""

import os
from collections.abc import Sequence

from semipose.data.formats.corrected_labelme import is_corrected
from semipose.data.formats.json_rows import load_json
from semipose.data.formats.labelme import json_files
from semipose.errors import DataError


def corrected_pictures(folder: str) -> tuple[list[str], int]:
    """The pictures of the corrected labelme files in a folder and below it, and the number of untouched files.

    Raises:
        DataError: it has no labelme file, or none is corrected.
    """
    corrected, untouched = [], 0
    for file in json_files(folder):
        document = load_json(file)  # one at a time: labelme puts the picture into its file
        if not isinstance(document, dict) or "shapes" not in document:
            continue
        if is_corrected(document):
            corrected.append(_picture(file, document))
        else:
            untouched += 1
    if not corrected and not untouched:
        raise DataError(f"{folder}: has no labelme file (*.json) in it or below it")
    if not corrected:
        advice = "move a point in labelme and save, or switch off the flag semipose_predicted where all is right"
        raise DataError(f"{folder}: none of its {untouched} files is corrected yet; {advice}")
    return corrected, untouched


def pictures_folder(folder: str, pictures: Sequence[str], root: str) -> str:
    """Where the pictures of labelme files lie, relative to `root`; "" if that is the folder of the files.

    Args:
        folder: of the labelme files.
        pictures: as `corrected_pictures` finds them.
    """
    if all(not os.path.relpath(each, folder).startswith("..") for each in pictures):
        return ""
    common = os.path.commonpath([os.path.dirname(os.path.abspath(each)) for each in pictures])
    return os.path.relpath(common, root).replace(os.sep, "/")


def _picture(file: str, document: dict) -> str:
    """Where the file says, or beside it; by its own name where it says nothing."""
    name = str(document.get("imagePath") or os.path.basename(file)).replace("\\", "/")
    said = os.path.normpath(os.path.join(os.path.dirname(file), name))
    return said if os.path.isfile(said) else os.path.join(os.path.dirname(file), os.path.basename(name))
