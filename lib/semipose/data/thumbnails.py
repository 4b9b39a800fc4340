"""Small grey copies of pictures, by which re-encoded and resized copies of a picture are found."""

import hashlib
import logging
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from semipose.data.archives import image_facts
from semipose.data.depth import as_8_bits, white_for
from semipose.data.images import cv2, image_size, read_image, stored_values
from semipose.data.orientation import read_orientation, turned
from semipose.errors import DataError

_log = logging.getLogger(__name__)

SIDE = 32  # pixels each way
FORMAT = 1  # of the kept thumbnails; raise it when their pixels change
KEPT_FROM = 200  # thumbnails that are worth a file; fewer are made again
PLAIN = 16  # levels between darkest and brightest; with less a picture shows nothing to tell it by
# Limits of `find_alike`, as shares of the levels between the darkest and the brightest place of the held-out picture.
MEAN, MOST, NOISE, LOCAL = 0.03, 0.12, 0.03, 12.5
CLOSE, CLOSE_LOCAL, CLOSE_LEVELS = 256, 28, 8  # `look_same`: pixels each way, and its limits
SCENE = 0.1  # mean difference up to which two pictures show one scene; in the same shares
LEVELS = 2  # noise of dark pictures, in levels
_PART = 4096  # thumbnails compared at a time


def small_copy(image: np.ndarray, side: int = SIDE) -> np.ndarray:
    """(side, side) uint8 grey copy of an (H, W, 3) uint8 RGB image, made by averaging."""
    way = cv2.INTER_AREA if min(image.shape[:2]) >= side else cv2.INTER_LINEAR
    return cv2.resize(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), (side, side), interpolation=way)


def read_thumbnails(paths: Sequence[str], folder: str) -> np.ndarray:
    """(N, 32, 32) uint8 of image files; zero where one cannot be read, which is reported when it is trained on.

    They are upright, as the EXIF orientation says, since tools that save a picture again often turn its pixels. All
    cores decode, JPEG files at reduced size. Many thumbnails are kept in `folder` under a key that changes with any of
    the files (name, size, time); `folder` is made if it is not there.
    """
    kept = os.path.join(folder, f"{_key(paths)}.npy") if len(paths) >= KEPT_FROM else ""
    found = load_thumbnails(kept)
    if found is not None and len(found) == len(paths):
        return found
    if kept:
        _log.info("reading %d images to compare them as pictures; what is read is kept in %s", len(paths), folder)
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        made = np.array(list(threads.map(_thumbnail, paths)), np.uint8).reshape(-1, SIDE, SIDE)
    if kept:
        _keep(kept, made)
    return made


def load_thumbnails(path: str) -> np.ndarray | None:
    """(N, 32, 32) uint8 out of a file of `save_thumbnails`; None if it is not there or damaged."""
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return found if found.dtype == np.uint8 and found.shape[1:] == (SIDE, SIDE) else None


def save_thumbnails(path: str, thumbnails: np.ndarray) -> None:
    """Under another name first, so that there is never half a file; raises OSError."""
    temporary = f"{path}.{os.getpid()}.tmp"
    with open(temporary, "wb") as file:
        np.save(file, thumbnails)
    os.replace(temporary, path)


def is_plain(thumbnails: np.ndarray) -> np.ndarray:
    """(N,) bool: pictures that show too little to be known by it, such as black ones."""
    return np.ptp(thumbnails, axis=(1, 2)) < PLAIN


