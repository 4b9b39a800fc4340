"""Samplers: complete and even passes that are a function of (seed, pass, slot)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semipose.data.samplers import PassSampler, ReplacementSampler


def batches(sampler, number: int = 0, start: int = 0) -> list[list[int]]:
    sampler.set_pass(number, start)
    return list(sampler)


def rows(*passes: list[list[int]]) -> list[int]:
    return [row for one in passes for batch in one for row in batch]


lengths, sizes, seeds, passes = st.integers(1, 40), st.integers(1, 17), st.integers(0, 2**32 - 1), st.integers(0, 50)


@given(length=lengths, size=sizes, seed=seeds, number=passes)
def test_a_whole_pass_has_every_row_once(length, size, seed, number):
    sampler = PassSampler(length, size, 0, seed)
    found = batches(sampler, number)
    assert sorted(rows(found)) == list(range(length))
    assert len(found) == len(sampler) == -(-length // size)
    assert all(len(batch) == size for batch in found[:-1]) and 1 <= len(found[-1]) <= size


@given(length=lengths, size=sizes, steps=st.integers(1, 9), seed=seeds)
def test_passes_of_some_steps_use_the_rows_evenly(length, size, steps, seed):
    """Pass follows pass in one row of shuffles: after any number of batches, counts differ by at most 1."""
    sampler = PassSampler(length, size, steps, seed)
    stream = []
    for number in range(6):
        found = batches(sampler, number)
        assert len(found) == len(sampler) == steps and all(len(batch) == size for batch in found)
        stream += rows(found)
        counts = np.bincount(stream, minlength=length)
        assert counts.max() - counts.min() <= 1
    for begin in range(0, len(stream) - length + 1, length):
        assert sorted(stream[begin : begin + length]) == list(range(length))


@pytest.mark.parametrize("kind", [PassSampler, ReplacementSampler])
@given(length=lengths, size=sizes, steps=st.integers(1, 9), seed=seeds, number=passes, start=st.integers(0, 10))
def test_a_later_start_gives_the_rest_of_the_pass(kind, length, size, steps, seed, number, start):
    whole = batches(kind(length, size, steps, seed), number)
    assert batches(kind(length, size, steps, seed), number, start) == whole[start:]


@given(length=lengths, size=sizes, seed=seeds, number=passes, start=st.integers(0, 41))
def test_a_later_start_in_a_whole_pass(length, size, seed, number, start):
    whole = batches(PassSampler(length, size, 0, seed), number)
    assert batches(PassSampler(length, size, 0, seed), number, start) == whole[start:]


@pytest.mark.parametrize(
    "sampler", [PassSampler(50, 8, 5, 3), PassSampler(50, 8, 0, 3), ReplacementSampler(50, 8, 5, 3)]
)
def test_passes_depend_on_their_number_only(sampler):
    first = [batches(sampler, number) for number in range(4)]
    again = [batches(sampler, number) for number in (3, 1, 0, 2)]
    assert again == [first[3], first[1], first[0], first[2]]
    assert len({str(one) for one in first}) == 4
    np.random.seed(99)
    assert list(sampler) == list(sampler) == first[2]  # neither state nor the global generator


@pytest.mark.parametrize(
    "make",
    [lambda s: PassSampler(50, 8, 5, s), lambda s: PassSampler(50, 8, 0, s), lambda s: ReplacementSampler(50, 8, 5, s)],
)
def test_seeds_differ(make):
    assert len({str(batches(make(seed))) for seed in range(20)}) == 20


def test_a_shuffle_is_fair():
    """The first row of a pass is any row with the same chance: 600 passes, 10 rows."""
    counts = np.bincount([batches(PassSampler(10, 4, 0, 7), number)[0][0] for number in range(600)], minlength=10)
    assert ((counts - 60) ** 2 / 60).sum() < 27.9  # chi-square, 9 degrees of freedom, p = 0.001


def test_drawing_with_replacement_is_uniform_and_repeats_rows():
    sampler = ReplacementSampler(20, 50, 100, 1)
    counts = np.bincount(rows(batches(sampler)), minlength=20)
    assert counts.sum() == 5000 and len(counts) == 20
    assert ((counts - 250) ** 2 / 250).sum() < 43.8  # chi-square, 19 degrees of freedom, p = 0.001
    assert any(len(set(batch)) < len(batch) for batch in batches(ReplacementSampler(20, 10, 10, 1)))


def test_neighbouring_batches_are_independent():
    one, two = batches(ReplacementSampler(100, 500, 2, 1))
    assert abs(np.corrcoef(one, two)[0, 1]) < 0.15


@given(length=lengths, size=sizes, steps=st.integers(0, 9), seed=seeds)
def test_rows_are_plain_numbers_in_range(length, size, steps, seed):
    found = batches(ReplacementSampler(length, size, steps, seed))
    assert len(found) == steps and all(len(batch) == size for batch in found)
    assert all(type(row) is int and 0 <= row < length for row in rows(found))
    assert all(type(row) is int for row in rows(batches(PassSampler(length, size, steps, seed))))
