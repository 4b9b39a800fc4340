"""Metrics of 3D poses, by hand-made cases and known values."""

import numpy as np
import pytest

from semipose.lifting.codec import LiftCodec
from semipose.lifting.metrics import mpjpe, n_mpjpe, p_mpjpe, pck_3d, procrustes, score_actions, score_poses
from semipose.lifting.motion import Motion, Recording, WindowPlan, Windows
from semipose.lifting.validator import LiftSet, LiftValidator

FOUND = np.array(
    [
        [[1, 0, 0], [2, 2, 0], [0, 0, -1], [3, 3, 1], [0, 1, 1]],
        [[1, 0, 0], [2, 2, 1], [-1, 0, 0], [0, 0, 3], [0, 0, 1]],
    ],
    float,
)
WANTED = np.array(
    [
        [[1, 0, 0], [1, 1, 1], [-1, 0, 0], [3, 3, 1], [0, 1, 0]],
        [[1, 1, 0], [1, 0, 1], [-1, 0, 0], [0, 0, 3], [1, 1, 0]],
    ],
    float,
)
LABELLED = np.ones((2, 5), bool)
LABELLED[:, 2] = False


@pytest.mark.parametrize(("metric", "value"), [(mpjpe, 0.96252), (p_mpjpe, 1.00479), (n_mpjpe, 1.02771)])
def test_known_values_of_two_poses(metric, value):
    assert metric(FOUND, WANTED, LABELLED) == pytest.approx(value, abs=5e-6)
    assert metric(WANTED, WANTED, LABELLED) == pytest.approx(0, abs=1e-12)
    assert metric(FOUND, WANTED, np.zeros_like(LABELLED)) == -1


def turn(angle: float) -> np.ndarray:
    cos, sin = np.cos(angle), np.sin(angle)
    return np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])


def test_procrustes_undoes_turn_scale_and_shift_but_no_mirror():
    poses = np.random.default_rng(0).normal(size=(4, 17, 3))
    moved = 2.5 * poses @ turn(0.7) + [1.0, -2, 3]
    np.testing.assert_allclose(procrustes(moved, poses), poses, atol=1e-9)
    assert p_mpjpe(poses * [-1, 1, 1], poses, np.ones((4, 17), bool)) > 0.1


def test_joints_without_a_label_do_not_turn_or_scale_a_pose():
    wanted = np.random.default_rng(0).normal(size=(3, 17, 3))
    labelled = np.ones((3, 17), bool)
    labelled[0, 5], labelled[1, :4], labelled[2] = False, False, False
    found = 0.5 * wanted @ turn(0.7)
    nowhere = np.where(labelled[..., None], wanted, 5.0)  # where unlabelled joints are after the root is taken away
    scores = score_poses(found, nowhere, labelled)
    assert scores["MPJPE"] > 100 and scores["P-MPJPE"] == pytest.approx(0, abs=1e-6)
    assert score_poses(0.5 * wanted, nowhere, labelled)["N-MPJPE"] == pytest.approx(0, abs=1e-6)


def test_a_pose_of_one_point_has_no_nan():
    everywhere = np.zeros((1, 3, 3))
    assert np.isfinite([m(everywhere, WANTED[:1, :3], np.ones((1, 3), bool)) for m in (p_mpjpe, n_mpjpe)]).all()


def test_3dpck_and_auc_by_hand():
    wanted = np.zeros((1, 4, 3))
    found = wanted + np.array([0.0, 0.0, 0.1, 0.2])[:, None] * [1, 0, 0]  # 0, 0, 100 and 200 mm
    scores = score_poses(found, wanted, np.ones((1, 4), bool))
    assert scores["MPJPE"] == pytest.approx(75) and scores["3DPCK"] == 0.75
    # two are within all 31 thresholds of 0 to 150 mm, one within the 11 from 100 on
    assert scores["3DAUC"] == pytest.approx((2 * 31 + 11) / 4 / 31)
    assert pck_3d(found * 1000, wanted, np.ones((1, 4), bool), 99) == 0.5


def test_actions_count_alike_however_long_they_are():
    wanted, actions = np.zeros((3, 2, 3)), np.array(["walk", "walk", "sit"])
    found = wanted + np.array([0.01, 0.01, 0.04])[:, None, None] * [1, 0, 0]
    scores = score_actions(found, wanted, np.ones((3, 2), bool), actions)
    assert scores == pytest.approx({"MPJPE_actions": 25, "MPJPE_action_walk": 10, "MPJPE_action_sit": 40})
    assert score_actions(found[:2], wanted[:2], np.ones((2, 2), bool), actions[:2]) == {}


def test_the_takes_of_an_action_are_one_action():
    names = ("Sitting_1", "Sitting", "SittingDown")
    poses = np.random.default_rng(0).normal(size=(4, 3, 3)).astype(np.float32)
    recordings = tuple(Recording("S9", name, "c") for name in names)
    ones, sequence = np.ones((4, 3)), np.array([0, 1, 1, 2])
    motion = Motion(poses[..., :2], ones, poses, ones, sequence, np.ones((3, 11)), recordings)
    off = np.array([0.03, 0.06, 0.06, 0.2], np.float32)[:, None, None] * np.array([[[0, 0, 0], [1, 0, 0], [0, 1, 0]]])
    codec = LiftCodec(3, (0,))
    found = poses - poses[:, :1] + off
    scores = LiftValidator({}, codec)._metrics(LiftSet(Windows(motion, WindowPlan(1)), ()), found)
    actions = {name: value for name, value in scores.items() if "action" in name}
    each = {"MPJPE_action_Sitting": 100 / 3, "MPJPE_action_SittingDown": 400 / 3, "MPJPE_actions": 250 / 3}
    assert actions == pytest.approx(each, rel=1e-4)
