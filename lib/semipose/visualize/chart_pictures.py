"""Line charts as pictures, for files that any viewer shows; the same axes and colours as in charts.py."""

import math

import cv2
import numpy as np

from semipose.visualize.charts import COLORS, Curve, tick_labels, x_axis, y_axis

INK, FAINT, GRID = (34, 34, 34), (120, 120, 120), (228, 228, 228)
LEGEND_ROW = 18
_SCALE, _SUBPIXEL_BITS = 0.42, 4


def draw_line_chart(
    curves: dict[str, Curve], title: str, x_label: str, y_label: str = "", width: int = 640, height: int = 400
) -> np.ndarray:
    """A line chart: axes with ticks at round numbers, a legend, one colour per curve.

    Args:
        curves: name -> points (x, y) in drawing order; a point that is not finite is left out.
        title: line above the chart.
        x_label: below the x axis.
        y_label: above the y axis, at its left end.

    Returns:
        (height, width, 3) uint8 RGB.
    """
    canvas = np.full((height, width, 3), 255, np.uint8)
    curves = {n: [(x, y) for x, y in c if math.isfinite(x) and math.isfinite(y)] for n, c in curves.items()}
    _text(canvas, (12, 20), title, INK)
    top = _legend(canvas, list(curves), 40) + (18 if y_label else 0)
    box = (58, top, width - 20, height - 46)
    points = np.array([point for curve in curves.values() for point in curve]).reshape(-1, 2)
    x_low, x_high, x_ticks = x_axis(points[:, 0].tolist())
    y_low, y_high, y_ticks = y_axis(points[:, 1].tolist())

    def place(xy: np.ndarray) -> np.ndarray:
        share = (np.asarray(xy, np.float64).reshape(-1, 2) - (x_low, y_low)) / (x_high - x_low, y_high - y_low)
        return np.stack([box[0] + share[:, 0] * (box[2] - box[0]), box[3] - share[:, 1] * (box[3] - box[1])], 1)

    across = place([(x, y_low) for x in x_ticks])[:, 0]
    up = place([(x_low, y) for y in y_ticks])[:, 1]
    _axes(canvas, box, zip(across, tick_labels(x_ticks)), zip(up, tick_labels(y_ticks)))
    _text(canvas, ((box[0] + box[2]) // 2, height - 8), x_label, FAINT, "middle")
    _text(canvas, (box[0] - 46, top - 8), y_label, FAINT)
    for n, curve in enumerate(curves.values()):
        _curve(canvas, place(curve), n)
    return canvas


def rgb(n: int) -> tuple[int, int, int]:
    """Colour of curve n."""
    digits = COLORS[n % len(COLORS)].lstrip("#")
    return tuple(int(digits[at : at + 2], 16) for at in (0, 2, 4))


def thickness(n: int) -> int:
    """Of line n; after the last colour they start again with thin lines."""
    return 2 if n < len(COLORS) else 1


def _curve(canvas: np.ndarray, points: np.ndarray, n: int) -> None:
    fixed = (points * 2**_SUBPIXEL_BITS).round().astype(np.int32)
    cv2.polylines(canvas, [fixed], False, rgb(n), thickness(n), cv2.LINE_AA, _SUBPIXEL_BITS)
    if len(points) == 1:
        cv2.circle(canvas, fixed[0].tolist(), 3 << _SUBPIXEL_BITS, rgb(n), -1, cv2.LINE_AA, _SUBPIXEL_BITS)


def _legend(canvas: np.ndarray, names: list[str], top: int) -> int:
    """Entries in columns as wide as the longest name; returns where the chart may begin."""
    entry = 44 + max((_width(name) for name in names), default=0)
    columns = max(1, (canvas.shape[1] - 24) // entry)
    for n, name in enumerate(names):
        x, y = 12 + n % columns * entry, top + n // columns * LEGEND_ROW
        cv2.line(canvas, (x, y - 4), (x + 20, y - 4), rgb(n), thickness(n), cv2.LINE_AA)
        _text(canvas, (x + 26, y), name, INK)
    return top + -(-len(names) // columns) * LEGEND_ROW


def _axes(canvas: np.ndarray, box: tuple[int, int, int, int], across, up) -> None:
    """Grid and tick labels; `across` and `up` are pairs of a position and its label."""
    left, top, right, bottom = box
    for y, label in up:
        cv2.line(canvas, (left, round(y)), (right, round(y)), GRID)
        _text(canvas, (left - 7, round(y) + 4), label, INK, "end")
    for x, label in across:
        cv2.line(canvas, (round(x), bottom), (round(x), bottom + 4), FAINT)
        _text(canvas, (round(x), bottom + 18), label, INK, "middle")
    cv2.line(canvas, (left, top), (left, bottom), FAINT)
    cv2.line(canvas, (left, bottom), (right, bottom), FAINT)


def _width(text: str) -> int:
    return cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, _SCALE, 1)[0][0]


def _text(canvas: np.ndarray, place: tuple[int, int], text: str, color: tuple[int, int, int], anchor="start") -> None:
    x = place[0] - {"start": 0, "middle": _width(text) // 2, "end": _width(text)}[anchor]
    cv2.putText(canvas, text, (x, place[1]), cv2.FONT_HERSHEY_SIMPLEX, _SCALE, color, 1, cv2.LINE_AA)
