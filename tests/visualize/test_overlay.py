"""Persons on a picture: colours that can be told apart, sizes that follow the picture, only what is wanted."""

import cv2
import numpy as np
import pytest

from semipose.skeletons import Skeleton, get_skeleton
from semipose.visualize.colors import PALETTE, SIDE_COLORS, color_key, keypoint_colors, person_color
from semipose.visualize.overlay import draw_instances, draw_skeleton, line_width
from semipose.visualize.text import add_legend, letter_height, write_plate

MOUSE, COCO = get_skeleton("mirror_mouse"), get_skeleton("coco")
PAIR = Skeleton("pair", ("snout", "tail"), (0.1, 0.1), links=(("snout", "tail"),))
# how a picture looks to who does not see green, for linear RGB: Machado et al. (2009), full severity
NO_GREEN = np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]])


def gray(height=120, width=160):
    return np.full((height, width, 3), 128, np.uint8)


def changed(drawn, before=None):
    return (drawn != (gray(*drawn.shape[:2]) if before is None else before)).any(-1)


def scattered(skeleton, size=400):
    """Keypoints (1, K, 2) on a ring, far from one another."""
    turns = np.linspace(0, 2 * np.pi, len(skeleton), endpoint=False)
    return (size / 2 + 0.4 * size * np.stack([np.cos(turns), np.sin(turns)], 1))[None].round()


def lab(colors) -> np.ndarray:
    return cv2.cvtColor(np.array(colors, np.float32)[None] / 255, cv2.COLOR_RGB2LAB)[0]


def without_green(colors) -> np.ndarray:
    linear = np.clip((np.array(colors) / 255) ** 2.2 @ NO_GREEN.T, 0, 1)
    return 255 * linear ** (1 / 2.2)


def least_distance(colors) -> float:
    distances = np.linalg.norm(colors[:, None] - colors, axis=-1)
    return distances[~np.eye(len(colors), dtype=bool)].min()


def test_all_keypoints_of_a_mouse_can_be_told_apart_in_the_picture():
    points = scattered(MOUSE)
    drawn = draw_instances(gray(400, 400), points, None, MOUSE)
    colors = [drawn[int(y), int(x)] for x, y in points[0]]
    assert least_distance(lab(colors)) > 20 and least_distance(lab(without_green(colors))) > 12
    assert np.linalg.norm(lab(colors) - lab([(20, 22, 28)]), axis=1).min() > 35, "lost on a dark picture"
    assert least_distance(lab([*PALETTE])) > 18


def test_limbs_of_a_mouse_have_the_colors_of_their_ends():
    drawn = draw_instances(gray(), [[(20, 60), (140, 60)]], None, PAIR)
    assert tuple(drawn[60, 50]) == tuple(drawn[60, 20]) == PALETTE[0]
    assert tuple(drawn[60, 110]) == tuple(drawn[60, 140]) == PALETTE[1]


def test_left_and_right_have_their_colors_where_they_say_more():
    assert set(keypoint_colors(COCO)) == set(SIDE_COLORS.values()) and color_key(COCO) == SIDE_COLORS
    few = Skeleton("few", ("a", "b", "c", "left_d", "right_d"), (0.1,) * 5)
    assert len(set(keypoint_colors(few))) == 5 and list(color_key(few)) == list(few.keypoints)
    many = Skeleton("many", tuple(f"p{k}" for k in range(100)), (0.1,) * 100)
    assert len(set(keypoint_colors(many))) == len(PALETTE) == 24


def test_a_low_score_hides_keypoint_and_limb():
    points, scores = [[(20, 60), (140, 60)]], np.array([[0.9, 0.3]])
    assert changed(draw_instances(gray(), points, scores, PAIR, min_score=0.3))[60, 80]
    drawn = changed(draw_instances(gray(), points, scores, PAIR, min_score=0.31))
    assert drawn[60, 20] and not drawn[:, 30:].any()
    assert not changed(draw_instances(gray(), points, [[np.nan, 0.2]], PAIR, min_score=0.3)).any()
    assert not changed(draw_instances(gray(), [[(20, np.nan), (np.inf, 4)]], None, PAIR)).any()


def test_uncertain_is_fainter_and_never_invisible():
    def contrast(score):
        drawn = draw_instances(gray(), [[(20, 60), (140, 60)]], [[score, score]], PAIR)
        return np.abs(drawn.astype(int) - 128).sum()

    assert 0 < contrast(0.0) < contrast(0.5) < contrast(1.0) == contrast(3.0)


@pytest.mark.parametrize("extra", [{}, {"boxes": [(5, 5, 50, 50)], "ids": [3], "legend": True}])
def test_the_input_is_not_changed(extra):
    image, points = gray(), np.full((1, 2, 2), 40.0)
    scores = np.full((1, 2), 0.5)
    draw_instances(image, points, scores, PAIR, **extra)
    assert (image == 128).all() and (points == 40).all() and (scores == 0.5).all()
    view = np.ascontiguousarray(image)[:, ::-1]
    assert draw_instances(view, points, None, PAIR).shape == image.shape


