"""Panels of whole pictures: each person in a colour of its own with a text beside it, and tinted regions."""

from collections.abc import Sequence

import cv2
import numpy as np

from semipose.skeletons import Skeleton
from semipose.visualize.overlay import draw_instances
from semipose.visualize.panels import REGION_COLOR

LONG_SIDE = 960  # of a whole picture, in pixels
VIEW_SIDE = 480  # of a view; its shorter side is at least so long
REGION_TINT = (255, 60, 160)  # of regions of persons without labels
_SHARE = 0.45  # of the tint


def draw_picture(
    image: np.ndarray, points: np.ndarray, shown: np.ndarray, labels: Sequence[str], skeleton: Skeleton,
    hidden: np.ndarray | None = None, outline: np.ndarray | None = None, size: tuple[int, int] | None = None,
) -> np.ndarray:  # fmt: skip
    """A picture with its instances.

    Args:
        image: (H, W, 3) uint8 RGB.
        points: (N, K, 2) in its pixels; those where `shown` (N, K) is true are drawn.
        labels: N texts, each beside its instance.
        hidden: (H, W), not 0 where the picture is tinted.
        outline: (4, 2) corners of a polygon in its pixels.
        size: (width, height) of the result; None = the longer side is LONG_SIDE.
    """
    height, width = image.shape[:2]
    size = size or tuple(max(1, round(n * LONG_SIDE / max(height, width))) for n in (width, height))
    canvas = cv2.resize(image, size, interpolation=cv2.INTER_AREA if size[0] < width else cv2.INTER_CUBIC)
    if hidden is not None:
        canvas = _tinted(canvas, cv2.resize(hidden.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0)
    scale = np.divide(size, (width, height))
    if outline is not None:
        corners = np.clip((outline + 0.5) * scale - 0.5, -1e5, 1e5).round().astype(np.int32)
        cv2.polylines(canvas, [corners], True, REGION_COLOR, 2, cv2.LINE_AA)
    places = np.where(shown[..., None], (points + 0.5) * scale - 0.5, np.nan)
    return draw_instances(canvas, places, None, skeleton, labels=labels)


def view_size(picture: np.ndarray) -> tuple[int, int]:
    """(width, height) of a drawn view: a whole number of times as large as the view."""
    factor = max(1, -(-VIEW_SIDE // min(picture.shape[:2])))
    return picture.shape[1] * factor, picture.shape[0] * factor


def _tinted(canvas: np.ndarray, where: np.ndarray) -> np.ndarray:
    tinted = canvas * (1 - _SHARE) + np.array(REGION_TINT) * _SHARE
    return np.where(where[..., None], tinted.round(), canvas).astype(np.uint8)
