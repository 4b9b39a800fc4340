"""The EXIF orientation of images: how stored pixels have to be turned to be upright."""

import io
import struct

import numpy as np

from semipose.data.archives import read_bytes
from semipose.errors import DataError

SIDEWAYS = (5, 6, 7, 8)  # these exchange width and height
_TAG = 0x0112
_HEAD = 2**12  # bytes that have the EXIF data of a JPEG file, which must come first
_LARGE_HEAD = 2**16
TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_JPEG, _EXIF = b"\xff\xd8\xff", b"Exif\0\0"
_DAMAGED = (OSError, ValueError, TypeError, SyntaxError, KeyError, struct.error)


def read_orientation(path: str) -> int:
    """1 to 8; 1 where the file has none, cannot be read, or has damaged EXIF data, which viewers ignore as well.

    1 for TIFF: OpenCV and Pillow turn it whenever they read it, so its pixels and its size are never those stored.

    Args:
        path: image file, or `ARCHIVE.zip@MEMBER`.
    """
    try:
        head = read_bytes(path, _HEAD)
        if head.startswith(_JPEG):
            found = _of_jpeg(head)
        elif head.startswith(TIFF_STARTS):
            found = 1
        else:
            found = _of_others(read_bytes(path, _LARGE_HEAD), lambda: read_bytes(path))
    except (DataError, *_DAMAGED):
        return 1
    return found if found in range(1, 9) else 1


def turned_size(size: tuple[int, int], orientation: int) -> tuple[int, int]:
    """(width, height) of the upright picture, of stored pixels of (width, height) `size`."""
    return (size[1], size[0]) if orientation in SIDEWAYS else (size[0], size[1])


def turned(image: np.ndarray, orientation: int) -> np.ndarray:
    """The upright picture of stored pixels (H, W, ...)."""
    if orientation in SIDEWAYS:
        image = image.swapaxes(0, 1)
    upside_down, mirrored = orientation in (3, 4, 7, 8), orientation in (2, 3, 6, 7)
    return np.ascontiguousarray(image[:: -1 if upside_down else 1, :: -1 if mirrored else 1])


def _of_jpeg(head: bytes) -> object:
    from PIL import Image

    start = head.find(_EXIF)
    if start < 0:
        return 1
    exif = Image.Exif()
    exif.load(head[start:])
    return exif.get(_TAG, 1)


def _of_others(head: bytes, whole) -> object:
    from PIL import Image, UnidentifiedImageError

    try:
        image = Image.open(io.BytesIO(head))
    except UnidentifiedImageError:
        image = Image.open(io.BytesIO(whole()))
    except Image.DecompressionBombError:  # it is refused when it is read
        return 1
    with image:
        # Pillow decodes a PNG to its end to look for EXIF data behind the pixels
        read = Image.Image.getexif if image.format == "PNG" else type(image).getexif
        return read(image).get(_TAG, 1)
