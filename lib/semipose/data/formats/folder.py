"""A folder or zip archive of images without annotation, as material for the unlabelled side."""

import logging
import os
from collections.abc import Iterator

import numpy as np

from semipose.data.archives import image_name, is_archive, member_names
from semipose.data.formats.image_list import is_linked_folder, whole_frames
from semipose.data.formats.video import VIDEOS
from semipose.data.images import HEIC, HEIC_IS_READ, HEIC_REMEDY, OTHER_PICTURES, PICTURES, image_size
from semipose.errors import DataError
from semipose.structures import Persons

_log = logging.getLogger(__name__)
OVERLAY = ".overlay"  # ends the names of folders and, before .mp4, of videos that skeletons were drawn into
_NAMED = 5  # unreadable files that are named one by one


def read_folder(folder: str, num_keypoints: int) -> Persons:
    """One person for each image below a folder or in a zip archive, the whole frame as its box.

    Files are sorted by path; hidden files and folders are left out. Only headers are read. Links to folders, files
    without an image header, pictures of kinds that are not read, and videos, are left out and logged.

    Args:
        folder: folder to search, with all folders below it, or zip archive.
        num_keypoints: K of the (N, K, 3) keypoints, which are zero.

    Raises:
        DataError: the folder does not exist or has no readable image; the archive is broken.
    """
    if not os.path.isdir(folder) and not is_archive(folder):
        raise DataError(f"{folder}: image folder does not exist")
    paths, sizes, faults = [], [], []
    other = [line for line in (passed_over(folder, files_below(folder, OTHER_PICTURES)), _videos_in(folder)) if line]
    for line in other:
        _log.warning("%s", line)
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
        fault = f"{folder}: no readable image ({', '.join(e[1:] for e in PICTURES)}) in it or below it"
        raise DataError("; ".join([fault, *other]))
    return whole_frames(np.array(paths, str), np.arange(1, len(paths) + 1), np.array(sizes), num_keypoints)


def linked_folders(folder: str) -> list[str]:
    """Links to folders in a folder and below it, into which the search does not go; none in an archive."""
    return sorted(path for _, _, left_out in _walk(folder) for path in left_out)


def image_files(folder: str) -> list[str]:
    """Image files, known by their ending, in a folder and below it or in a zip archive; as `files_below`."""
    return files_below(folder, PICTURES)


def files_below(folder: str, endings: tuple[str, ...]) -> list[str]:
    """Files with one of the endings in a folder and below it or in a zip archive; sorted, without hidden ones and, in
    folders, without overlays."""
    if is_archive(folder):
        return [f"{folder}@{name}" for name in member_names(folder) if name.lower().endswith(endings)]
    found = []
    for parent, names, _ in _walk(folder):
        found += [os.path.join(parent, n) for n in names if n.lower().endswith(endings) and not n.startswith(".")]
    return sorted(path for path in found if not is_overlay(os.path.relpath(path, folder)))


def is_overlay(name: str) -> bool:
    """Whether skeletons were drawn into a file, as its name or that of a folder it is in says."""
    *folders, name = name.split(os.sep)
    return os.path.splitext(name)[0].endswith(OVERLAY) or any(part.endswith(OVERLAY) for part in folders)


def _walk(folder: str) -> Iterator[tuple[str, list[str], list[str]]]:
    """Each folder that is not hidden, its files, and the links to folders in it that are left out: all but those into
    the folders of `links_to`, each of which is entered once."""
    entered = {os.path.realpath(folder)}
    for parent, folders, names in os.walk(folder, followlinks=True):
        paths = {name: os.path.join(parent, name) for name in folders if not name.startswith(".")}
        left_out = [path for path in paths.values() if os.path.islink(path) and not _may_enter(path, entered)]
        folders[:] = [name for name, path in paths.items() if path not in left_out]
        yield parent, names, left_out


def _may_enter(link: str, entered: set[str]) -> bool:
    real = os.path.realpath(link)
    if real in entered or not is_linked_folder(real):
        return False
    entered.add(real)
    return True


def passed_over(where: str, files: list[str]) -> str:
    """The line about pictures of kinds that are not read; "" if there are none."""
    if not files:
        return ""
    shown = ", ".join(map(image_name, files[:_NAMED])) + (", ..." if len(files) > _NAMED else "")
    heic = any(file.lower().endswith(HEIC) for file in files) and not HEIC_IS_READ
    remedy = "save them as jpg or png" + (f" ({HEIC_REMEDY})" if heic else "")
    return f"{where}: left out {len(files)} pictures of a kind that is not read: {shown}; {remedy}"


def _videos_in(folder: str) -> str:
    """The line about videos among the images; "" if there are none."""
    videos = files_below(folder, VIDEOS)
    shown = ", ".join(map(image_name, videos[:_NAMED])) + (", ..." if len(videos) > _NAMED else "")
    return f"{folder}: left out {len(videos)} videos: {shown}; name each one as a source" if videos else ""


def _report(folder: str, faults: list[DataError]) -> None:
    for fault in faults[:_NAMED]:
        _log.warning("left out: %s", fault)
    if len(faults) > _NAMED:
        _log.warning("%s: left out %d unreadable images in all", folder, len(faults))
