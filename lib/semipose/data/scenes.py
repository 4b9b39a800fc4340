"""Groups of pictures that show one scene: copies, and bursts of a camera that hardly moves."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from semipose.data.images import cv2, image_size, read_image
from semipose.data.thumbnails import PLAIN

# Measured on 5,000 pictures of Leeds Sports Pose extended, by eye: from 0.74 on nearly all pairs show one scene, at
# 0.72 two of three, at 0.70 half; those are taken too, as a scene too large does no harm. Below, chains join hundreds.
ALIKE = 0.7
LAYOUT = 16  # pixels each way
_COLORS = (8, 16, 16)  # bins of L, a, b
_RANGES = (0, 256, 64, 192, 64, 192)  # of 8-bit Lab; more of a and b is rare
_GREY, _COLORFUL = 0.7, 15  # worth of the colours of a grey picture, and the mean chroma from which it is 1
_SMALL = 96  # pixels of the shorter side, of which the signature is made
_PART = 1024  # rows compared at a time


def scene_groups(paths: Sequence[str], alike: float = ALIKE) -> np.ndarray:
    """(N,) int group of each image file, numbered in order of their first pictures.

    Two pictures whose signatures have a product of at least `alike` are in one group, also those joined by others.

    Raises:
        DataError: an image cannot be read.
    """
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        made = list(threads.map(lambda path: signature(_small_image(path)), paths))
    return join_alike(np.stack(made), alike) if made else np.zeros(0, np.int64)


def signature(image: np.ndarray) -> np.ndarray:
    """(D,) float32 of an (H, W, 3) uint8 RGB image; the product of two signatures is at most 1.

    One half of a product is the correlation of the colours at 16 x 16 places, the other the similarity (Bhattacharyya)
    of all colours wherever they are: skies and lawns correlate in many pictures, a red track is in many; both
    together tell a scene. The second half is lower for grey pictures, whose colours are those of all grey ones. A
    picture that shows nothing has no places, so it resembles no other one.
    """
    small = cv2.resize(image, (LAYOUT, LAYOUT), interpolation=cv2.INTER_AREA)
    places = (small - small.mean(dtype=np.float32)).ravel() * (np.ptp(small) >= PLAIN)
    colors = cv2.calcHist([_lab(image)], [0, 1, 2], None, _COLORS, _RANGES).ravel()
    chroma = np.hypot(*(_lab(small)[..., 1:].astype(np.float32) - 128).reshape(-1, 2).T).mean()
    worth = _GREY + (1 - _GREY) * min(1, chroma / _COLORFUL)
    halves = (places / max(np.linalg.norm(places), 1e-6), np.sqrt(worth * colors / max(colors.sum(), 1)))
    return np.concatenate(halves).astype(np.float32) / np.float32(np.sqrt(2))


def join_alike(signatures: np.ndarray, alike: float) -> np.ndarray:
    """(N,) int group of each of (N, D) signatures."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    rows, columns = [], []
    for start in range(0, len(signatures), _PART):
        row, column = np.nonzero(signatures[start : start + _PART] @ signatures.T >= alike)
        rows.append(row + start)
        columns.append(column)
    rows, columns = np.concatenate(rows), np.concatenate(columns)
    graph = coo_array((np.ones(len(rows), bool), (rows, columns)), shape=(len(signatures),) * 2)
    return connected_components(graph, directed=False)[1].astype(np.int64)


def _lab(image: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(image, cv2.COLOR_RGB2LAB)


def _small_image(path: str) -> np.ndarray:
    """(H, W, 3) uint8 RGB, no larger than needed."""
    smaller = min(image_size(path)) // _SMALL
    image = read_image(path, next(factor for factor in (8, 4, 2, 1) if factor <= max(1, smaller)))
    scale = _SMALL / min(image.shape[:2])
    size = [max(1, round(side * scale)) for side in image.shape[1::-1]]
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA) if scale < 1 else image
