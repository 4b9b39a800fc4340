"""Panels for looking at data: a person in its image, in a view, as heatmaps, and what a teacher says as a list."""

from collections.abc import Sequence

import cv2
import numpy as np

from semipose.skeletons import Skeleton
from semipose.visualize.colors import keypoint_colors, lighter
from semipose.visualize.draw import draw_heatmaps, enlarge, tile
from semipose.visualize.overlay import draw_skeleton
from semipose.visualize.text import letter_height, text_width, write, write_within

BOX_COLOR, REGION_COLOR, DROPPED_COLOR = (255, 214, 10), (190, 195, 205), (255, 60, 160)
LONG_SIDE = 640  # of a person in its image, in pixels
SHORT_SIDE = 360  # of a view; it is enlarged by a whole number to about this
_INK, _FAINT, _BAR = (28, 31, 36), (225, 228, 232), (38, 150, 255)
_LIST_WIDTH, _LINE_HEIGHT = 330, 16
_LETTERS, _NAME_LETTERS = 9, 8  # heights in pixels
_AROUND = np.array([(1, 0), (-1, 0), (0, -1), (0, 1), (1, -1), (1, 1), (-1, -1), (-1, 1)])  # where a name may stand


def draw_in_image(
    image: np.ndarray, keypoints: np.ndarray, skeleton: Skeleton, box: np.ndarray, region: np.ndarray
) -> np.ndarray:
    """The part of an image around a person, with box, network input, skeleton and keypoint names.

    Args:
        image: (H, W, 3) uint8 RGB.
        keypoints: (K, 3) x, y in image pixels and above 0 where labelled.
        box: (4,) x, y, width, height in image pixels.
        region: (4, 2) corners of what a network input shows, in image pixels.

    Returns:
        (h, w, 3) uint8, the longer side LONG_SIDE.
    """
    labeled = keypoints[:, 2] > 0
    corners = np.array(box[:2]) + np.array([(0, 0), (1, 0), (1, 1), (0, 1)]) * np.array(box[2:])
    spots = np.concatenate([corners, region, keypoints[labeled, :2]])
    left, top, right, bottom = _window(spots, image.shape[:2])
    cut = image[top:bottom, left:right]
    factor = LONG_SIDE / max(cut.shape[:2])
    size = tuple(max(1, round(n * factor)) for n in (right - left, bottom - top))
    canvas = cv2.resize(cut, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC)

    def place(points):
        return (points - (left, top) + 0.5) * np.divide(size, (right - left, bottom - top)) - 0.5

    for outline, color in ((region, REGION_COLOR), (corners, BOX_COLOR)):
        cv2.polylines(canvas, [_whole(place(outline))], True, color, 2, cv2.LINE_AA)
    points = place(keypoints[:, :2].astype(np.float64))
    return _with_names(draw_skeleton(canvas, points, skeleton, labeled), points, labeled, skeleton)


def draw_view(
    picture: np.ndarray,
    keypoints: np.ndarray,
    shown: np.ndarray,
    skeleton: Skeleton,
    scores: np.ndarray | None = None,
    dropped: np.ndarray | None = None,
) -> np.ndarray:
    """An enlarged view with its joints; those of `dropped` (K,) bool as crosses. Other arguments as `draw_skeleton`."""
    scale = _scale(picture)
    canvas = draw_skeleton(picture, keypoints, skeleton, shown, scores, scale=scale)
    for x, y in [] if dropped is None else _whole((keypoints[dropped] + 0.5) * scale - 0.5):
        cv2.drawMarker(canvas, (int(x), int(y)), _INK, cv2.MARKER_TILTED_CROSS, 14, 4)
        cv2.drawMarker(canvas, (int(x), int(y)), DROPPED_COLOR, cv2.MARKER_TILTED_CROSS, 13, 2)
    return canvas


def draw_target(picture: np.ndarray, heatmaps: np.ndarray) -> np.ndarray:
    """The highest of all heatmaps (K, h, w) over an enlarged view; a sum of them would be one bright patch."""
    return draw_heatmaps(enlarge(picture, _scale(picture)), heatmaps)


