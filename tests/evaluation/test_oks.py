"""OKS, its suppression of duplicates, and the score of a person."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semipose.evaluation.oks import oks_matrix, oks_nms, person_scores, soft_oks_nms


def slow_oks(pose, target, area, sigmas, visible):
    terms = [
        math.exp(-((p[0] - t[0]) ** 2 + (p[1] - t[1]) ** 2) / (2 * area * (2 * s) ** 2))
        for p, t, s, v in zip(pose, target, sigmas, visible)
        if v > 0
    ]
    return sum(terms) / len(terms) if terms else 0.0


@pytest.mark.parametrize("seed", range(5))
def test_oks_matrix_equals_the_slow_loop(seed):
    rng = np.random.default_rng(seed)
    poses, targets = rng.uniform(0, 50, (4, 5, 2)), rng.uniform(0, 50, (3, 5, 2))
    areas, sigmas = rng.uniform(100, 5000, 3), rng.uniform(0.02, 0.2, 5)
    visible = rng.integers(0, 3, (3, 5))
    visible[2] = 0
    got = oks_matrix(poses, targets, areas, sigmas, visible)
    slow = [[slow_oks(p, targets[g], areas[g], sigmas, visible[g]) for g in range(3)] for p in poses]
    np.testing.assert_allclose(got, slow, rtol=0, atol=1e-12)
    assert not got[:, 2].any()
    pair_areas = np.broadcast_to(areas, (4, 3))
    np.testing.assert_array_equal(got, oks_matrix(poses, targets, pair_areas, sigmas, visible))


def test_oks_by_hand():
    """At a distance of 2 sigma sqrt(area) a keypoint counts exp(-1/2); a hidden one does not count."""
    target = np.zeros((1, 2, 2))
    pose = np.array([[[2 * 0.1 * 30, 0], [1000, 0]]])
    assert oks_matrix(pose, target, [900], [0.1, 0.1], [[2, 0]])[0, 0] == pytest.approx(math.exp(-0.5), abs=1e-12)
    assert oks_matrix(pose, target, [900], [0.1, 0.1])[0, 0] == pytest.approx(math.exp(-0.5) / 2, abs=1e-12)
    assert oks_matrix(np.zeros((0, 2, 2)), target, [900], [0.1, 0.1]).shape == (0, 1)


def test_person_scores_by_hand():
    keypoint_scores = np.array([[0.1, 0.5, 0.9], [0.2, 0.1, 0.0], [0.3, 0.2, 0.1]], np.float32)
    np.testing.assert_allclose(person_scores([0.5, 1, 1], keypoint_scores), [0.5 * 0.7, 0, 0.3], atol=1e-7)
    assert person_scores([], np.zeros((0, 3))).shape == (0,)


def test_person_scores_tie_exactly_whatever_the_order():
    rng = np.random.default_rng(0)
    scores = rng.random(17).astype(np.float32)
    shuffled = np.stack([rng.permutation(scores) for _ in range(50)])
    assert len(set(person_scores(np.ones(50), shuffled).tolist())) == 1


def poses_at(*x):
    """One-keypoint poses on a line; with sigma 0.5 and area 1 two of them at distance d have OKS exp(-d^2 / 2)."""
    return np.array([[[value, 0.0]] for value in x])


def at_oks(value):
    return math.sqrt(-2 * math.log(value))


def test_hard_nms_by_hand():
    """b is dropped for a; c is near b only, and b is gone, so c stays."""
    poses = poses_at(0, at_oks(0.95), at_oks(0.95) * 2)
    assert oks_nms(poses, [0.9, 0.8, 0.7], np.ones(3), [0.5]).tolist() == [0, 2]
    assert oks_nms(poses, [0.7, 0.8, 0.7], np.ones(3), [0.5]).tolist() == [1]
    assert oks_nms(poses, [0.9, 0.8, 0.7], np.ones(3), [0.5], threshold=0.96).tolist() == [0, 1, 2]
    assert oks_nms(poses_at(0, 0), [0.9, 0.8], np.ones(2), [0.5], threshold=1.0).tolist() == [0, 1]
    assert oks_nms(poses[:0], [], [], [0.5]).tolist() == []


def test_hard_nms_of_equal_scores_takes_the_later_row_first():
    assert oks_nms(poses_at(0, 10, 20, 0), [0.5, 0.9, 0.5, 0.5], np.ones(4), [0.5]).tolist() == [1, 3, 2]


def test_nms_compares_at_the_mean_of_both_areas():
    """Areas 0.5 and 1.5 have the mean 1: OKS is 0.95 exactly as for two persons of area 1."""
    pair = poses_at(0, at_oks(0.95))
    for threshold, kept in ((0.949, 1), (0.951, 2)):
        assert len(oks_nms(pair, [0.9, 0.8], np.array([0.5, 1.5]), [0.5], threshold)) == kept


def test_soft_nms_by_hand():
    """The second pose falls from 0.8 to 0.8 exp(-0.8^2 / 0.9) = 0.393, below the far third one."""
    poses = poses_at(0, at_oks(0.8), 100)
    kept, scores = soft_oks_nms(poses, [0.9, 0.8, 0.5], np.ones(3), [0.5])
    assert kept.tolist() == [0, 2, 1]
    np.testing.assert_allclose(scores, [0.9, 0.5, 0.8 * math.exp(-(0.8**2) / 0.9)], atol=1e-12)
    kept, scores = soft_oks_nms(poses, [0.9, 0.8, 0.5], np.ones(3), [0.5], max_detections=2)
    assert (kept.tolist(), scores.tolist()) == ([0, 2], [0.9, 0.5])


def test_soft_nms_lowers_once_for_each_better_pose_and_leaves_its_input():
    given_scores = np.array([0.9, 0.9, 0.9])
    kept, scores = soft_oks_nms(np.zeros((3, 1, 2)), given_scores, np.ones(3), [0.5])
    factor = math.exp(-1 / 0.9)
    assert kept.tolist() == [2, 1, 0]
    np.testing.assert_allclose(scores, [0.9, 0.9 * factor, 0.9 * factor**2], atol=1e-12)
    assert given_scores.tolist() == [0.9, 0.9, 0.9]


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 12), st.integers(0, 10**6), st.floats(0.05, 1))
def test_nms_properties(count, seed, threshold):
    """Every dropped pose is too near a better kept one, no two kept ones are too near; soft keeps all, sorted."""
    rng = np.random.default_rng(seed)
    poses, scores = rng.uniform(0, 3, (count, 2, 2)), rng.random(count)
    sigmas, areas = np.array([0.5, 0.7]), np.ones(count)
    similarity = oks_matrix(poses, poses, areas, sigmas)
    kept = oks_nms(poses, scores, areas, sigmas, threshold)
    assert (np.diff(scores[kept]) <= 0).all()
    near = (similarity > threshold) & ~np.eye(count, dtype=bool)
    assert not near[np.ix_(kept, kept)].any()
    for row in set(range(count)) - set(kept.tolist()):
        assert (near[row, kept] & (scores[kept] >= scores[row])).any()
    rows, lowered = soft_oks_nms(poses, scores, areas, sigmas, threshold)
    assert sorted(rows.tolist()) == list(range(count))
    assert (np.diff(lowered) <= 0).all() and (lowered <= scores[rows]).all()
