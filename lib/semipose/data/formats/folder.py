"""A folder or zip archive of images without annotation, as material for the unlabelled side."""

import logging
import os

import numpy as np

from semipose.data.archives import image_name, is_archive, member_names
from semipose.data.formats.image_list import whole_frames
from semipose.data.images import HEIC_IS_READ, OTHER_PICTURES, PICTURES, image_size
from semipose.errors import DataError
from semipose.structures import Persons

_log = logging.getLogger(__name__)
_NAMED = 5  # unreadable files that are named one by one


def read_folder(folder: str, num_keypoints: int) -> Persons:
    """One person for each image below a folder or in a zip archive, the whole frame as its box.

    Files are sorted by path; hidden files and folders and links to folders are left out. Only headers are read. A file
    without an image header is left out and logged, and so are pictures of kinds that are not read.

    Args:
        folder: folder to search, with all folders below it, or zip archive.
        num_keypoints: K of the (N, K, 3) keypoints, which are zero.

    Raises:
        DataError: the folder does not exist or has no readable image; the archive is broken.
    """
    if not os.path.isdir(folder) and not is_archive(folder):
        raise DataError(f"{folder}: image folder does not exist")
    paths, sizes, faults, other = [], [], [], passed_over(folder, files_below(folder, OTHER_PICTURES))
    if other:
        _log.warning("%s", other)
    for path in image_files(folder):
        try:
            sizes.append(image_size(path))
            paths.append(path)
        except DataError as fault:
            faults.append(fault)
    _report(folder, faults)
    if not paths:
        more = f"; {other}" if other else ""
        raise DataError(f"{folder}: no readable image ({', '.join(e[1:] for e in PICTURES)}) in it or below it{more}")
    return whole_frames(np.array(paths, str), np.arange(1, len(paths) + 1), np.array(sizes), num_keypoints)


def image_files(folder: str) -> list[str]:
    """Image files, known by their ending, in a folder and below it or in a zip archive; sorted, without hidden ones."""
    return files_below(folder, PICTURES)


def files_below(folder: str, endings: tuple[str, ...]) -> list[str]:
    """Files with one of the endings in a folder and below it or in a zip archive; sorted, without hidden ones."""
    if is_archive(folder):
        return [f"{folder}@{name}" for name in member_names(folder) if name.lower().endswith(endings)]
    found = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [os.path.join(parent, n) for n in names if n.lower().endswith(endings) and not n.startswith(".")]
    return sorted(found)


def passed_over(where: str, files: list[str]) -> str:
    """The line about pictures of kinds that are not read; "" if there are none."""
    if not files:
        return ""
    shown = ", ".join(map(image_name, files[:_NAMED])) + (", ..." if len(files) > _NAMED else "")
    heic = any(file.lower().endswith((".heic", ".heif", ".hif")) for file in files) and not HEIC_IS_READ
    remedy = "save them as jpg or png" + (" (HEIC is read after: pip install pillow-heif)" if heic else "")
    return f"{where}: left out {len(files)} pictures of a kind that is not read: {shown}; {remedy}"


def _report(folder: str, faults: list[DataError]) -> None:
    for fault in faults[:_NAMED]:
        _log.warning("left out: %s", fault)
    if len(faults) > _NAMED:
        _log.warning("%s: left out %d unreadable images in all", folder, len(faults))
