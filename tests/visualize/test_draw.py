"""Skeletons, heatmaps, tiles and charts: what is drawn lands where it should, and only there."""

from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

from semipose.skeletons import Skeleton, get_skeleton
from semipose.visualize.charts import line_chart_svg, round_ticks
from semipose.visualize.draw import SIDE_COLORS, draw_heatmaps, draw_skeleton, enlarge, keypoint_sides, tile

THREE = Skeleton(
    name="three",
    keypoints=("nose", "left_hand", "right_hand"),
    sigmas=(0.1, 0.1, 0.1),
    swaps=(("left_hand", "right_hand"),),
    links=(("nose", "left_hand"), ("left_hand", "right_hand")),
)


def gray(height=60, width=100):
    return np.full((height, width, 3), 128, np.uint8)


def changed(before, after):
    """(row, column) of all pixels that differ."""
    return np.argwhere((before != after).any(-1))


@pytest.mark.parametrize("x, y", [(80, 20), (20, 50), (99, 59)])
def test_keypoint_changes_pixels_at_its_place_only(x, y):
    image = gray()
    points = np.array([[x, y], [0, 0], [0, 0]], float)
    drawn = draw_skeleton(image, points, THREE, visible=np.array([True, False, False]))
    assert tuple(drawn[y, x]) == SIDE_COLORS["middle"]
    assert np.abs(changed(image, drawn) - [y, x]).max() <= 4
    assert (image == 128).all(), "the input was drawn on"


def test_invisible_and_non_finite_joints_and_their_limbs_are_not_drawn():
    image = gray()
    points = np.array([[10, 10], [50, 10], [np.nan, 50]])
    assert not len(changed(image, draw_skeleton(image, points, THREE, visible=np.zeros(3))))
    drawn = draw_skeleton(image, points, THREE, visible=np.array([1, 0, 1]))
    assert changed(image, drawn).max(0)[1] <= 14
    drawn = draw_skeleton(image, points, THREE)
    assert (drawn[10, 30] != 128).any() and changed(image, drawn).max(0)[0] <= 14


def test_sides_colors_and_one_color():
    points = np.array([[50, 50], [250, 50], [250, 250]], float)
    drawn = draw_skeleton(gray(300, 500), points, THREE)
    assert tuple(drawn[50, 250]) == tuple(drawn[50, 150]) == SIDE_COLORS["left"]
    assert tuple(drawn[250, 250]) == SIDE_COLORS["right"]
    assert tuple(drawn[150, 250]) == SIDE_COLORS["middle"], "a limb from left to right belongs to the middle"
    drawn = draw_skeleton(gray(300, 500), points, THREE, color=(1, 2, 3))
    assert {tuple(drawn[y, x]) for y, x in ((50, 50), (50, 150), (150, 250))} == {(1, 2, 3)}


def test_sides_of_a_skeleton():
    coco = keypoint_sides(get_skeleton("coco"))
    assert coco == ["middle"] + ["left", "right"] * 8
    unnamed = replace(THREE, keypoints=("a", "b", "c"), swaps=(("c", "b"),), links=())
    assert keypoint_sides(unnamed) == ["middle", "right", "left"]


def test_scale_enlarges_and_keeps_pixel_centers():
    points = np.array([[30, 20], [0, 0], [0, 0]], float)
    image = gray()
    drawn = draw_skeleton(image, points, THREE, visible=[1, 0, 0], scale=4)
    assert drawn.shape == (240, 400, 3)
    # the middle of pixel 20 is at 4 * 20.5 - 0.5
    assert np.allclose(changed(enlarge(image, 4), drawn).mean(0), [81.5, 121.5], atol=0.3)


def test_lines_grow_with_the_image():
    def count(height, width):
        points = np.array([[width / 2, height / 2]] * 3)
        return len(changed(gray(height, width), draw_skeleton(gray(height, width), points, THREE, visible=[1, 0, 0])))

    assert count(60, 100) < count(300, 500) < count(1200, 2000)


def test_uncertain_joints_are_fainter():
    points = np.array([[20, 20], [60, 20], [60, 50]], float)

    def contrast(score):
        return np.abs(draw_skeleton(gray(), points, THREE, scores=np.full(3, score)).astype(int) - 128).sum()

    assert 0 < contrast(0.0) < contrast(0.6) < contrast(1.0)
    assert contrast(1.0) == contrast(7.0)


def test_far_away_prediction_and_wrong_count():
    points = np.array([[20, 20], [1e12, -1e12], [30, 1e12]])
    assert draw_skeleton(gray(), points, THREE).shape == (60, 100, 3)
    with pytest.raises(ValueError, match="2 keypoints for skeleton 'three', which has 3"):
        draw_skeleton(gray(), points[:2], THREE)


