"""Heatmaps over images, and pictures side by side. Every function returns a new image."""

from collections.abc import Sequence

import cv2
import numpy as np


def draw_heatmaps(image: np.ndarray, heatmaps: np.ndarray) -> np.ndarray:
    """Lay the highest of all heatmaps over an image in faded colours, dark red to bright yellow.

    Args:
        image: (H, W, 3) uint8 RGB.
        heatmaps: (K, h, w) values, 0..1; they cover the same field of view as the image, whatever their size.

    Returns:
        (H, W, 3) uint8.
    """
    highest = np.asarray(heatmaps, dtype=np.float32).max(0)
    highest = cv2.resize(highest, (image.shape[1], image.shape[0]), interpolation=cv2.INTER_CUBIC).clip(0, 1)
    heat = cv2.applyColorMap((highest * 255).round().astype(np.uint8), cv2.COLORMAP_INFERNO)[..., ::-1]
    faded = 0.3 * image + 0.6 * image.mean(-1, keepdims=True)
    share = 0.9 * highest[..., None] ** 0.7
    return (faded * (1 - share) + heat * share).round().astype(np.uint8)


def enlarge(image: np.ndarray, scale: int) -> np.ndarray:
    """A copy `scale` times as wide and high (a whole number, at least 1)."""
    image = np.ascontiguousarray(image)
    if scale == 1:
        return image.copy()
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)


def tile(images: Sequence[np.ndarray], columns: int, gap: int = 8) -> np.ndarray:
    """Images in rows of `columns`, each in the middle of a cell as large as the largest image, white between them.

    Args:
        images: at least one (H, W, 3) uint8; sizes may differ.
        columns: images in a row.
        gap: pixels between cells.
    """
    height, width = (max(i.shape[axis] for i in images) for axis in (0, 1))
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    canvas = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, 3), 255, np.uint8)
    for n, image in enumerate(images):
        top = n // columns * (height + gap) + (height - image.shape[0]) // 2
        left = n % columns * (width + gap) + (width - image.shape[1]) // 2
        canvas[top : top + image.shape[0], left : left + image.shape[1]] = image
    return canvas
