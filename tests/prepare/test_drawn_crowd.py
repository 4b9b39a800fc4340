import json
from dataclasses import replace
from itertools import combinations

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO as CocoFile

from semipose.errors import ConfigError
from semipose.geometry.boxes import box_iou
from semipose.prepare import drawn_crowd, drawn_scene
from semipose.prepare.drawn_crowd import draw_crowd
from semipose.prepare.drawn_people import write_demo_data

COLOURS = np.array([[250, 0, 0], [0, 250, 0], [0, 0, 250], [250, 250, 0], [250, 0, 250]])
SIZE = 72


def crowds(count, fewest=2, most=5, size=SIZE, seed=5):
    return [draw_crowd(np.random.default_rng([seed, i]), size, fewest, most) for i in range(count)]


@pytest.fixture(scope="module")
def many():
    return crowds(150)


def box(person):
    return np.stack([person.bbox[:2], person.bbox[:2] + person.bbox[2:]])


def largest_iou(people):
    return max(box_iou(box(a)[None], box(b)[None])[0, 0] for a, b in combinations(people, 2))


@pytest.fixture
def persons_only(monkeypatch):
    """Pictures of the bare figures on black, the persons in the order of COLOURS."""
    sample, painted = drawn_crowd._sample_member, []

    def in_one_colour(*args):
        member = sample(*args)
        colour = COLOURS[len(painted)]
        painted.append(member)
        shapes = [(part, outline, colour) for part, outline, _ in member.figure.shapes]
        return replace(member, figure=replace(member.figure, shapes=shapes))

    def black(rng, size):
        painted.clear()  # the next picture
        return np.zeros((size * drawn_scene.SUPERSAMPLING,) * 2 + (3,), np.uint8)

    monkeypatch.setattr(drawn_crowd, "_sample_member", in_one_colour)
    monkeypatch.setattr(drawn_scene, "draw_background", black)
    monkeypatch.setattr(drawn_scene, "draw_distractors", lambda *args: None)
    monkeypatch.setattr(drawn_scene, "draw_folds", lambda *args, striped: None)
    monkeypatch.setattr(drawn_scene, "draw_occluders", lambda r, canvas, b: np.zeros(canvas.shape[:2], np.uint8))
    monkeypatch.setattr(drawn_scene, "photograph", lambda rng, canvas: canvas)


def test_same_generator_same_picture_and_the_numbers_asked_for(many):
    again = crowds(1)[0]
    assert np.array_equal(many[0][0].image, again[0].image) and len(again) == len(many[0])
    assert all(np.array_equal(a.keypoints, b.keypoints) for a, b in zip(many[0], again))
    assert {len(people) for people in many} == {2, 3, 4, 5}
    assert all(person.image is people[0].image for people in many for person in people)
    assert many[0][0].image.shape == (SIZE, SIZE, 3) and many[0][0].image.dtype == np.uint8


def test_persons_are_large_enough_and_in_the_picture(many):
    for person in (person for people in many for person in people):
        assert 0.25 * SIZE < person.bbox[2:].max() <= 0.75 * SIZE + 1e-9
        assert (box(person) >= 0).all() and (box(person) <= SIZE - 1).all()
        points = person.keypoints[person.keypoints[:, 2] > 0, :2]
        assert len(points) > 8 and np.linalg.norm(np.ptp(points, axis=0)) > 0.2 * SIZE
        assert (points > box(person)[0] - 0.51).all() and (points < box(person)[1] + 0.51).all()
    outside = [(person.keypoints[:, 2] == 0).any() for people in many for person in people]
    assert 0 < np.mean(outside) < 0.2


def test_a_third_of_the_pictures_have_persons_who_overlap(many):
    assert 0.25 < np.mean([largest_iou(people) > 0.1 for people in many]) < 0.48
    assert max(largest_iou(people) for people in many) < 0.6


def test_the_most_people_find_a_place():
    for people in crowds(10, 8, 8):
        assert len(people) == 8 and max(person.hidden for person in people) <= 0.6


def test_a_quarter_are_athletes_and_only_they_wear_red(many):
    groups = [person.group_id for people in many for person in people]
    assert set(groups) == {0, 1} and 0.19 < np.mean(groups) < 0.31
    for seed in range(200):
        member = drawn_crowd._sample_member(np.random.default_rng(seed), SIZE, 3)
        red, *others = member.wear["shirt"]
        assert (red > 1.5 * max(others)) == bool(member.group_id) == ("band" in member.wear)


def test_athletes_have_wilder_poses(many):
    """Their shoulders are turned further away from the horizontal."""

    def turns(group):
        across = [p.keypoints[5] - p.keypoints[6] for people in many for p in people if p.group_id == group]
        return np.mean([abs(np.degrees(np.arctan2(y, x))) for x, y, _ in across])

    assert turns(1) > 1.5 * turns(0)


