"""SourceMix: rows of a source in a pass and in a batch, and which rows those are."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semipose.data.source_mix import SourceMix, draw_pass, draw_replaced, largest_remainder
from semipose.errors import ConfigError, DataError

counts = st.integers(1, 60)
ratios = st.sampled_from([0.1, 0.25, 0.5, 0.99, 1.0, 1.5, 2.0, 3.7])


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize(
    ("shares", "size", "expected"),
    [
        ((1, 0.5), 256, [171, 85]),
        ((1, 2), 10, [3, 7]),
        ((1, 1), 3, [2, 1]),  # equal remainders: the first
        ((1, 1, 1), 8, [3, 3, 2]),
        ((0.1, 0.2, 0.7), 10, [1, 2, 7]),
        ((5,), 7, [7]),
    ],
)
def test_worked_examples_of_shares(shares, size, expected):
    assert largest_remainder(shares, size) == expected
    groups = SourceMix((3,) * len(shares), None, shares).groups(size)
    assert groups == [(range(number, number + 1), count) for number, count in enumerate(expected)]


@given(shares=st.lists(st.integers(1, 9), min_size=1, max_size=6), size=st.integers(1, 300))
def test_shares_are_rounded_by_the_largest_remainder(shares, size):
    found = largest_remainder(tuple(shares), size)
    quotas = [Fraction(size * share, sum(shares)) for share in shares]
    assert sum(found) == size and all(abs(count - quota) < 1 for count, quota in zip(found, quotas))
    up = [quota % 1 for count, quota in zip(found, quotas) if count > quota]
    down = [quota % 1 for count, quota in zip(found, quotas) if count <= quota and quota % 1]
    assert not up or not down or min(up) >= max(down)


def test_without_shares_all_sources_are_shuffled_together():
    assert SourceMix((3, 5), (2, 1)).groups(4) == [(range(0, 2), 4)]


@pytest.mark.parametrize(("length", "ratio", "slots"), [(5, 0.5, 2), (7, 0.5, 4), (4, 1, 4), (5, 2.5, 12), (9, 0.3, 3)])
def test_a_source_counts_as_rounded_half_to_even(length, ratio, slots):
    assert SourceMix((length, 3), (ratio, 1)).slots == (slots, 3)


@given(length=counts, ratio=ratios, before=counts, seed=st.integers(0, 99))
def test_a_pass_takes_each_row_floor_or_ceil_times(length, ratio, before, seed):
    slots = round(length * ratio)
    if not slots:
        return
    rows = draw_pass(SourceMix((before, length), (1, ratio)), 1, generator(seed))
    found = np.bincount(rows - before, minlength=length)
    assert len(rows) == slots and len(found) == length
    assert set(found) <= {slots // length, -(-slots // length)}


@pytest.mark.parametrize(("length", "ratio"), [(24, 0.25), (25, 0.28), (9, 0.5)])
def test_slots_draw_from_strata(length, ratio):
    """On the circle of rows, the rows of neighbouring slots are less than two strata apart."""
    width = -(-length // round(length * ratio))
    for seed in range(20):
        rows = draw_pass(SourceMix((length,), (ratio,)), 0, generator(seed))
        steps = (np.roll(rows, -1) - rows) % length
        assert steps.sum() == length and steps.min() >= 1 and steps.max() < 2 * width


@pytest.mark.parametrize("ratio", [0.3, 0.5, 1.7])
def test_each_row_has_the_same_chance(ratio):
    """7 rows in strata of unequal length."""
    mix = SourceMix((2, 7), (1, ratio))
    draw = generator()
    found = np.bincount(np.concatenate([draw_pass(mix, 1, draw) for _ in range(3000)]) - 2, minlength=7)
    expected = 3000 * mix.slots[1] / 7
    assert ((found - expected) ** 2 / expected).sum() < 22.5  # chi-square, 6 degrees of freedom, p = 0.001


def test_a_ratio_of_one_is_no_draw():
    assert draw_pass(SourceMix((3, 4), (0.5, 1)), 1, generator()).tolist() == [3, 4, 5, 6]
    plain, ones = (draw_replaced(SourceMix((3, 4), r), range(0, 2), (50, 3), generator()) for r in (None, (1, 1.0)))
    assert np.array_equal(plain, ones) and np.array_equal(plain, generator().integers(7, size=(50, 3)))


@pytest.mark.parametrize(("sources", "weights"), [(range(0, 3), [4 * [2 / 4], 6 * [1], 5 * [7 / 5]]), (range(1, 2), 0)])
def test_drawing_with_replacement_follows_the_ratios(sources, weights):
    mix = SourceMix((4, 6, 5), (0.5, 1, 1.4))
    rows = draw_replaced(mix, sources, (400, 25), generator(1))
    found = np.bincount(rows.ravel(), minlength=15)
    weights = np.concatenate(weights) if weights else np.repeat([0, 1, 0], mix.lengths)
    expected = 10_000 * weights / weights.sum()
    assert rows.shape == (400, 25) and not found[expected == 0].any()
    used = expected > 0
    assert ((found - expected)[used] ** 2 / expected[used]).sum() < 36.1  # 14 degrees of freedom, p = 0.001


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        (((),), DataError, ["at least one source"]),
        (((3, 0),), DataError, ["source 2", "0 persons"]),
        (((3, 4), (1,)), ConfigError, ["sample_ratio_factor", "1 numbers for 2 sources"]),
        (((3, 4), None, (1, 2, 3)), ConfigError, ["source_ratio", "3 numbers for 2 sources"]),
        (((3, 4), (1, 0)), ConfigError, ["sample_ratio_factor", "source 2", "0", "above 0"]),
        (((3, 4), (-1, 1)), ConfigError, ["sample_ratio_factor", "source 1", "-1"]),
        (((3, 4), (1, float("nan"))), ConfigError, ["sample_ratio_factor", "source 2", "nan"]),
        (((3, 4), (1, 1e9)), ConfigError, ["sample_ratio_factor", "source 2", "up to 1000"]),
        (((3, 4), (0.1, 1), None, ("aic", "coco")), ConfigError, ["'aic'", "0.1", "none of its 3 persons"]),
        (((3, 4), None, (1, 0.0), ("aic", "coco")), ConfigError, ["source_ratio", "'coco'", "0.0", "above 0"]),
        (((3, 4), None, (float("inf"), 1)), ConfigError, ["source_ratio", "source 1", "inf"]),
        (((3, 4), None, (1.7e308, 1.7e308)), ConfigError, ["source_ratio", "too large"]),
    ],
)
def test_wrong_values_are_refused(arguments, kind, words):
    with pytest.raises(kind) as error:
        SourceMix(*arguments)
    assert "\n" not in str(error.value) and all(word in str(error.value) for word in words)


def test_a_share_of_no_row_is_refused():
    mix = SourceMix((50, 60), None, (1, 0.05), ("coco", "aic"))
    assert [count for _, count in mix.groups(11)] == [10, 1]
    with pytest.raises(ConfigError, match="source_ratio.*'aic'.*0.05.*1.05.*10"):
        mix.groups(10)