def test_heatmap_overlay_is_brightest_at_the_peaks():
    heatmaps = np.zeros((2, 15, 25), np.float32)
    heatmaps[0, 5, 20] = 1
    heatmaps[1, 12, 2] = 1
    image = np.zeros((60, 100, 3), np.uint8)
    drawn = draw_heatmaps(image, heatmaps).astype(int).sum(-1)
    assert drawn.shape == (60, 100)
    right = drawn[:, 50:]
    top, left = np.argwhere(right == right.max()).mean(0)
    assert abs(top - (4 * 5.5 - 0.5)) < 1 and abs(50 + left - (4 * 20.5 - 0.5)) < 1
    assert drawn[49:51, 9:11].min() > 300 and drawn[:, 35:60].max() == 0


def test_tile_places_images_in_rows():
    images = [np.full((4, 6, 3), v, np.uint8) for v in (10, 20)] + [np.full((2, 2, 3), 30, np.uint8)]
    sheet = tile(images, columns=2, gap=3)
    assert sheet.shape == (11, 15, 3)
    assert (sheet[:4, :6] == 10).all() and (sheet[:4, 9:] == 20).all() and (sheet[8:10, 2:4] == 30).all()
    assert (sheet == 30).all(-1).sum() == 4
    assert (sheet[4:7] == 255).all() and (sheet[:4, 6:9] == 255).all()
    assert tile(images[:1], columns=5).shape == (4, 6, 3)


CURVES = {
    "one & <two>": [(0, 0.0), (100, 12.5), (250, 40.1), (400, 47.0)],
    "other": [(0, 5.0), (400, 5.0)],
    "gap": [(0, 1.0), (100, float("nan")), (400, 3.0)],
}


def chart(curves=CURVES, title="AP of <runs>"):
    root = ElementTree.fromstring(line_chart_svg(curves, title, "step & more", "AP"))
    lines = [[tuple(map(float, p.split(","))) for p in e.get("points").split()] for e in root.iter("polyline")]
    return root, lines


def test_chart_is_xml_within_its_view_box():
    root, lines = chart()
    _, _, width, height = map(float, root.get("viewBox").split())
    assert [len(line) for line in lines] == [4, 2, 2]
    assert all(0 <= x <= width and 0 <= y <= height for line in lines for x, y in line)
    texts = [t.text for t in root.iter("text")]
    assert {"AP of <runs>", "step & more", "AP", "one & <two>", "other", "gap", "0", "400", "50"} <= set(texts)
    for e in root.iter("text"):
        assert 0 <= float(e.get("x")) <= width and 0 <= float(e.get("y")) <= height
    strokes = [e.get("stroke") for e in root.iter("polyline")]
    assert len(set(strokes)) == 3


def test_chart_points_are_linear_in_the_data():
    (first, second, _) = chart()[1]
    xs, ys = np.array(first).T
    assert (np.diff(xs) > 0).all() and (np.diff(ys) < 0).all(), "up in the data is up in the drawing"
    assert np.allclose((xs - xs[0]) / (xs[-1] - xs[0]), np.array([0, 100, 250, 400]) / 400, atol=1e-3)
    assert np.allclose((ys - ys[0]) / (ys[-1] - ys[0]), np.array([0, 12.5, 40.1, 47]) / 47, atol=1e-3)
    assert second[0][1] == second[1][1]


def test_tick_labels_stand_at_their_values():
    root, lines = chart()
    at = {t.text: float(t.get("x")) for t in root.iter("text") if t.get("text-anchor") == "middle"}
    assert at["0"] == pytest.approx(lines[0][0][0], abs=0.1) and at["100"] == pytest.approx(lines[0][1][0], abs=0.1)


@pytest.mark.parametrize("curves", [{}, {"none": []}, {"one": [(3, 2.0)]}, {"flat": [(1, 0.0), (2, 0.0)]}])
def test_chart_of_almost_nothing(curves):
    root, lines = chart(curves, title="")
    _, _, width, height = map(float, root.get("viewBox").split())
    assert all(0 <= x <= width and 0 <= y <= height for line in lines for x, y in line)


def test_many_curves_differ_in_color_or_dash():
    root, _ = chart({f"run {n}": [(0, n), (1, n)] for n in range(12)})
    assert len({(e.get("stroke"), e.get("stroke-dasharray")) for e in root.iter("polyline")}) == 12


@pytest.mark.parametrize(
    "low, high, most, expected",
    [
        (0, 52.7, 7, [0, 10, 20, 30, 40, 50, 60]),
        (0, 0.53, 7, [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]),
        (0, 1500, 8, [0, 500, 1000, 1500]),
        (-3, 4, 7, [-4, -2, 0, 2, 4]),
        (0, 0.3, 7, [0, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3]),
    ],
)
def test_round_ticks(low, high, most, expected):
    assert round_ticks(low, high, most) == expected
