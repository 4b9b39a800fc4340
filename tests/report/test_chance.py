"""Intervals of differences, against what statistics say they are."""

import numpy as np
import pytest

from semipose.report.chance import difference_interval

DRAW = np.random.default_rng(0)


def test_the_interval_is_as_wide_as_the_standard_error_says():
    first, second = DRAW.normal(3, 1, (400, 1)), DRAW.normal(2, 1, (400, 1))
    difference, low, high = difference_interval(first, second, np.arange(400))
    assert difference == pytest.approx((first - second).mean())
    error = (first - second).std() / np.sqrt(400)
    assert (high - low) == pytest.approx(2 * 1.96 * error, rel=0.1)
    assert low < difference < high


def test_what_is_hard_for_both_does_not_count():
    hard = DRAW.normal(0, 100, (300, 4))
    difference, low, high = difference_interval(hard + 1, hard, np.arange(300))
    assert (difference, low, high) == pytest.approx((1, 1, 1))


def test_persons_of_one_picture_are_drawn_together():
    values = DRAW.normal(0, 1, (50, 2))
    alone = difference_interval(values, np.zeros_like(values), np.arange(50))
    tenfold = np.tile(values, (10, 1))
    together = difference_interval(tenfold, np.zeros_like(tenfold), np.tile(np.arange(50), 10))
    apart = difference_interval(tenfold, np.zeros_like(tenfold), np.arange(500))
    assert together == pytest.approx(alone)
    assert apart[2] - apart[1] < 0.5 * (alone[2] - alone[1])


def test_keypoints_without_a_label_do_not_count():
    first = np.where(np.arange(40)[:, None] % 2 == [0, 1], 1.0, np.nan)
    assert difference_interval(first, 0 * first, np.arange(40)) == (1, 1, 1)


@pytest.mark.parametrize("values", [np.ones((9, 3)), np.full((20, 3), np.nan)])
def test_too_few_pictures_have_no_interval(values):
    assert difference_interval(values, 0 * values, np.arange(len(values))) is None
