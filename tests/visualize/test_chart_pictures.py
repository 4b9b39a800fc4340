import numpy as np
import pytest

from semipose.visualize.chart_pictures import draw_line_chart, rgb, thickness
from semipose.visualize.charts import COLORS
from semipose.visualize.learning_curve import draw_learning_curve


def places_of(picture: np.ndarray, color: tuple[int, int, int]) -> np.ndarray:
    """(n, 2) x, y of the pixels of exactly this colour."""
    return np.argwhere((picture == color).all(-1))[:, ::-1]


def test_a_curve_lies_where_its_values_say():
    picture = draw_line_chart({"a": [(0, 0), (10, 1)], "b": [(0, 1), (10, 1)]}, "title", "step", width=500, height=300)
    assert picture.shape == (300, 500, 3) and picture.dtype == np.uint8
    below_legend = 60
    a, b = (places_of(picture, rgb(n)) for n in (0, 1))
    a, b = a[a[:, 1] > below_legend], b[b[:, 1] > below_legend - 20]
    slope = np.polyfit(a[:, 0], a[:, 1], 1)[0]
    assert a[a[:, 0].argmin(), 1] > a[a[:, 0].argmax(), 1]
    assert slope == pytest.approx(-(np.ptp(a[:, 1])) / np.ptp(a[:, 0]), rel=0.03)
    assert len(b) > 300


def test_numbers_that_are_not_finite_and_empty_curves_do_no_harm():
    whole = draw_line_chart({"a": [(0, 1), (2, 3)]}, "", "x")
    assert (draw_line_chart({"a": [(0, 1), (1, float("nan")), (2, 3)]}, "", "x") == whole).all()
    for curves in ({}, {"a": []}, {"a": [(5, 0.0)]}):
        assert draw_line_chart(curves, "t", "x").shape == (400, 640, 3)


def test_one_point_is_a_dot():
    picture = draw_line_chart({"a": [(5, 0.5)]}, "", "x")
    assert len(places_of(picture[44:], rgb(0))) > 20


def test_colours_start_again_with_thin_lines():
    assert rgb(len(COLORS)) == rgb(0) == (0x00, 0x72, 0xB2)
    assert thickness(0) > thickness(len(COLORS))


def colors_of(picture: np.ndarray) -> set[int]:
    return {n for n in range(len(COLORS)) if len(places_of(picture, rgb(n))) > 30}


def test_losses_at_the_left_and_the_main_metric_of_each_network_at_the_right():
    steps = [{"step": n, "loss_pose": 1 / n, "loss_cons": 0.5, "lr": 0.1, "acc_pose": 0.3} for n in range(1, 9)]
    scores = {"PCK_first": 0.3, "AP_first": 0.4, "AP": 0.5, "PCK": 0.7, "AP50": 0.9, "AP_group_1": 0.2, "AP75": None}
    epochs = [{"epoch": n, "step": 4 * n} | {k: v and v * n / 2 for k, v in scores.items()} for n in (1, 2)]
    picture = draw_learning_curve(steps + epochs)
    left, right = np.split(picture, 2, axis=1)
    assert colors_of(left) == colors_of(right) == {0, 1}


def test_a_value_that_is_not_defined_is_left_out():
    rows = [{"epoch": n, "step": n, "AP": value} for n, value in enumerate((0.1, -1, 0.3), 1)]
    assert (draw_learning_curve(rows) == draw_learning_curve([rows[0], rows[2]])).all()
    assert draw_learning_curve([]).shape == (400, 1280, 3)
