"""The easy/hard split as a picture: histogram of the scores and the two components."""

import cv2
import numpy as np

from semipose.pseudo_labels import SplitReport
from semipose.visualize.charts import round_ticks

# orange against blue stays apart in all common kinds of colour blindness (Okabe and Ito, 2008)
CURVE_COLORS = {"hard": (213, 94, 0), "easy": (0, 114, 178)}
BAR_COLOR, INK, FAINT = (196, 200, 206), (34, 34, 34), (150, 150, 150)
WIDTH, HEIGHT = 480, 320
# of the plot: left, top, right, bottom
BOX = (52, 62, WIDTH - 16, HEIGHT - 42)
# a very narrow component may be cut off at the top rather than flatten all bars
HEADROOM = 1.3
_SUBPIXEL_BITS = 4


def draw_split(report: SplitReport, title: str) -> np.ndarray:
    """Chart of a refit: bars, and both components with a legend, or the reason why there is no split.

    Args:
        report: of `Difficulty.refit`.
        title: put before the easy share.

    Returns:
        (HEIGHT, WIDTH, 3) uint8 RGB.
    """
    canvas = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    edges, counts = np.asarray(report.edges, np.float64), np.asarray(report.counts, np.float64)
    top = max(1.0, counts.max(initial=0)) if report.curves is None else _height(counts, report.curves)
    _bars(canvas, edges, counts, top)
    if report.curves is not None:
        middles = (edges[1:] + edges[:-1]) / 2
        for curve, color in zip(report.curves, CURVE_COLORS.values(), strict=True):
            _curve(canvas, _place(middles, np.minimum(curve, top), edges, top), color)
        _legend(canvas, report)
    _axes(canvas, edges, top)
    share = "no split" if report.reason else f"easy share {100 * report.easy_share:.1f} %"
    _text(canvas, (12, 20), f"{title}: {share}", INK)
    _text(canvas, (BOX[0], 45), report.reason, INK)
    return canvas


def _height(counts: np.ndarray, curves: np.ndarray) -> float:
    """The largest count that the chart shows."""
    highest = counts.max(initial=1)
    return float(min(max(highest, curves.max()), HEADROOM * highest))


def _place(x: np.ndarray, y: np.ndarray, edges: np.ndarray, top: float) -> np.ndarray:
    """(n, 2) pixels of scores `x` and counts `y`."""
    left, upper, right, lower = BOX
    across = (x - edges[0]) / (edges[-1] - edges[0])
    return np.stack([left + across * (right - left), lower - y / top * (lower - upper)], 1)


def _bars(canvas: np.ndarray, edges: np.ndarray, counts: np.ndarray, top: float) -> None:
    starts = _place(edges[:-1], counts, edges, top).round().astype(int)
    ends = _place(edges[1:], counts, edges, top).round().astype(int)
    for (left, upper), (right, _) in zip(starts, ends):
        if upper < BOX[3]:
            canvas[upper : BOX[3], left : max(left + 1, right - 1)] = BAR_COLOR


def _curve(canvas: np.ndarray, points: np.ndarray, color: tuple[int, int, int]) -> None:
    fixed = (points * 2**_SUBPIXEL_BITS).round().astype(np.int32)
    cv2.polylines(canvas, [fixed], False, color, 2, cv2.LINE_AA, _SUBPIXEL_BITS)


def _legend(canvas: np.ndarray, report: SplitReport) -> None:
    """Mean, standard deviation and weight of each component, in its colour."""
    for n, (name, color) in enumerate(CURVE_COLORS.items()):
        mean, sd, weight = (float(values[n]) for values in (report.means, report.sds, report.weights))
        x = BOX[0] + n * (BOX[2] - BOX[0]) // 2
        cv2.line(canvas, (x, 41), (x + 18, 41), color, 2, cv2.LINE_AA)
        _text(canvas, (x + 24, 45), f"{name} {mean:.3g} +- {sd:.2g}, {100 * weight:.0f} %", color)


def _axes(canvas: np.ndarray, edges: np.ndarray, top: float) -> None:
    left, upper, right, lower = BOX
    cv2.line(canvas, (left, lower), (right, lower), FAINT)
    cv2.line(canvas, (left, upper), (left, lower), FAINT)
    for value in round_ticks(edges[0], edges[-1], 7):
        if edges[0] <= value <= edges[-1]:
            x = int(_place(np.array([value]), np.zeros(1), edges, top)[0, 0].round())
            cv2.line(canvas, (x, lower), (x, lower + 4), FAINT)
            _text(canvas, (x, lower + 18), f"{value:g}", INK, "middle")
    _text(canvas, ((left + right) // 2, HEIGHT - 8), "score = sum of the heatmap peaks of an image", INK, "middle")
    for value in round_ticks(0, top, 5):
        if value <= top:
            y = int(_place(edges[:1], np.array([value]), edges, top)[0, 1].round())
            cv2.line(canvas, (left - 4, y), (left, y), FAINT)
            _text(canvas, (left - 7, y + 4), f"{value:g}", INK, "end")


def _text(canvas: np.ndarray, place: tuple[int, int], text: str, color: tuple[int, int, int], anchor="start") -> None:
    """A line of text on the baseline `place`; cut where the canvas ends."""
    scale = 0.42
    (width, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
    x = place[0] - {"start": 0, "middle": width // 2, "end": width}[anchor]
    cv2.putText(canvas, text, (x, place[1]), cv2.FONT_HERSHEY_SIMPLEX, scale, color, 1, cv2.LINE_AA)
