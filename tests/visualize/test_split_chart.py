"""The chart of the split: bars and curves are where the numbers say, and nothing it is given breaks it."""

import numpy as np
import pytest

from semipose.pseudo_labels import Difficulty, SplitReport
from semipose.visualize.split_chart import BAR_COLOR, BOX, CURVE_COLORS, HEIGHT, WIDTH, draw_split

EDGES = np.linspace(2, 10, 5)
LEFT, TOP, RIGHT, BOTTOM = BOX


def report(counts, curves=None, reason="") -> SplitReport:
    split = {} if curves is None else {
        "converged": True, "easy_share": 0.25, "means": np.array([3.0, 9.0]), "sds": np.array([1.0, 1.0]),
        "weights": np.array([0.75, 0.25]), "curves": np.asarray(curves, float),
    }  # fmt: skip
    return SplitReport(int(sum(counts)), 0, reason, EDGES, np.asarray(counts), **split)


def heights(canvas, color) -> np.ndarray:
    """Height above the axis of the topmost pixel of a colour in each of the four bins, as a share of the plot."""
    plot = (canvas[TOP:BOTTOM, LEFT:RIGHT] == color).all(-1)
    columns = [plot[:, round((n + 0.5) * plot.shape[1] / 4)] for n in range(4)]
    return np.array([(len(c) - np.flatnonzero(c)[0]) / len(c) if c.any() else 0.0 for c in columns])


def test_bars_are_as_high_as_their_counts():
    canvas = draw_split(report([10, 5, 0, 40], reason="one component is alone"), "first")
    assert canvas.shape == (HEIGHT, WIDTH, 3) and canvas.dtype == np.uint8
    assert heights(canvas, BAR_COLOR) == pytest.approx([0.25, 0.125, 0, 1], abs=0.01)
    for color in CURVE_COLORS.values():
        assert not (canvas == color).all(-1).any()


def test_hard_and_easy_curves_are_where_the_components_are():
    canvas = draw_split(report([20, 20, 20, 20], [[20, 5, 5, 5], [2, 2, 2, 10]]), "first")
    plot = canvas[TOP - 2 : BOTTOM]
    for color, bin_of_maximum, height in ((CURVE_COLORS["hard"], 0, 1.0), (CURVE_COLORS["easy"], 3, 0.5)):
        rows, columns = np.nonzero((plot == color).all(-1))
        x = columns[rows == rows.min()].mean()
        assert x == pytest.approx(LEFT + (bin_of_maximum + 0.5) / 4 * (RIGHT - LEFT), abs=3)
        assert rows.min() == pytest.approx(2 + (1 - height) * (BOTTOM - TOP), abs=3)


def test_a_narrow_component_does_not_flatten_the_bars():
    canvas = draw_split(report([10, 10, 10, 10], [[1, 1e6, 1, 1], [0, 0, 0, 0]]), "first")
    assert heights(canvas, BAR_COLOR)[[0, 3]] == pytest.approx(1 / 1.3, abs=0.01)


def test_legend_and_title_are_drawn():
    bare = draw_split(report([1, 2, 3, 4], reason="too few"), "")
    titled = draw_split(report([1, 2, 3, 4], reason="too few"), "second, epoch 12")
    assert (bare != titled).any() and (bare[TOP:] == titled[TOP:]).all()
    with_legend = draw_split(report([1, 2, 3, 4], np.ones((2, 4))), "")[24:TOP]
    for color in CURVE_COLORS.values():
        assert (with_legend == color).all(-1).any()


@pytest.mark.parametrize(
    "peaks",
    [np.zeros((0, 3)), np.zeros((20, 3)), np.full((20, 3), 1e-30), np.random.default_rng(0).normal(1e8, 1e7, (50, 3)),
     np.r_[np.zeros((40, 3)), np.ones((60, 3))], np.full((20, 3), np.nan)],
)  # fmt: skip
def test_whatever_a_refit_finds_can_be_drawn(peaks):
    canvas = draw_split(Difficulty(3).refit(peaks), "first, epoch 1")
    assert canvas.shape == (HEIGHT, WIDTH, 3) and (canvas != 255).any()