def draw_scores(
    names: Sequence[str], scores: np.ndarray, kept: np.ndarray, errors: np.ndarray | None, height: int
) -> np.ndarray:
    """A list of joints: score as bar and number, whether it is kept, and how far off it is.

    Args:
        names: K.
        scores: (K,), 1 = a full bar.
        kept: (K,) bool.
        errors: (K,) distance to the true joint in view pixels, NaN where that is not known; None for no such column.
        height: smallest height of the panel.
    """
    canvas = np.full((max(height, _LINE_HEIGHT * len(names)), _LIST_WIDTH, 3), 255, np.uint8)
    step = canvas.shape[0] / len(names)
    for k, name in enumerate(names):
        middle = round((k + 0.5) * step)
        length = round(60 * float(np.clip(np.nan_to_num(scores[k]), 0, 1)))
        cv2.rectangle(canvas, (118, middle - 4), (178, middle + 4), _FAINT, cv2.FILLED)
        cv2.rectangle(canvas, (118, middle - 4), (118 + length, middle + 4), _BAR, cv2.FILLED)
        write_within(canvas, name, 4, middle + 4, _LETTERS, _INK, 112)
        write(canvas, f"{scores[k]:.2f}", 184, middle + 4, _LETTERS, _INK)
        word, color = ("kept", _INK) if kept[k] else ("dropped", DROPPED_COLOR)
        write(canvas, word, 218, middle + 4, _LETTERS, color)
        if errors is not None and np.isfinite(errors[k]):
            write(canvas, f"off {errors[k]:.1f}", 272, middle + 4, _LETTERS, _INK)
    return canvas


def join_panels(panels: Sequence[np.ndarray], titles: Sequence[str], columns: int) -> np.ndarray:
    """Panels in rows of `columns`, each under its title."""
    return tile([_titled(panel, title) for panel, title in zip(panels, titles, strict=True)], columns)


def _window(spots: np.ndarray, shape: tuple[int, int]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom around all (n, 2) spots, within the image; the whole image where that is empty."""
    spots = spots[np.isfinite(spots).all(1)]
    room = 0.04 * np.ptp(spots, axis=0).max(initial=0)
    limits = shape[1], shape[0]
    left, top = np.clip(np.floor(spots.min(0) - room), 0, limits).astype(int)
    right, bottom = np.clip(np.ceil(spots.max(0) + room) + 1, 0, limits).astype(int)
    return (left, top, right, bottom) if right > left and bottom > top else (0, 0, *limits)


def _with_names(canvas: np.ndarray, points: np.ndarray, shown: np.ndarray, skeleton: Skeleton) -> np.ndarray:
    """Each name beside its joint, on the side where it covers the fewest joints and other names."""
    plates, colors = np.empty((0, 4)), keypoint_colors(skeleton)
    joints = points[shown]
    for k in np.flatnonzero(shown):
        plate = np.array([text_width(skeleton.keypoints[k], _NAME_LETTERS) + 4, _NAME_LETTERS + 6])
        corners = points[k] - plate / 2 + _AROUND * (plate / 2 + 7)
        choices = np.concatenate([corners, corners + plate], 1)
        left, top, right, bottom = (
            choices[np.argmin([_covered(c, joints, plates, canvas) for c in choices])].round().astype(int)
        )
        plates = np.concatenate([plates, [(left, top, right, bottom)]])
        ground = canvas[max(0, top) : max(0, bottom), max(0, left) : max(0, right)]
        ground[:] = ground // 4
        write(canvas, skeleton.keypoints[k], left + 2, bottom - 4, _NAME_LETTERS, lighter(colors[k]))
    return canvas


def _covered(plate: np.ndarray, joints: np.ndarray, plates: np.ndarray, canvas: np.ndarray) -> int:
    """How many joints (n, 2) and other plates (m, 4) a plate (left, top, right, bottom) covers; more off the canvas."""
    inside = (joints > plate[:2] - 3) & (joints < plate[2:] + 3)
    crossed = (plates[:, :2] < plate[2:]) & (plates[:, 2:] > plate[:2])
    off = (plate < 0).any() or plate[2] > canvas.shape[1] or plate[3] > canvas.shape[0]
    return int(inside.all(1).sum() + crossed.all(1).sum() + 2 * off)


def _titled(panel: np.ndarray, title: str) -> np.ndarray:
    letters = letter_height(panel.shape)
    strip = np.full((2 * letters + 4, panel.shape[1], 3), 255, np.uint8)
    write_within(strip, title, 2, 1.5 * letters + 2, letters, _INK, panel.shape[1] - 4)
    return np.concatenate([strip, panel])


def _scale(picture: np.ndarray) -> int:
    return max(1, round(SHORT_SIDE / min(picture.shape[:2])))


def _whole(points: np.ndarray) -> np.ndarray:
    """Whole pixels that fit OpenCV's 32 bits, however wild the points are."""
    return np.clip(np.nan_to_num(points), -1e5, 1e5).round().astype(np.int32)
