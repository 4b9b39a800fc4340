"""Errors of keypoints and the order of persons, by hand."""

import numpy as np
import pytest

from semipose.report.errors import (
    CAP,
    distances,
    mean_of_found,
    person_errors,
    relative_errors,
    share_right,
    worst_first,
)

NAN, INF = np.nan, np.inf
# three persons with two keypoints at (0, 0) and (10, 0); the second keypoint of the last one has no label
LABELS = np.array([[[0, 0, 1], [10, 0, 1]], [[0, 0, 1], [10, 0, 1]], [[0, 0, 1], [10, 0, 0]]], float)
POINTS = np.array([[[3, 4], [10, 1]], [[0, 2], [NAN, NAN]], [[0, 30], [0, 0]]], float)


def test_distances():
    assert distances(POINTS, LABELS) == pytest.approx(np.array([[5, 1], [2, INF], [30, NAN]]), nan_ok=True)


def test_errors_are_relative_to_what_is_allowed_for_each_person():
    found = relative_errors(POINTS, LABELS, np.array([5, 4, 0]))
    assert found == pytest.approx(np.array([[1, 0.2], [0.5, INF], [NAN, NAN]]), nan_ok=True)


def test_each_keypoint_by_hand():
    relative = relative_errors(POINTS, LABELS, np.array([5, 4, 10]))
    # first keypoint: 1 (wrong: the limit itself), 0.5, 3; second: 0.2, not found, not labelled
    assert share_right(relative) == pytest.approx([1 / 3, 1 / 2])
    assert mean_of_found(distances(POINTS, LABELS)) == pytest.approx([37 / 3, 1])
    nothing = np.full((3, 2), NAN)
    assert np.isnan(share_right(nothing)).all() and np.isnan(mean_of_found(nothing)).all()


def test_the_worst_come_first_and_nobody_without_a_label():
    relative = np.array([[0.5, 0.5], [NAN, NAN], [INF, 0], [1, NAN], [0.9, 0.2]])
    assert person_errors(relative) == pytest.approx([0.5, NAN, CAP / 2, 1, 0.55], nan_ok=True)
    assert worst_first(relative).tolist() == [2, 3, 4, 0]
