"""JHMDB PCK by box and torso, by hand."""

import numpy as np
import pytest

from semipose.errors import ConfigError
from semipose.evaluation.jhmdb import JHMDB_METRICS, jhmdb_pck, torso_norm
from semipose.skeletons import Skeleton, get_skeleton

SIDES = [
    f"{side}_{part}" for part in ("shoulder", "hip", "elbow", "knee", "wrist", "ankle") for side in ("right", "left")
]
JHMDB = Skeleton("jhmdb", ("neck", "belly", "head", *SIDES), (0.05,) * 15)


def one_person(torso=(6, 8), size=(30, 50)):
    """All targets at 0 but the right hip; a torso of 10 px and a longer box side of 50 px."""
    targets = np.zeros((1, 15, 2))
    targets[0, JHMDB.index("right_hip")] = torso
    return targets, np.ones((1, 15)), np.array([[0, 0, *size]], float)


def test_indices_are_those_of_mmpose():
    assert [JHMDB.index(n) for n in ("head", "left_shoulder", "right_hip")] == [2, 4, 5]


def test_by_hand():
    """Errors: head 9.9 (box right, torso wrong), left wrist 1.9 (right), right wrist 10 (wrong), others 0."""
    targets, visible, boxes = one_person()
    predictions = targets.copy()
    for name, error in (("head", 9.9), ("left_wrist", 1.9), ("right_wrist", 10)):
        predictions[0, JHMDB.index(name), 0] += error
    metrics = jhmdb_pck(predictions, targets, visible, boxes, JHMDB)
    assert tuple(metrics) == JHMDB_METRICS
    assert JHMDB_METRICS[:8] == (*(f"PCK_{p}" for p in "Head Sho Elb Wri Hip Knee Ank".split()), "PCK")
    assert (metrics["PCK_Head"], metrics["PCK_Wri"], metrics["PCK"]) == pytest.approx((1, 0.5, 14 / 15))
    assert (metrics["tPCK_Head"], metrics["tPCK_Wri"], metrics["tPCK"]) == pytest.approx((0, 0.5, 13 / 15))
    assert (metrics["tPCK_Sho"], metrics["PCK_Ank"]) == (1, 1)
    tighter = jhmdb_pck(predictions, targets, visible, boxes, JHMDB, threshold=0.19)
    assert (tighter["PCK_Head"], tighter["tPCK_Wri"]) == (0, 0)


def test_keypoints_that_nobody_shows():
    targets, visible, boxes = one_person()
    visible[0, [JHMDB.index("head"), JHMDB.index("left_knee")]] = 0
    metrics = jhmdb_pck(targets, targets, visible, boxes, JHMDB)
    assert (metrics["PCK_Head"], metrics["tPCK_Knee"], metrics["tPCK"]) == (-1, 1, 1)


@pytest.mark.parametrize(("torso", "shown", "expected"), [((6, 8), 1, 10), ((0.6, 0.79), 1, 5), ((6, 8), 0, 5)])
def test_a_torso_below_one_pixel_or_not_shown_is_taken_from_the_prediction(torso, shown, expected):
    targets, visible, _ = one_person(torso)
    predictions = np.zeros((1, 15, 2))
    predictions[0, JHMDB.index("left_shoulder")] = 3, 4
    visible[0, JHMDB.index("left_shoulder")] = shown
    assert torso_norm(predictions, targets, visible, JHMDB).tolist() == [expected]


def test_somebody_who_was_not_found_counts_as_wrong():
    targets, visible, boxes = one_person()
    visible[0, JHMDB.index("left_shoulder")] = 0  # no labelled torso, and none that was predicted
    metrics = jhmdb_pck(np.full((1, 15, 2), -1e6), targets, visible, boxes, JHMDB)
    assert metrics["tPCK"] == metrics["PCK"] == 0


def test_another_skeleton_is_refused():
    arrays = np.zeros((1, 17, 2)), np.zeros((1, 17, 2)), np.ones((1, 17)), np.ones((1, 4))
    with pytest.raises(ConfigError, match="'coco'.*keypoints.*'head'"):
        jhmdb_pck(*arrays, get_skeleton("coco"))
