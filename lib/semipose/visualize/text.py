"""Text on pictures: numbers of persons on plates, legends. Sizes follow the picture."""

from functools import lru_cache

import cv2
import numpy as np

from semipose.skeletons import Skeleton
from semipose.visualize.colors import OUTLINE, Color, color_key, is_dark

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_FONT_HEIGHT = 22  # pixels of a capital letter at scale 1
_SMALLEST = 8
_LIGHT = (235, 235, 235)


def letter_height(shape: tuple[int, ...]) -> int:
    """Height of capital letters in pixels on a picture of shape (H, W, ...)."""
    return max(_SMALLEST, round(0.5 * min(shape[:2]) ** 0.5))


def text_width(text: str, height: int) -> int:
    """Pixels that `text` takes with letters of `height` pixels."""
    return cv2.getTextSize(text, _FONT, height / _FONT_HEIGHT, _stroke(height))[0][0]


def write(canvas: np.ndarray, text: str, left: float, baseline: float, height: float, color: Color) -> None:
    """Write on `canvas` with letters of `height` pixels."""
    place = round(left), round(baseline)
    cv2.putText(canvas, text, place, _FONT, height / _FONT_HEIGHT, color, _stroke(height), cv2.LINE_AA)


def write_within(
    canvas: np.ndarray, text: str, left: float, baseline: float, height: int, color: Color, width: int
) -> None:  # fmt: skip
    """Write on `canvas`, with smaller letters where the text would be wider than `width` pixels."""
    wide = text_width(text, height)
    write(canvas, text, left, baseline, height * min(1, width / max(1, wide)), color)


def write_plate(canvas: np.ndarray, text: str, left: float, bottom: float, color: Color) -> None:
    """Write on a plate of `color` with this lower left corner; moved so that it is in the picture."""
    height = letter_height(canvas.shape)
    room = max(2, height // 3)
    wide, high = text_width(text, height) + 2 * room, height + 2 * room
    left = int(np.clip(left, 0, max(0, canvas.shape[1] - wide)))
    top = int(np.clip(bottom - high, 0, max(0, canvas.shape[0] - high)))
    canvas[top : top + high, left : left + wide] = color
    write(canvas, text, left + room, top + high - room, height, _LIGHT if is_dark(color) else OUTLINE)


def add_legend(canvas: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """The picture (H, W, 3) and what its colours mean: on the right of a tall picture, else below."""
    strip, beside = _legend(skeleton, *canvas.shape[:2])
    height, width = canvas.shape[:2]
    shape = (height, width + strip.shape[1]) if beside else (height + strip.shape[0], max(width, strip.shape[1]))
    whole = np.empty((*shape, 3), np.uint8)
    whole[:] = OUTLINE
    whole[:height, :width] = canvas
    whole[-strip.shape[0] :, -strip.shape[1] :] = strip
    return whole


@lru_cache(maxsize=8)
def _legend(skeleton: Skeleton, height: int, width: int) -> tuple[np.ndarray, bool]:
    """The strip beside or below a picture; kept, since all frames of a video have the same."""
    entries, letters = color_key(skeleton), letter_height((height, width))
    line = 2 * letters
    cell = max(text_width(name, letters) for name in entries) + 3 * letters
    beside = height >= 0.9 * width and line * (len(entries) + 1) <= height
    columns = 1 if beside else max(1, min(width // cell, len(entries)))
    rows = -(-len(entries) // columns)
    strip = np.empty((height if beside else line * (rows + 1), cell if beside else max(width, cell), 3), np.uint8)
    strip[:] = OUTLINE
    for n, (name, color) in enumerate(entries.items()):
        left, middle = n // rows * cell + letters, line * (n % rows + 1)
        cv2.circle(strip, (left, middle), letters // 2, color, cv2.FILLED, cv2.LINE_AA)
        write(strip, name, left + letters, middle + letters / 2, letters, _LIGHT)
    return strip, beside


def _stroke(height: float) -> int:
    return max(1, round(height / 9))
