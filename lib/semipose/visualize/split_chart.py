"""The easy/hard split as a picture: histogram of the scores and the two components."""

import numpy as np

from semipose.pseudo_labels import SplitReport
from semipose.visualize.charts import label_axes, new_figure, to_pixels

# orange against blue stays apart in all common kinds of colour blindness (Okabe and Ito, 2008)
CURVE_COLORS = {"hard": "#d55e00", "easy": "#0072b2"}
BAR_COLOR = "#c4c8ce"
WIDTH, HEIGHT = 560, 380
# a very narrow component may be cut off at the top rather than flatten all bars
HEADROOM = 1.3


def draw_split(report: SplitReport, title: str) -> np.ndarray:
    """`split_chart` as (HEIGHT, WIDTH, 3) uint8 RGB."""
    return to_pixels(split_chart(report, title))


def split_chart(report: SplitReport, title: str):
    """A `Figure` of a refit: bars, and both components with a legend, or the reason why there is no split.

    Args:
        report: of `Difficulty.refit`.
        title: put before the easy share.
    """
    figure = new_figure(WIDTH, HEIGHT)
    axes = figure.subplots()
    found = f"no split\n{report.reason}" if report.reason else f"easy share {100 * report.easy_share:.1f} %"
    label_axes(axes, f"{title}: {found}", "score = sum of the heatmap peaks of an image", "images")
    axes.yaxis.get_major_locator().set_params(integer=True)
    axes.stairs(report.counts, report.edges, fill=True, color=BAR_COLOR)
    axes.set_xlim(report.edges[0], report.edges[-1])
    axes.set_ylim(0, _height(report))
    if report.curves is not None:
        middles = (report.edges[1:] + report.edges[:-1]) / 2
        for n, (name, color) in enumerate(CURVE_COLORS.items()):
            axes.plot(middles, report.curves[n], color=color, label=_component(report, n, name))
        figure.legend(loc="outside lower center", ncols=2, frameon=False)
    return figure


def _height(report: SplitReport) -> float:
    """The largest count that the chart shows."""
    highest = report.counts.max(initial=1)
    curves = 0 if report.curves is None else report.curves.max()
    return float(min(max(highest, curves), HEADROOM * highest)) * 1.03


def _component(report: SplitReport, n: int, name: str) -> str:
    mean, sd, weight = (float(values[n]) for values in (report.means, report.sds, report.weights))
    return f"{name}: {mean:.3g} ± {sd:.2g}, {100 * weight:.0f} %"