def test_box_iou_is_the_intersection_over_the_union():
    boxes = np.array([[[0, 0], [4, 2]], [[2, 0], [6, 2]], [[10, 10], [11, 11]]], float)
    assert np.allclose(box_iou(boxes, boxes[:2]), [[1, 1 / 3], [1 / 3, 1], [0, 0]])


def test_a_joint_is_seen_where_its_own_person_is_in_front(persons_only):
    seen, right, behind = 0, 0, 0
    for people in crowds(40):
        picture, scale = people[0].image, drawn_scene.SUPERSAMPLING
        for number, person in enumerate(people):
            for x, y, v in person.keypoints[person.keypoints[:, 2] > 0]:
                pixel = picture[round((y + 0.5) * scale - 0.5), round((x + 0.5) * scale - 0.5)]
                own = np.array_equal(pixel, COLOURS[number])
                seen, right = seen + (v == 2), right + (v == 2 and own)
                behind += not own and pixel.any()
                assert own or v == 1
    assert right == seen > 1000 and behind > 30


def test_area_and_hidden_share_are_those_of_the_pixels(persons_only):
    hidden = []
    for people in crowds(40):
        for number, person in enumerate(people):
            visible = (people[0].image == COLOURS[number]).all(-1).sum() / drawn_scene.SUPERSAMPLING**2
            assert visible == pytest.approx((1 - person.hidden) * person.area)
            hidden.append(person.hidden)
    assert 0.3 < max(hidden) <= 0.6 and np.mean(np.array(hidden) > 0.02) > 0.1


def test_a_joint_behind_an_occluder_is_hidden(monkeypatch):
    monkeypatch.setattr(drawn_crowd, "MOST_HIDDEN", 1)
    monkeypatch.setattr(drawn_scene, "draw_occluders", lambda r, canvas, b: np.ones(canvas.shape[:2], np.uint8))
    for person in (person for people in crowds(3) for person in people):
        assert set(person.keypoints[:, 2]) <= {0, 1} and person.hidden == 1


def test_a_picture_in_which_somebody_is_hidden_too_much_is_drawn_anew(monkeypatch):
    drawn = []
    attempt = drawn_crowd._draw

    def count(*args):
        drawn.append(attempt(*args))
        return drawn[-1]

    monkeypatch.setattr(drawn_crowd, "_draw", count)
    monkeypatch.setattr(drawn_crowd, "MOST_HIDDEN", 0.05)
    kept = crowds(20)
    assert len(drawn) > 20 and all(person.hidden <= 0.05 for people in kept for person in people)


def test_folders_are_valid_coco(tmp_path):
    root = tmp_path / "scenes"
    settings = {"labeled": 3, "unlabeled": 4, "val": 2, "size": SIZE, "seed": 1, "people": (2, 4)}
    assert write_demo_data(root, **settings) and not write_demo_data(root, **settings)
    assert json.loads((root / "manifest.json").read_text())["people"] == [2, 4]
    for name in ("labeled", "unlabeled", "val"):
        file = root / "annotations" / f"person_keypoints_{name}.json"
        content, coco = json.loads(file.read_text()), CocoFile(file)
        assert [a["id"] for a in content["annotations"]] == list(range(1, len(content["annotations"]) + 1))
        assert all(2 <= len(coco.getAnnIds(imgIds=[image["id"]])) <= 4 for image in content["images"])
        for person in content["annotations"]:
            assert person["group_id"] in (0, 1) and person["area"] > 0
            assert person["num_keypoints"] == np.count_nonzero(person["keypoints"][2::3])
    first = cv2.imread(str(root / "images" / "labeled" / "000001.png"))[..., ::-1]
    assert np.array_equal(first, draw_crowd(np.random.default_rng([1, 0, 0]), SIZE, 2, 4)[0].image)


def test_other_numbers_of_people_are_drawn_again(tmp_path):
    root, counts = tmp_path / "scenes", {"labeled": 1, "unlabeled": 1, "val": 1, "size": SIZE}
    assert write_demo_data(root, **counts, people=(2, 2))
    assert write_demo_data(root, **counts, people=(3, 3)) and write_demo_data(root, **counts)
    assert "people" not in json.loads((root / "manifest.json").read_text())
    labels = json.loads((root / "annotations" / "person_keypoints_val.json").read_text())["annotations"]
    assert len(labels) == 1 and "group_id" not in labels[0]


@pytest.mark.parametrize("people", [(0, 2), (3, 2), (2, 9)])
def test_numbers_of_people_that_cannot_be_drawn_are_named(tmp_path, people):
    with pytest.raises(ConfigError, match=f"people are {people[0]} to {people[1]}"):
        write_demo_data(tmp_path / "scenes", people=people)
    assert not (tmp_path / "scenes").exists()
