"""Whom the instances on a picture belong to, and what metrics say of it."""

import numpy as np
import pytest
import torch

from semipose.evaluation import KeypointPredictions, LabelledSet, MetricOptions, ground_truth_from_persons
from semipose.evaluation.picture_metrics import found_people, match_persons, score_pictures
from semipose.skeletons import Skeleton
from semipose.structures import Persons

PAIR = Skeleton("pair", ("snout", "tail"), (0.1, 0.1))
BASE = np.array([[10.0, 10], [10, 50]])  # in a box of 20 x 40


def persons(*places, images=None):
    """A person at each offset; its keypoints (K, 2) lie in a box of 20 x 40."""
    places = np.array(places, np.float64).reshape(-1, 2)
    images = np.zeros(len(places), int) if images is None else np.array(images)
    keypoints = np.ones((len(places), 2, 3), np.float32)
    keypoints[..., :2] = BASE + places[:, None]
    boxes = np.concatenate([places + [0, 10], np.tile([20.0, 40], (len(places), 1))], 1).astype(np.float32)
    return Persons(
        np.array(["a.png", "b.png"]), np.array([7, 8]), images.astype(np.int32), np.arange(len(places)) + 1, boxes,
        keypoints, np.full(len(places), 800, np.float32), np.ones(len(places), np.float32),
    )  # fmt: skip


def people(*rows):
    """Predictions of (image id, offset, score)."""
    keypoints = np.array([BASE + np.array(place) for _, place, _ in rows], np.float64).reshape(-1, 2, 2)
    scores = np.array([score for *_, score in rows], np.float64)
    ids = np.array([image for image, *_ in rows], np.int64)
    return KeypointPredictions(ids, keypoints, np.tile(scores[:, None], (1, 2)), scores, np.ones(len(rows)))


def test_the_best_choose_first_and_nobody_is_taken_twice():
    labelled = persons((0, 0), (12, 0))
    # the second is nearer to the first person, but the first prediction is better and takes it
    found = people((7, (4, 0), 0.5), (7, (1, 0), 0.9), (7, (30, 0), 0.4))
    assert match_persons(labelled, found).tolist() == [1, 0]
    assert match_persons(labelled, people((7, (4, 0), 0.9), (7, (1, 0), 0.5))).tolist() == [0, 1]


def test_only_what_is_near_and_on_the_same_picture_counts():
    labelled = persons((0, 0), (0, 0), images=[0, 1])
    assert match_persons(labelled, people((7, (0, 19.9), 1.0), (8, (0, 20.1), 1.0))).tolist() == [0, -1]
    assert match_persons(labelled, people()).tolist() == [-1, -1]


def test_one_keypoint_far_away_counts_as_one_side_only():
    labelled, found = persons((0, 0)), people((7, (0, 0), 1.0))
    found.keypoints[0, 0] += 1e5
    assert match_persons(labelled, found).tolist() == [-1]  # 0.5 is not below 0.5
    found.keypoints[0, 0] = BASE[0] + [0, 39]
    assert match_persons(labelled, found).tolist() == [0]


def test_keypoints_without_a_label_say_nothing_and_persons_without_any_are_not_looked_for():
    labelled, found = persons((0, 0), (60, 0)), people((7, (0, 0), 1.0), (7, (60, 0), 1.0))
    labelled.keypoints[0, 1, 2] = 0
    labelled.keypoints[1, :, 2] = 0
    found.keypoints[0, 1] = 1e5
    assert match_persons(labelled, found).tolist() == [0, -1]


def test_20_of_a_picture_count():
    found = people(*[(7, (500, 500), 0.9)] * 20, (7, (0, 0), 0.5))
    assert match_persons(persons((0, 0)), found).tolist() == [-1]
    assert match_persons(persons((0, 0)), found.take(np.arange(1, 21))).tolist() == [19]


def test_persons_who_are_not_found_are_wrong_and_have_no_error():
    labelled = persons((0, 0), (100, 0), (0, 0), images=[0, 0, 1])
    labels = LabelledSet("set", ground_truth_from_persons(labelled, PAIR.sigmas), labelled, PAIR)
    found = people((7, (3, 0), 0.9), (8, (0, 5), 0.9), (7, (300, 0), 0.99))
    options = MetricOptions(pixels=4.0)
    metrics = score_pictures(("pck", "epe", "nme", "oks"), labels, found, options)
    # norm 40: 3 px are within 0.1, 5 px are not
    assert metrics["PCK"] == metrics["PCK_px"] == pytest.approx(1 / 3)
    assert metrics["EPE"] == pytest.approx(4) and metrics["NME"] == pytest.approx(0.1)
    assert metrics["found"] == pytest.approx(2 / 3)
    assert 0 < metrics["AP"] < 0.6
    assert "found" not in score_pictures(("oks",), labels, found, options)


def test_low_scores_are_scores_too():
    """A network of few labels says 0.05 of all; OKS metrics rank by the plain mean."""
    points = torch.tensor(BASE, dtype=torch.float32)[None, None].repeat(2, 3, 1, 1)
    scores = torch.tensor([[[0.05, 0.03], [0.2, 0.0], [0, 0]], [[0, 0], [0, 0], [0, 0]]])
    rows, found = found_people(points, scores, torch.tensor([4, 2]), np.arange(10) * 10)
    assert rows.tolist() == [4, 4] and found.image_ids.tolist() == [40, 40]
    assert found.box_scores.tolist() == pytest.approx([0.04, 0.1])
    assert found.areas.tolist() == [1, 1]  # of a straight line


def test_crowdpose_takes_all_that_was_found():
    labelled = persons((0, 0), (0, 0), images=[0, 1])
    truth = ground_truth_from_persons(labelled, PAIR.sigmas, {7: 0.05, 8: 0.9})
    labels = LabelledSet("set", truth, labelled, PAIR)
    metrics = score_pictures(("crowdpose",), labels, people((7, (0, 0), 0.04)), MetricOptions())
    assert metrics["AP_E"] == pytest.approx(1) and metrics["AP_H"] == 0 and 0.4 < metrics["AP"] < 0.6
