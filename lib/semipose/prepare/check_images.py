"""The image files of sources: whether they can be read, and their true sizes."""

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from semipose.data.archives import image_fault
from semipose.data.formats.folder import image_files, linked_folders
from semipose.data.images import image_size, read_image, size_fault
from semipose.data.orientation import turned_size
from semipose.errors import DataError
from semipose.prepare.findings import Finding
from semipose.structures import Persons, Reading

_ANY = Reading(white=1)  # whatever its range is, it can be read
_PART = 1000  # images that are handed to the threads at a time
Progress = Callable[[Iterable, int], Iterable]


@dataclass(frozen=True)
class ImageCheck:
    """What a file is: (width, height) of the stored pixels, or a line that says why it cannot be read."""

    size: tuple[int, int] | None
    fault: str = ""


def check_images(
    paths: Sequence[str], headers_only: bool = False, progress: Progress = lambda items, total: items
) -> dict[str, ImageCheck]:
    """Each file once, by path. Decoding runs on all cores.

    Args:
        headers_only: do not decode; a truncated file is then not noticed.
        progress: wraps the iterable of finished images, whose number is the second argument.
    """
    paths = list(dict.fromkeys(paths))
    return dict(zip(paths, progress(_checked(paths, headers_only), len(paths))))


def image_faults(persons: Persons, checks: dict[str, ImageCheck], whole: bool = False) -> list[Finding]:
    """A line for each image with a person that cannot be read or has another size than annotated.

    Args:
        checks: of at least the images with a person.
        whole: images without a person count too.
    """
    found, counts = [], np.bincount(persons.image_index, minlength=len(persons.image_paths)).tolist()
    for row, count in ((row, count) for row, count in enumerate(counts) if count or whole):
        path, number = str(persons.image_paths[row]), int(persons.image_ids[row])
        reason = checks[path].fault or _size_fault(path, checks[path].size, persons.reading(row))
        if reason:
            found.append(Finding(f"{reason} (image id {number}, persons: {count})", True, (number,)))
    return found


def refused_files(folder: str) -> list[Finding]:
    """What the reader of a folder leaves out: files without an image header (faults), and links to folders (notes)."""
    refused = [path for path in image_files(folder) if _header_size(path) is None]
    checks = [(path, _check(path, headers_only=True)) for path in refused]
    linked = [Finding(f"{path}: is a link to a folder, left out") for path in linked_folders(folder)]
    return linked + [Finding(check.fault or f"{path}: has no header that can be read", True) for path, check in checks]


def true_sizes(persons: Persons, checks: dict[str, ImageCheck]) -> np.ndarray:
    """(I, 2) float64 width and height, of the turned picture where it is turned; NaN where the file was not checked or
    cannot be read."""
    none = ImageCheck(None)
    sizes = [checks.get(str(path), none).size or (np.nan, np.nan) for path in persons.image_paths]
    turns = persons.image_orientations.tolist()
    return np.array([turned_size(*each) for each in zip(sizes, turns)], np.float64).reshape(-1, 2)


def _checked(paths: list[str], headers_only: bool) -> Iterable[ImageCheck]:
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for start in range(0, len(paths), _PART):
            yield from threads.map(lambda path: _check(path, headers_only), paths[start : start + _PART])


def _check(path: str, headers_only: bool) -> ImageCheck:
    size, limit = _header_size(path), int(os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"])
    # OpenCV knows the limit only if it was loaded after it was set
    if size and size[0] * size[1] > limit:
        return ImageCheck(None, f"{path}: has more pixels than OPENCV_IO_MAX_IMAGE_PIXELS={limit} allows")
    if size and headers_only:
        return ImageCheck(size)
    try:
        height, width = read_image(path, reading=_ANY).shape[:2]
    except DataError as error:
        return ImageCheck(None, str(error))
    return ImageCheck((width, height))


def _header_size(path: str) -> tuple[int, int] | None:
    try:
        return image_size(path)
    except DataError:
        return None


def _size_fault(path: str, stored: tuple[int, int], reading: Reading) -> str:
    found = turned_size(stored, reading.orientation)
    differs = any(reading.size) and found != reading.size
    return str(image_fault(path, size_fault(found, reading.size))) if differs else ""
