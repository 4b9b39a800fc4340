"""Charts show the numbers they are given, draw almost nothing without a fault, and disturb no random numbers."""

import random
from statistics import stdev

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb

from semipose.pseudo_labels import Difficulty, SplitReport
from semipose.visualize.charts import line_chart, save_chart, spread_chart, to_pixels, to_svg
from semipose.visualize.learning_curve import learning_curve
from semipose.visualize.split_chart import CURVE_COLORS, HEIGHT, WIDTH, draw_split, split_chart

CURVES = {"_one $a$": [(0, 0.0), (100, float("nan")), (400, 47.0)], "two": [(0, 5.0), (400, 5.0)]}
STEPS = [{"step": n, "loss_pose": 1 / n, "loss_cons": 0.5, "lr": 0.1, "acc_pose": 0.3} for n in range(1, 9)]


def drawn(axes) -> dict[str, list]:
    """Name in the legend of the figure -> points, as lists."""
    names = [text.get_text() for text in axes.get_figure(root=False).legends[0].get_texts()]
    return {name: line.get_xydata().tolist() for name, line in zip(names, axes.lines, strict=True)}


def test_a_line_chart_holds_the_finite_points_and_all_texts():
    (axes,) = line_chart(CURVES, "a $title$", "step", "AP").axes
    assert drawn(axes) == {"_one $a$": [[0, 0], [400, 47]], "two": [[0, 5], [400, 5]]}
    assert (axes.get_title(), axes.get_xlabel(), axes.get_ylabel()) == ("a $title$", "step", "AP")
    assert axes.get_ylim()[0] == 0


def test_the_picture_shows_each_curve_in_its_colour():
    figure = line_chart(CURVES, "", "step", "AP", width=500, height=300)
    picture = to_pixels(figure)
    assert picture.shape == (300, 500, 3) and picture.dtype == np.uint8
    for line in figure.axes[0].lines:
        color = (255 * np.array(to_rgb(line.get_color()))).round()
        assert (np.abs(picture - color).max(-1) <= 1).sum() > 100


@pytest.mark.parametrize("curves", [{}, {"none": []}, {"one": [(3, 2.0)]}, {"flat": [(1, 0.0), (2, 0.0)]}])
def test_a_chart_of_almost_nothing(curves):
    assert to_pixels(line_chart(curves, "", "epoch", "AP")).std() > 0


def test_the_ticks_of_a_single_epoch_are_whole():
    (axes,) = line_chart({"one": [(6, 0.3)], "other": [(6, 0.2)]}, "", "epoch", "AP").axes
    assert [tick for tick in axes.get_xticks() if 5 <= tick <= 7] == [5, 6, 7]


def test_many_curves_differ_in_colour_or_style():
    (axes,) = line_chart({f"run {n}": [(0, n), (1, n)] for n in range(20)}, "", "step", "AP").axes
    assert len({(line.get_color(), line.get_linestyle()) for line in axes.lines}) == 20


def test_files_are_the_same_each_time_and_random_numbers_too(tmp_path):
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    for name in ("a.png", "b.png", "a.svg", "b.svg"):
        save_chart(line_chart(CURVES, "", "step", "AP"), tmp_path / name)
    for kind in ("png", "svg"):
        assert (tmp_path / f"a.{kind}").read_bytes() == (tmp_path / f"b.{kind}").read_bytes()
    assert states == (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())
    assert ">two</text>" in to_svg(line_chart(CURVES, "", "step", "AP"))


def test_losses_at_the_left_and_the_main_metric_of_each_network_at_the_right():
    scores = {"PCK_first": 0.3, "AP_first": 0.4, "AP": 0.5, "PCK": 0.7, "AP50": 0.9, "AP_group_1": 0.2, "AP75": None}
    rows = [{"epoch": n, "step": 4 * n} | {k: v and v * n / 2 for k, v in scores.items()} for n in (1, 2)]
    left, right = learning_curve(STEPS + rows + [{"epoch": 3, "step": 12, "AP": -1}]).axes
    assert drawn(left)["loss_pose"] == [[n, 1 / n] for n in range(1, 9)] and drawn(left).keys() == {
        "loss_pose", "loss_cons"
    }  # fmt: skip
    assert drawn(right) == {"AP_first": [[1, 20], [2, 40]], "AP": [[1, 25], [2, 50]]}
    assert right.get_ylabel() == "AP (%)" and left.get_xlabel() == "step"


