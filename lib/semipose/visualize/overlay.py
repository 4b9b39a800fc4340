"""Persons on a picture: limbs and keypoints, boxes, numbers, and a legend."""

from collections.abc import Callable, Sequence

import cv2
import numpy as np

from semipose.skeletons import Skeleton
from semipose.visualize.colors import OUTLINE, Color, keypoint_colors, link_colors, person_color
from semipose.visualize.draw import enlarge
from semipose.visualize.text import add_legend, write_plate

_SUBPIXEL_BITS = 4
_FAINTEST = 0.4  # opacity of a keypoint with score 0
_LEAST_EXTENT = 40  # a person is at least as many times as large as its limbs are wide
_FAR = 1e6  # pixels; keeps a wild prediction within the 32 bits of OpenCV


def draw_instances(
    image: np.ndarray, keypoints: np.ndarray, scores: np.ndarray | None, skeleton: Skeleton,
    boxes: np.ndarray | None = None, ids: np.ndarray | None = None, min_score: float = 0.0, legend: bool = False,
    labels: Sequence[str] | None = None,
) -> np.ndarray:  # fmt: skip
    """All persons of a picture, with lines, dots and text that fit its size.

    Colours tell left, right and middle apart, or each keypoint where a skeleton has no sides (`keypoint_colors`). An
    uncertain keypoint is fainter.

    Args:
        image: (H, W, 3) uint8 RGB; it is not changed.
        keypoints: (N, K, 2) pixels; one that is not finite is not drawn, nor its limbs.
        scores: (N, K) in 0..1; None = all are certain.
        boxes: (N, 4) x, y, width, height in pixels; each person has its own colour.
        ids: (N,) numbers of the persons from 1 on, written above them and giving their colours; without them
            persons have the colours of their places.
        min_score: keypoints with a lower score, or NaN, are not drawn, nor their limbs.
        legend: add a strip beside or below the picture that names the colours.
        labels: N texts in place of the numbers; all of a person then has the person's colour.

    Returns:
        (H, W, 3) uint8; larger with a legend.

    Raises:
        ValueError: the number of keypoints is not the skeleton's.
    """
    keypoints = np.asarray(keypoints, np.float64)
    if keypoints.shape[1:] != (len(skeleton), 2):
        shape, count = keypoints.shape, len(skeleton)
        raise ValueError(
            f"keypoints {shape} for skeleton {skeleton.name!r}, which has {count}; (N, {count}, 2) expected"
        )
    scores = np.ones(keypoints.shape[:2]) if scores is None else np.asarray(scores, np.float64)
    shown = np.isfinite(keypoints).all(-1) & (scores >= min_score)
    canvas = np.array(image, np.uint8, order="C")
    width = line_width(canvas.shape)
    colors = [person_color(int(n)) for n in (range(1, len(keypoints) + 1) if ids is None else ids)]
    for box, color in [] if boxes is None else zip(boxes, colors):
        _draw_box(canvas, box, color, (width + 1) // 2)
    for *person, color in zip(keypoints, scores, shown, colors):
        _draw_person(canvas, *person, skeleton, width, None if labels is None else color)
    texts = ids if labels is None else labels
    for n in [] if texts is None else range(len(keypoints)):
        corner = _corner(keypoints[n][shown[n]], None if boxes is None else boxes[n], width)
        if corner is not None:
            write_plate(canvas, str(texts[n]), *corner, colors[n])
    return add_legend(canvas, skeleton) if legend else canvas


def draw_skeleton(
    image: np.ndarray, keypoints: np.ndarray, skeleton: Skeleton, visible: np.ndarray | None = None,
    scores: np.ndarray | None = None, scale: int = 1,
) -> np.ndarray:  # fmt: skip
    """`draw_instances` of one person on an enlarged image, so that lines on a small crop are crisp.

    Args:
        keypoints: (K, 2) pixels of `image`.
        visible: (K,) True where a keypoint is drawn; None draws all.
        scores: (K,); None = all are certain.
        scale: how many times as wide and high the picture becomes.
    """
    # pixel centres stay pixel centres in an enlarged image
    points = (np.asarray(keypoints, np.float64) + 0.5) * scale - 0.5
    if visible is not None:
        points = np.where(np.asarray(visible, bool)[:, None], points, np.nan)
    return draw_instances(enlarge(image, scale), points[None], None if scores is None else scores[None], skeleton)


def line_width(shape: tuple[int, ...]) -> int:
    """Pixels of a limb on a picture of shape (H, W, ...): 1 on a thumbnail, 3 on 480, 7 on 2000."""
    return max(1, round(0.15 * min(shape[:2]) ** 0.5))


def _draw_person(
    canvas: np.ndarray, points: np.ndarray, scores: np.ndarray, shown: np.ndarray, skeleton: Skeleton, width: int,
    color: Color | None = None,
) -> None:  # fmt: skip
    """In one colour, or in those of the keypoints."""
    opacity = _FAINTEST + (1 - _FAINTEST) * scores.clip(0, 1)
    width = _width_on(points[np.isfinite(points).all(-1)], width)
    for a, b in skeleton.link_indices:
        if shown[a] and shown[b]:
            colors = (color, color) if color else link_colors(skeleton, (a, b))
            _draw_limb(canvas, points[[a, b]], colors, width, min(opacity[a], opacity[b]))
    for k in np.flatnonzero(shown):
        _draw_dot(canvas, points[k], color or keypoint_colors(skeleton)[k], width, opacity[k])


def _width_on(points: np.ndarray, width: int) -> int:
    """Limbs of a small person (n, 2) are thinner, or they would hide it."""
    extent = np.ptp(points, axis=0).max() if len(points) else 0
    return min(width, max(1, round(extent / _LEAST_EXTENT))) if extent else width


def _draw_limb(canvas: np.ndarray, ends: np.ndarray, colors: tuple[Color, Color], width: int, opacity: float) -> None:
    """A line with a dark edge; each half has the colour of its end."""

    def paint(part: np.ndarray, origin: np.ndarray) -> None:
        first, middle, last = map(_fixed, (ends[0] - origin, ends.mean(0) - origin, ends[1] - origin))
        halves = ((first, middle, colors[0]), (middle, last, colors[1]))
        if colors[0] == colors[1]:
            halves = ((first, last, colors[0]),)
        cv2.line(part, first, last, OUTLINE, width + 2, cv2.LINE_AA, _SUBPIXEL_BITS)
        for start, end, color in halves:
            cv2.line(part, start, end, color, width, cv2.LINE_AA, _SUBPIXEL_BITS)

    _blend(canvas, ends, width + 3, opacity, paint)


def _draw_dot(canvas: np.ndarray, centre: np.ndarray, color: Color, width: int, opacity: float) -> None:
    radius = 1.3 * width

    def paint(part: np.ndarray, origin: np.ndarray) -> None:
        for ink, size in ((OUTLINE, radius + 1), (color, radius)):
            fixed_size = round(size * 2**_SUBPIXEL_BITS)
            cv2.circle(part, _fixed(centre - origin), fixed_size, ink, cv2.FILLED, cv2.LINE_AA, _SUBPIXEL_BITS)

    _blend(canvas, centre[None], 2 * width + 3, opacity, paint)


def _draw_box(canvas: np.ndarray, box: np.ndarray, color: Color, width: int) -> None:
    if np.isfinite(box).all():
        corners = _fixed(np.asarray(box[:2])), _fixed(np.add(box[:2], box[2:]))
        for ink, thickness in ((OUTLINE, width + 2), (color, width)):
            cv2.rectangle(canvas, *corners, ink, thickness, cv2.LINE_AA, _SUBPIXEL_BITS)


def _corner(points: np.ndarray, box: np.ndarray | None, width: int) -> tuple[float, float] | None:
    """Where the number of a person stands: on its box, or above the highest of its keypoints (n, 2), if it has any."""
    if box is not None and np.isfinite(box).all():
        return float(box[0]) - width / 2, float(box[1])
    if not len(points):
        return None
    return tuple(points[points[:, 1].argmin()] - (2 * width, 4 * width))


def _blend(
    canvas: np.ndarray, spots: np.ndarray, room: int, opacity: float, paint: Callable[[np.ndarray, np.ndarray], None]
) -> None:
    """`paint(part, origin)` see-through, on the part of the canvas around `spots` (n, 2)."""
    limits = canvas.shape[1::-1]
    left, top = np.clip(spots.min(0) - room, 0, limits).astype(int)
    right, bottom = np.clip(spots.max(0) + room + 1, 0, limits).astype(int)
    if right <= left or bottom <= top:
        return
    part = canvas[top:bottom, left:right]
    layer = part.copy()
    paint(layer, np.array([left, top]))
    cv2.addWeighted(layer, opacity, part, 1 - opacity, 0, dst=part)


def _fixed(point: np.ndarray) -> tuple[int, int]:
    """Fixed-point coordinates for OpenCV."""
    x, y = np.clip(point, -_FAR, _FAR) * 2**_SUBPIXEL_BITS
    return round(float(x)), round(float(y))