def find_alike(held_out: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(B,) int32: for each of `others` (B, 32, 32) which of `held_out` (A, 32, 32) it shows; -1 = none.

    Of several it is the nearest one. `look_same` tells whether two files of small animals are one picture after all.

    A copy differs a little everywhere; another frame of a fixed camera differs in the one place where the animal is.
    So two pictures are the same if all differences are small (NOISE), or if the largest does not stand out of the
    others (LOCAL times their root mean square) and none is large (MOST); their mean is at most MEAN. Measured: largest
    difference, as a share of the contrast, and its ratio to the root mean square:

    * JPEG of quality 50 to 95: 0.024 on a video of a mouse and on photos, 0.11 on pure noise; ratio up to 9.
    * resized to 0.8 to 1.3 of the size: 0.04 on the mouse, 0.10 on photos of 100 pixels (0.13 by nearest pixels); ratio
      up to 12.
    * the next frame of the mouse, which runs before a fixed camera: at least 0.34.
    * a dark spot before a fixed camera with noise, 640 pixels wide, at two places: spots of 16 pixels 0.10 and ratio
      13, of 10 pixels 0.05 and 11. Of such pairs 99.7 % are told apart with 16 pixels, 95 % with 10, 34 % with 6.
    * photos of different scenes: at least 0.60.
    """
    found, least = np.full(len(others), -1, np.int32), np.full(len(others), np.inf)
    levels = others.mean(axis=(1, 2))
    order = np.argsort(levels)
    contrasts, coarse = np.ptp(held_out, axis=(1, 2)), _coarse(others)
    for row in np.flatnonzero(~is_plain(held_out)):
        picture, contrast = held_out[row].astype(np.int16), float(contrasts[row])
        reach = picture.mean() + np.array([-MEAN, MEAN]) * contrast
        near = order[slice(*np.searchsorted(levels[order], reach))]
        # the mean and the largest difference of averaged pictures are never above those of the pictures
        near = near[np.abs(coarse[near] - _coarse(held_out[row : row + 1])).max(axis=(1, 2)) <= MOST * contrast]
        for start in range(0, len(near), _PART):
            part = near[start : start + _PART]
            differences = np.abs(others[part] - picture).reshape(len(part), -1)
            mean = differences.mean(axis=1)
            nearer = _are_copies(differences, mean, contrast) & (mean < least[part])
            found[part[nearer]], least[part[nearer]] = row, mean[nearer]
    return found


def look_same(path: str, other: str) -> bool:
    """Whether two image files that are alike as thumbnails show the same, seen at 256 pixels each way.

    There an animal of a few pixels that has moved stands out of the other differences. Measured, after averaging over
    3 x 3: the largest difference is up to 24 times the root mean square for JPEG of quality 30 to 90 and pictures
    resized to 0.25 to 1.3 of the size; 34 times and more for dark spots of 6 to 20 pixels in 640 x 480 or 1280 x 1024.
    """
    difference = _grey_copy(path, CLOSE).astype(np.float32) - _grey_copy(other, CLOSE)
    difference = np.abs(cv2.blur(difference, (3, 3)))
    spread = np.sqrt(np.square(difference).mean())
    return float(difference.max()) <= max(CLOSE_LEVELS, CLOSE_LOCAL * spread)


def show_one_scene(picture: np.ndarray, other: np.ndarray) -> bool:
    """Whether two thumbnails (32, 32) may be neighbours in a video.

    Measured mean differences: 0.02 to 0.09 between frames of a mouse that are at most 6 apart, 0.14 and more between
    photos.
    """
    return float(np.abs(other.astype(np.int16) - picture).mean()) <= SCENE * max(1, int(np.ptp(picture)))


def _are_copies(differences: np.ndarray, mean: np.ndarray, contrast: float) -> np.ndarray:
    most, spread = differences.max(axis=1), np.sqrt(np.square(differences, dtype=np.float32).mean(axis=1))
    even = (most <= max(NOISE * contrast, LEVELS)) | ((most <= LOCAL * spread) & (most <= MOST * contrast))
    return even & (mean <= max(MEAN * contrast, LEVELS))


def _coarse(thumbnails: np.ndarray) -> np.ndarray:
    """(N, 8, 8) float32 means."""
    return thumbnails.reshape(-1, 8, 4, 8, 4).mean(axis=(2, 4), dtype=np.float32)


def _thumbnail(path: str) -> np.ndarray:
    try:
        return _grey_copy(path, SIDE)
    except (DataError, ValueError):
        return np.zeros((SIDE, SIDE), np.uint8)


def _grey_copy(path: str, side: int) -> np.ndarray:
    """(side, side) uint8, upright; raises DataError or ValueError as `read_image`."""
    return turned(small_copy(_small_image(path, side), side), read_orientation(path))


def _small_image(path: str, side: int) -> np.ndarray:
    """(H, W, 3) uint8 RGB: JPEG at reduced size, more than 8 bits by the range of the image itself."""
    if path.lower().endswith((".jpg", ".jpeg", ".jfif")):
        smaller = min(image_size(path)) // (2 * side)
        return read_image(path, next(factor for factor in (8, 4, 2, 1) if factor <= max(1, smaller)))
    values = stored_values(path)
    white = white_for(float(np.nan_to_num(values).max()), values.dtype.kind == "f")
    return cv2.cvtColor(as_8_bits(values, white), cv2.COLOR_BGR2RGB)


def _key(paths: Sequence[str]) -> str:
    digest = hashlib.sha256(repr((FORMAT, SIDE)).encode())
    for path in paths:
        digest.update(os.fsencode(f"{os.path.abspath(path)}|{image_facts(path)}\n"))
    return digest.hexdigest()[:24]


def _keep(path: str, thumbnails: np.ndarray) -> None:
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        save_thumbnails(path, thumbnails)
    except OSError as error:
        _log.warning("%s: thumbnails are not kept: %s", path, error.strerror or error)