def test_lines_dots_and_letters_follow_the_picture():
    sides = (64, 480, 2000)
    assert [line_width((side, side)) for side in sides] == [1, 3, 7]
    assert [letter_height((side, side)) for side in sides] == [8, 11, 22]

    def size(side):
        middle = np.full((1, 2, 2), side / 2)
        rows = np.flatnonzero(changed(draw_instances(gray(side, side), middle, None, PAIR)).any(1))
        return len(rows)

    assert 3 <= size(64) < size(480) < size(2000) <= 30


def test_lines_on_a_small_person_are_thinner():
    def thickness(length):
        drawn = draw_instances(gray(480, 640), [[(100, 100), (100 + length, 100)]], None, PAIR)
        return changed(drawn)[:, 100 + length // 2].sum()

    assert thickness(20) <= thickness(80) < thickness(300) == thickness(500)


def test_boxes_and_numbers_have_the_color_of_the_person():
    points, boxes = np.full((2, 2, 2), np.nan), [(20, 40, 30, 60), (90, 40, 30, 60)]
    plain = draw_instances(gray(), points, None, PAIR, boxes)
    for (left, top, _, height), number in zip(boxes, (1, 2)):
        assert np.abs(plain[top + height // 2, left] - np.array(person_color(number))).max() < 30
    assert person_color(1) not in SIDE_COLORS.values() and person_color(1) != person_color(2)
    drawn = draw_instances(gray(), points, None, PAIR, boxes, ids=[7, 12])
    for (left, top, _, height), number in zip(boxes, (7, 12)):
        assert np.abs(drawn[top + height // 2, left] - np.array(person_color(number))).max() < 30
        assert (drawn[top - 8 : top, left : left + 12] == person_color(number)).all(-1).mean() > 0.3
    assert changed(plain).sum() < changed(drawn).sum()


def test_a_number_stands_above_a_person_without_box_and_stays_in_the_picture():
    points = np.array([[(80, 60), (85, 100)], [(158, 2), (159, 3)], [(np.nan, 0), (np.nan, 0)]])
    drawn = draw_instances(gray(), points, None, PAIR, ids=[1, 100, 3])
    for number, area in ((1, drawn[40:58, 70:100]), (100, drawn[:20, 120:])):
        assert (area == person_color(number)).all(-1).sum() > 30
    assert not (drawn == person_color(3)).all(-1).any(), "a person of whom nothing is seen has no place"
    tiny = np.zeros((4, 4, 3), np.uint8)
    write_plate(tiny, "12345", -9, 99, (255, 255, 255))
    assert tiny.any()


def test_different_numbers_look_different():
    boxes = [(20, 40, 60, 60)]
    pictures = [draw_instances(gray(), np.full((1, 2, 2), np.nan), None, PAIR, boxes, ids=[n]) for n in (1, 25)]
    assert person_color(1) == person_color(25) and (pictures[0] != pictures[1]).any()


@pytest.mark.parametrize(("height", "width", "beside"), [(400, 390, True), (480, 640, False), (64, 64, False)])
@pytest.mark.parametrize("skeleton", [MOUSE, COCO])
def test_the_legend_has_all_colors_and_the_picture_stays(height, width, beside, skeleton):
    points = scattered(skeleton, 60)
    plain = draw_instances(gray(height, width), points, None, skeleton)
    whole = draw_instances(gray(height, width), points, None, skeleton, legend=True)
    assert (whole[:height, :width] == plain).all()
    added = whole.shape[0] - height, whole.shape[1] - width
    if min(height, width) > 64:
        assert (added[0] == 0 and added[1] > 0) if beside else (added[0] > 0 and added[1] == 0)
    strip = whole.copy()
    strip[:height, :width] = 0
    for color in color_key(skeleton).values():
        assert (strip == color).all(-1).sum() > 4, f"{color} is not in the legend"


def test_a_legend_is_not_shared_with_what_is_drawn_later():
    first = add_legend(gray(), MOUSE)
    first[:] = 0
    assert add_legend(gray(), MOUSE).any()


def test_wild_values_are_survived():
    points = np.array([[(1e12, -1e12), (20, 20)], [(-1e300, 5), (1e300, 5)]])
    boxes = np.array([(np.nan, 0, 5, 5), (-1e12, 5, 1e13, 5)])
    assert draw_instances(gray(), points, None, PAIR, boxes, ids=[1, 2]).shape == (120, 160, 3)
    assert not changed(draw_instances(gray(), np.zeros((0, 2, 2)), np.zeros((0, 2)), PAIR)).any()
    with pytest.raises(ValueError, match="'pair', which has 2"):
        draw_instances(gray(), np.zeros((1, 3, 2)), None, PAIR)


def test_one_person_enlarged_is_the_same_as_all_persons():
    points = np.array([(20.0, 60.0), (40.0, 60.0)])
    enlarged = draw_skeleton(gray(), points, PAIR, visible=[1, 0], scale=2)
    wanted = draw_instances(gray(240, 320), [[(40.5, 120.5), (np.nan, np.nan)]], None, PAIR)
    assert np.array_equal(enlarged, wanted)
