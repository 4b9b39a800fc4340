"""A folder or zip archive of images without annotation, as material for the unlabelled side."""

import logging
import os

import numpy as np

from semipose.data.archives import is_archive, member_names
from semipose.data.formats.image_list import whole_frames
from semipose.data.images import image_size
from semipose.errors import DataError
from semipose.structures import Persons

_log = logging.getLogger(__name__)
_ENDINGS = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
_NAMED = 5  # unreadable files that are named one by one


def read_folder(folder: str, num_keypoints: int) -> Persons:
    """One person for each image below a folder or in a zip archive, the whole frame as its box.

    Files are sorted by path; hidden files and folders are left out. Only headers are read. Links to folders, and files
    without an image header, are left out and logged.

    Args:
        folder: folder to search, with all folders below it, or zip archive.
        num_keypoints: K of the (N, K, 3) keypoints, which are zero.

    Raises:
        DataError: the folder does not exist or has no readable image; the archive is broken.
    """
    if not os.path.isdir(folder) and not is_archive(folder):
        raise DataError(f"{folder}: image folder does not exist")
    paths, sizes, faults = [], [], []
    linked = linked_folders(folder)
    if linked:
        _log.warning("%s: left out %d links to folders: %s", folder, len(linked), ", ".join(linked[:_NAMED]))
    for path in image_files(folder):
        try:
            sizes.append(image_size(path))
            paths.append(path)
        except DataError as fault:
            faults.append(fault)
    _report(folder, faults)
    if not paths:
        raise DataError(f"{folder}: no readable image ({', '.join(e[1:] for e in _ENDINGS)}) in it or below it")
    return whole_frames(np.array(paths, str), np.arange(1, len(paths) + 1), np.array(sizes), num_keypoints)


def linked_folders(folder: str) -> list[str]:
    """Links to folders in a folder and below it, into which the search does not go; none in an archive."""
    found = []
    for parent, folders, _ in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [os.path.join(parent, name) for name in folders if os.path.islink(os.path.join(parent, name))]
    return sorted(found)


def image_files(folder: str) -> list[str]:
    """Image files, known by their ending, in a folder and below it or in a zip archive; sorted, without hidden ones."""
    if is_archive(folder):
        return [f"{folder}@{name}" for name in member_names(folder) if name.lower().endswith(_ENDINGS)]
    found = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [os.path.join(parent, n) for n in names if n.lower().endswith(_ENDINGS) and not n.startswith(".")]
    return sorted(found)


def _report(folder: str, faults: list[DataError]) -> None:
    for fault in faults[:_NAMED]:
        _log.warning("left out: %s", fault)
    if len(faults) > _NAMED:
        _log.warning("%s: left out %d unreadable images in all", folder, len(faults))
