"""Charts for run folders, trackers and reports, drawn by matplotlib.

A figure belongs to its caller: pyplot, which keeps a list of figures and looks for a screen, is not used.
"""

import io
import os
from collections.abc import Sequence
from statistics import fmean, stdev

import numpy as np

Curve = Sequence[tuple[float, float]]

# Okabe and Ito (2008), without yellow, which is lost on white
COLORS = ("#0072b2", "#d55e00", "#009e73", "#aa4499", "#333333", "#56b4e9", "#e69f00")
STYLES = ("-", "--", ":")  # the colours start again with the next one
DPI = 100
MAX_DOTS = 60  # longer curves are lines without a dot at each value
SVG_SETTINGS = {"svg.fonttype": "none", "svg.hashsalt": "semipose"}  # text stays text; the same file each time


def new_figure(width: int, height: int):
    """An empty `matplotlib.figure.Figure`, in pixels, whose parts make room for each other."""
    from matplotlib.figure import Figure

    return Figure((width / DPI, height / DPI), dpi=DPI, layout="constrained")


def line_chart(curves: dict[str, Curve], title: str, x_label: str, y_label: str, width: int = 640, height: int = 440):
    """A `Figure` of the given pixels with what `draw_lines` draws."""
    figure = new_figure(width, height)
    draw_lines(figure, curves, title, x_label, y_label)
    return figure


def draw_lines(figure, curves: dict[str, Curve], title: str, x_label: str, y_label: str) -> None:
    """One line per curve, in a figure or a part of one, with a legend below.

    Args:
        curves: name -> points (x, y) in drawing order, x a whole number; a point that is not finite is left out.
        title: line above the chart; "" for none.
    """
    axes = figure.subplots()
    label_axes(axes, title, x_label, y_label)
    axes.xaxis.get_major_locator().set_params(integer=True)
    lines = [_draw_curve(axes, n, curve) for n, curve in enumerate(curves.values())]
    _set_limits(axes, lines)
    if lines:
        _add_legend(figure, lines, list(curves))


def _set_limits(axes, lines: list) -> None:
    """The y axis starts at 0 where nothing is below; a single x gets whole numbers beside it."""
    xs, ys = (np.concatenate([line.get_data()[axis] for line in lines] or [[]]) for axis in (0, 1))
    if (ys >= 0).all():
        axes.set_ylim(bottom=0)
    if len(np.unique(xs)) == 1:
        axes.set_xlim(xs[0] - 1, xs[0] + 1)


def _draw_curve(axes, n: int, curve: Curve):
    points = np.array(curve, float).reshape(-1, 2)
    points = points[np.isfinite(points).all(1)]
    style = {"color": COLORS[n % len(COLORS)], "linestyle": STYLES[n // len(COLORS) % len(STYLES)]}
    return axes.plot(*points.T, marker="o" if len(points) <= MAX_DOTS else "", markersize=3, **style)[0]


def _add_legend(figure, lines: list, names: list[str]) -> None:
    width = figure.bbox.width - 20
    columns = max(1, int(width // (50 + 7 * max(map(len, names)))))
    legend = figure.legend(lines, [" "] * len(names), loc="outside lower center", ncols=columns, frameon=False)
    # set afterwards: a name that begins with _ would be left out, and one with $ would be taken for a formula
    for text, name in zip(legend.get_texts(), names, strict=True):
        text.set(text=name, parse_math=False)


def label_axes(axes, title: str, x_label: str, y_label: str) -> None:
    """Texts as they are (a $ begins no formula), a light grid, and no frame at the top and the right."""
    axes.set_title(title, fontsize="medium", parse_math=False)
    axes.set_xlabel(x_label, parse_math=False)
    axes.set_ylabel(y_label, parse_math=False)
    axes.grid(color="#e4e4e4")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def spread_chart(values: dict[str, dict[str, list[float]]]):
    """Mean, sample standard deviation and single values of several settings; a column for each metric.

    Args:
        values: metric -> setting -> one value per seed, possibly none.
    """
    settings = list(dict.fromkeys(name for column in values.values() for name in column))
    figure = new_figure(260 + 340 * len(values), 90 + 34 * len(settings))
    columns = np.atleast_1d(figure.subplots(1, len(values), sharey=True))
    for axes, (metric, column) in zip(columns, values.items(), strict=True):
        label_axes(axes, "", metric, "")
        for row, name in enumerate(settings):
            _draw_spread(axes, row, column.get(name, []))
    ticks = columns[0].set_yticks(range(len(settings)), settings)
    for tick in ticks:
        tick.label1.set_parse_math(False)
    columns[0].set_ylim(len(settings) - 0.5, -0.5)
    return figure


def _draw_spread(axes, row: int, values: list[float]) -> None:
    axes.plot(values, [row] * len(values), "o", color="#9aa0a8", markersize=4)
    if values:
        spread = stdev(values) if len(values) > 1 else 0
        axes.errorbar(fmean(values), row, xerr=spread, fmt="D", color=COLORS[0], capsize=4, markersize=5)


def to_pixels(figure) -> np.ndarray:
    """The figure as (H, W, 3) uint8 RGB."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.array(canvas.buffer_rgba())[..., :3].copy()


def to_svg(figure) -> str:
    """The figure as an SVG file that needs nothing from elsewhere."""
    file = io.StringIO()
    _save(figure, file, "svg")
    return file.getvalue()


def save_chart(figure, path: str | os.PathLike) -> None:
    """Write a `.png` or a `.svg`; raises OSError."""
    _save(figure, path, os.fspath(path).rpartition(".")[2])


def _save(figure, file, kind: str) -> None:
    import matplotlib

    with matplotlib.rc_context(SVG_SETTINGS):
        figure.savefig(file, format=kind, metadata={"Date": None} if kind == "svg" else None)
