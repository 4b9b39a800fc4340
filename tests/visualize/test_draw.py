"""Skeletons, heatmaps and tiles: what is drawn lands where it should, and only there."""

from dataclasses import replace

import numpy as np
import pytest

from semipose.skeletons import Skeleton, get_skeleton
from semipose.visualize.colors import SIDE_COLORS, keypoint_sides
from semipose.visualize.draw import draw_heatmaps, enlarge, tile
from semipose.visualize.overlay import draw_skeleton

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


def test_sides_have_their_colors():
    points = np.array([[50, 50], [250, 50], [250, 250]], float)
    drawn = draw_skeleton(gray(300, 500), points, THREE)
    assert tuple(drawn[50, 250]) == tuple(drawn[50, 150]) == SIDE_COLORS["left"]
    assert tuple(drawn[250, 250]) == SIDE_COLORS["right"]
    assert tuple(drawn[150, 250]) == SIDE_COLORS["middle"], "a limb from left to right belongs to the middle"


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
    with pytest.raises(ValueError, match="2, 2.*'three', which has 3"):
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
