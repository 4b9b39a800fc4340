"""Errors in pixels, by hand and against a slow loop."""

import numpy as np
import pytest

from semipose.errors import DataError
from semipose.evaluation.epe import nme, pixel_errors


def test_by_hand():
    """Distances 5, 13 and 0; the fourth is not labelled."""
    predictions = np.array([[[3, 4], [5, 12]], [[7, 7], [900, 900]]], float)
    targets = np.array([[[0, 0], [0, 0]], [[7, 7], [0, 0]]], float)
    result = pixel_errors(predictions, targets, np.array([[1, 2], [1, 0]]), 6)
    assert result.mean == 6 and result.within == pytest.approx(2 / 3)


def test_a_distance_of_exactly_the_threshold_is_not_within():
    inputs = np.array([[[3.0, 4.0]]]), np.zeros((1, 1, 2)), np.ones((1, 1))
    assert pixel_errors(*inputs, 5.0).within == 0
    assert pixel_errors(*inputs, 5.0001).within == 1


def test_every_labelled_keypoint_counts_once():
    """Person 0 has one labelled keypoint with error 10, person 1 has three with 0: 2.5, not the mean of persons, 5."""
    predictions = np.zeros((2, 3, 2))
    predictions[0, 1, 0] = 10
    assert pixel_errors(predictions, np.zeros((2, 3, 2)), [[0, 1, 0], [1, 1, 1]], 20).mean == 2.5


def test_equals_the_slow_loop():
    rng = np.random.default_rng(0)
    predictions, targets = rng.uniform(0, 40, (2, 20, 7, 2))
    visible = rng.integers(0, 2, (20, 7))
    found = [np.hypot(*(predictions[n, k] - targets[n, k])) for n in range(20) for k in range(7) if visible[n, k]]
    result = pixel_errors(predictions.astype(np.float32), targets.astype(np.float32), visible, 15)
    assert result.mean == pytest.approx(np.mean(found), abs=1e-5)
    assert result.within == np.mean(np.array(found) < 15)


def test_nothing_labelled_nobody_and_nan():
    for arrays in ((np.zeros((2, 3, 2)),) * 2 + (np.zeros((2, 3)),), (np.zeros((0, 3, 2)),) * 2 + (np.zeros((0, 3)),)):
        assert (pixel_errors(*arrays, 5).mean, pixel_errors(*arrays, 5).within) == (-1, -1)
    lost = pixel_errors(np.array([[[np.nan, 0.0], [0, 0]]]), np.zeros((1, 2, 2)), np.ones((1, 2)), 5)
    assert np.isnan(lost.mean) and lost.within == 0.5


def test_wrong_shapes_are_refused():
    with pytest.raises(DataError, match="pixel_errors"):
        pixel_errors(np.zeros((2, 3, 2)), np.zeros((2, 3, 2)), np.ones((2, 4)), 5)
    with pytest.raises(DataError, match="pixel_errors"):
        pixel_errors(np.zeros((2, 3, 3)), np.zeros((2, 3, 3)), np.ones((2, 3)), 5)
    with pytest.raises(DataError, match="nme: .*shapes"):
        nme(np.zeros((2, 3, 2)), np.zeros((2, 3, 2)), np.ones((2, 4)), np.ones(2))
    with pytest.raises(DataError, match=r"nme.*\(3,\).*\(2,\)"):
        nme(np.zeros((2, 3, 2)), np.zeros((2, 3, 2)), np.ones((2, 3)), np.ones(3))


def test_nme_by_hand():
    """5/10, 13/10 and 8/20; person 2 is of unknown size."""
    predictions = np.array([[[3, 4], [5, 12]], [[0, 8], [70, 70]], [[9, 9], [9, 9]]], float)
    visible = np.array([[1, 2], [1, 0], [1, 1]])
    value = nme(predictions, np.zeros((3, 2, 2)), visible, np.array([10, 20, 0]))
    assert value == pytest.approx((0.5 + 1.3 + 0.4) / 3, abs=1e-15)
    assert nme(predictions, np.zeros((3, 2, 2)), visible, np.zeros(3)) == -1
    assert nme(predictions[:0], np.zeros((0, 2, 2)), visible[:0], np.zeros(0)) == -1


def test_nme_equals_the_slow_loop():
    rng = np.random.default_rng(2)
    predictions, targets = rng.uniform(0, 40, (2, 20, 7, 2))
    visible, norm = rng.integers(0, 2, (20, 7)), rng.choice([0, 10, 25.5], 20)
    found = [
        np.hypot(*(predictions[n, k] - targets[n, k])) / norm[n]
        for n in range(20)
        for k in range(7)
        if visible[n, k] and norm[n] > 0
    ]
    assert nme(predictions, targets, visible, norm) == pytest.approx(np.mean(found), abs=1e-12)
