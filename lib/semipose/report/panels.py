"""Persons cut out of their pictures: as labelled, as predicted, with wrong keypoints marked."""

import cv2
import numpy as np

from semipose.data.archives import image_name
from semipose.data.images import read_image
from semipose.skeletons import Skeleton
from semipose.structures import Persons
from semipose.visualize.overlay import draw_skeleton

SIDE = 480  # of a panel: its longer side in pixels
MARK_COLOR = (255, 40, 120)  # of wrong keypoints
_INK = (20, 22, 28)
_ROOM = 0.12  # around a person, in units of its longer side


class Cut:
    """The part of a picture around a person, enlarged.

    Args:
        image: (H, W, 3) uint8 RGB.
        spots: (n, 2) pixels that are to be seen, as far as they lie in the picture.
    """

    def __init__(self, image: np.ndarray, spots: np.ndarray):
        left, top, right, bottom = _window(spots, image.shape[:2])
        cut, factor = image[top:bottom, left:right], SIDE / max(right - left, bottom - top)
        size = tuple(max(1, round(n * factor)) for n in (right - left, bottom - top))
        self.picture = cv2.resize(cut, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC)
        self._corner, self._factors = (left, top), np.divide(size, (right - left, bottom - top))

    def draw(
        self, points: np.ndarray, skeleton: Skeleton, marked: np.ndarray, truth: np.ndarray | None = None
    ) -> np.ndarray:
        """A person on the cut, with a ring around each marked keypoint.

        Args:
            points: (K, 2) image pixels; NaN is not drawn.
            marked: (K,) bool.
            truth: (K, 2) image pixels: a line leads from each marked keypoint to it.
        """
        points = self._place(points)
        canvas = draw_skeleton(self.picture, points, skeleton)
        for k in np.flatnonzero(marked & np.isfinite(points).all(-1)):
            if truth is not None:
                _line(canvas, points[k], self._place(truth)[k])
            _ring(canvas, points[k])
        return canvas

    def _place(self, points: np.ndarray) -> np.ndarray:
        return (points - self._corner + 0.5) * self._factors - 0.5


def cut_person(persons: Persons, row: int, others: np.ndarray) -> Cut:
    """The cut around the labels of a person and `others` (n, 2), such as predictions; raises DataError.

    Only what is near the box counts of the others: a wild prediction must not make the person small.
    """
    image = read_image(persons.path(row), reading=persons.reading(persons.image_index[row]))
    left, top, width, height = persons.boxes[row].tolist()
    reach = 0.5 * max(width, height)
    others = others[np.isfinite(others).all(-1)]
    low, high = np.array([left - reach, top - reach]), np.array([left + width + reach, top + height + reach])
    near = ((others > low) & (others < high)).all(-1)
    labels = persons.keypoints[row]
    spots = [labels[labels[:, 2] > 0, :2], others[near], [(left, top), (left + width, top + height)]]
    return Cut(image, np.concatenate(spots))


def name_of(persons: Persons, row: int) -> str:
    """File and id."""
    return f"{image_name(persons.path(row))}, id {persons.ids[row]}"


def labels_of(persons: Persons, row: int) -> np.ndarray:
    """(K, 2) labels, NaN where there is none."""
    labels = persons.keypoints[row]
    return np.where(labels[:, 2:] > 0, labels[:, :2], np.nan).astype(np.float64)


def _window(spots: np.ndarray, shape: tuple[int, int]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom around the spots, within the picture; all of it where that is empty."""
    room = _ROOM * np.ptp(spots, axis=0).max(initial=1)
    limits = shape[1], shape[0]
    left, top = np.clip(np.floor(spots.min(0) - room), 0, limits).astype(int)
    right, bottom = np.clip(np.ceil(spots.max(0) + room) + 1, 0, limits).astype(int)
    return (left, top, right, bottom) if right > left and bottom > top else (0, 0, *limits)


def _ring(canvas: np.ndarray, centre: np.ndarray) -> None:
    for color, width in ((_INK, 4), (MARK_COLOR, 2)):
        cv2.circle(canvas, _whole(centre), SIDE // 44, color, width, cv2.LINE_AA)


def _line(canvas: np.ndarray, start: np.ndarray, end: np.ndarray) -> None:
    for color, width in ((_INK, 4), (MARK_COLOR, 2)):
        cv2.line(canvas, _whole(start), _whole(end), color, width, cv2.LINE_AA)
        cv2.drawMarker(canvas, _whole(end), color, cv2.MARKER_TILTED_CROSS, SIDE // 44, width)


def _whole(point: np.ndarray) -> tuple[int, int]:
    x, y = np.clip(point, -1e5, 1e5).round().astype(int)
    return int(x), int(y)