def test_the_main_result_is_drawn_once():
    rows = [{"epoch": n, "step": n, "AP_first": 0.1 * n, "AP_ensemble": 0.2 * n, "AP": 0.2 * n} for n in (1, 2)]
    assert drawn(learning_curve(rows).axes[1]).keys() == {"AP_first", "AP_ensemble"}


def test_errors_have_their_unit():
    assert learning_curve([{"epoch": 1, "step": 4, "EPE": 3.5}]).axes[1].get_ylabel() == "EPE (px)"


def test_means_spreads_and_single_values_of_settings():
    left, right = spread_chart({"AP": {"a": [1.0, 3.0], "b": []}, "EPE": {"a": [7.0], "b": [8.0]}}).axes
    assert [text.get_text() for text in left.get_yticklabels()] == ["a", "b"]
    singles, mean = left.lines[0], left.lines[1]
    assert singles.get_xydata().tolist() == [[1, 0], [3, 0]] and mean.get_xydata().tolist() == [[2, 0]]
    (bar,) = left.collections[0].get_segments()
    assert bar[:, 0].tolist() == pytest.approx([2 - stdev([1, 3]), 2 + stdev([1, 3])])
    assert right.get_xlabel() == "EPE"


EDGES = np.linspace(2, 10, 5)


def report(counts, curves=None, reason="") -> SplitReport:
    split = {} if curves is None else {
        "converged": True, "easy_share": 0.25, "means": np.array([3.0, 9.0]), "sds": np.array([1.0, 1.0]),
        "weights": np.array([0.75, 0.25]), "curves": np.asarray(curves, float),
    }  # fmt: skip
    return SplitReport(int(sum(counts)), 0, reason, EDGES, np.asarray(counts), **split)


def test_a_split_is_bars_and_a_curve_for_each_component():
    (axes,) = split_chart(report([20, 20, 20, 30], [[20, 5, 5, 5], [2, 2, 2, 10]]), "first").axes
    values, edges, _ = axes.patches[0].get_data()
    assert values.tolist() == [20, 20, 20, 30] and edges.tolist() == EDGES.tolist()
    hard, easy = axes.lines
    assert hard.get_xydata().tolist() == [[3, 20], [5, 5], [7, 5], [9, 5]]
    assert easy.get_ydata().tolist() == [
        2,
        2,
        2,
        10,
    ]
    assert [line.get_color() for line in axes.lines] == list(CURVE_COLORS.values())
    assert "25.0 %" in axes.get_title() and "hard" in hard.get_label() and "easy" in easy.get_label()


def test_no_split_has_a_reason_in_the_place_of_curves():
    (axes,) = split_chart(report([10, 5, 0, 40], reason="one is alone"), "first").axes
    assert not axes.lines and "one is alone" in axes.get_title()


def test_a_narrow_component_does_not_flatten_the_bars():
    (axes,) = split_chart(report([10, 10, 10, 10], [[1, 1e6, 1, 1], [0, 0, 0, 0]]), "first").axes
    assert 10 < axes.get_ylim()[1] < 14


@pytest.mark.parametrize(
    "peaks",
    [np.zeros((0, 3)), np.zeros((20, 3)), np.full((20, 3), 1e-30), np.random.default_rng(0).normal(1e8, 1e7, (50, 3)),
     np.r_[np.zeros((40, 3)), np.ones((60, 3))], np.full((20, 3), np.nan)],
)  # fmt: skip
def test_whatever_a_refit_finds_can_be_drawn(peaks):
    picture = draw_split(Difficulty(3).refit(peaks), "first, epoch 1")
    assert picture.shape == (HEIGHT, WIDTH, 3) and picture.std() > 0
