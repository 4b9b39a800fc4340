"""Samplers: complete and even passes that are a function of (seed, pass, slot)."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semipose.data.samplers import PassSampler, ReplacementSampler
from semipose.data.source_mix import SourceMix, draw_pass
from semipose.errors import ConfigError


def one(length: int) -> SourceMix:
    return SourceMix((length,))


def batches(sampler, number: int = 0, start: int = 0) -> list[list[int]]:
    sampler.set_pass(number, start)
    return list(sampler)


def rows(*passes: list[list[int]]) -> list[int]:
    return [row for found in passes for batch in found for row in batch]


lengths, sizes, seeds, passes = st.integers(1, 40), st.integers(1, 17), st.integers(0, 2**32 - 1), st.integers(0, 50)


@given(length=lengths, size=sizes, seed=seeds, number=passes)
def test_a_whole_pass_has_every_row_once(length, size, seed, number):
    sampler = PassSampler(one(length), size, 0, seed)
    found = batches(sampler, number)
    assert sorted(rows(found)) == list(range(length))
    assert len(found) == len(sampler) == -(-length // size)
    assert all(len(batch) == size for batch in found[:-1]) and 1 <= len(found[-1]) <= size


@given(length=lengths, size=sizes, steps=st.integers(1, 9), seed=seeds)
def test_passes_of_some_steps_use_the_rows_evenly(length, size, steps, seed):
    """Pass follows pass in one row of shuffles: after any number of batches, counts differ by at most 1."""
    sampler = PassSampler(one(length), size, steps, seed)
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
    whole = batches(kind(one(length), size, steps, seed), number)
    assert batches(kind(one(length), size, steps, seed), number, start) == whole[start:]


@given(length=lengths, size=sizes, seed=seeds, number=passes, start=st.integers(0, 41))
def test_a_later_start_in_a_whole_pass(length, size, seed, number, start):
    whole = batches(PassSampler(one(length), size, 0, seed), number)
    assert batches(PassSampler(one(length), size, 0, seed), number, start) == whole[start:]


@pytest.mark.parametrize(
    "sampler", [PassSampler(one(50), 8, 5, 3), PassSampler(one(50), 8, 0, 3), ReplacementSampler(one(50), 8, 5, 3)]
)
def test_passes_depend_on_their_number_only(sampler):
    first = [batches(sampler, number) for number in range(4)]
    again = [batches(sampler, number) for number in (3, 1, 0, 2)]
    assert again == [first[3], first[1], first[0], first[2]]
    assert len({str(found) for found in first}) == 4
    np.random.seed(99)
    assert list(sampler) == list(sampler) == first[2]  # neither state nor the global generator


@pytest.mark.parametrize(
    "make",
    [
        lambda s: PassSampler(one(50), 8, 5, s),
        lambda s: PassSampler(one(50), 8, 0, s),
        lambda s: ReplacementSampler(one(50), 8, 5, s),
    ],
)
def test_seeds_differ(make):
    assert len({str(batches(make(seed))) for seed in range(20)}) == 20


def test_a_shuffle_is_fair():
    """The first row of a pass is any row with the same chance: 600 passes, 10 rows."""
    counts = np.bincount([batches(PassSampler(one(10), 4, 0, 7), number)[0][0] for number in range(600)], minlength=10)
    assert ((counts - 60) ** 2 / 60).sum() < 27.9  # chi-square, 9 degrees of freedom, p = 0.001


def test_drawing_with_replacement_is_uniform_and_repeats_rows():
    sampler = ReplacementSampler(one(20), 50, 100, 1)
    counts = np.bincount(rows(batches(sampler)), minlength=20)
    assert counts.sum() == 5000 and len(counts) == 20
    assert ((counts - 250) ** 2 / 250).sum() < 43.8  # chi-square, 19 degrees of freedom, p = 0.001
    assert any(len(set(batch)) < len(batch) for batch in batches(ReplacementSampler(one(20), 10, 10, 1)))


def test_neighbouring_batches_are_independent():
    first, second = batches(ReplacementSampler(one(100), 500, 2, 1))
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.15


@given(length=lengths, size=sizes, steps=st.integers(0, 9), seed=seeds)
def test_rows_are_plain_numbers_in_range(length, size, steps, seed):
    found = batches(ReplacementSampler(one(length), size, steps, seed))
    assert len(found) == steps and all(len(batch) == size for batch in found)
    assert all(type(row) is int and 0 <= row < length for row in rows(found))
    assert all(type(row) is int for row in rows(batches(PassSampler(one(length), size, steps, seed))))


@pytest.mark.parametrize(
    ("sampler", "expected"),
    [
        (PassSampler(one(11), 4, 0, 7), [[3, 5, 4, 7], [8, 0, 10, 2], [1, 9, 6]]),
        (PassSampler(one(5), 4, 3, 7), [[0, 3, 2, 4], [2, 4, 0, 1], [3, 3, 1, 4]]),
        (ReplacementSampler(one(11), 4, 3, 7), [[8, 10, 5, 9], [3, 2, 1, 8], [0, 4, 0, 8]]),
    ],
)
def test_the_numbers_of_one_source_never_change(sampler, expected):
    """Recorded before sources could be mixed: runs that began then go on with the same rows."""
    assert batches(sampler, 3) == expected


factors, parts = st.sampled_from([0.4, 0.5, 1.0, 1.6, 3.0]), st.sampled_from([0.5, 1.0, 2.0])
kinds = pytest.mark.parametrize("kind", [PassSampler, ReplacementSampler])


@st.composite
def mixes(draw, shared: bool | None = None) -> SourceMix:
    """One to four sources that have at least a row in a batch of 16."""
    number = draw(st.integers(1, 4))
    some = st.lists(parts, min_size=number, max_size=number).map(tuple)
    shared = draw(st.booleans()) if shared is None else shared
    return SourceMix(
        draw(st.lists(st.integers(2, 30), min_size=number, max_size=number).map(tuple)),
        draw(st.none() | st.lists(factors, min_size=number, max_size=number).map(tuple)),
        draw(some) if shared else None,
    )


def per_source(mix: SourceMix, found: list[int]) -> list[int]:
    """How many rows of each source there are."""
    edges = np.cumsum([0, *mix.lengths])
    assert all(0 <= row < edges[-1] for row in found)
    return np.histogram(found, edges)[0].tolist() if found else [0] * len(mix.lengths)


def uses(mix: SourceMix, found: list[int]) -> list[np.ndarray]:
    """How often each row is used, by source."""
    return np.split(np.bincount(found, minlength=sum(mix.lengths)), np.cumsum(mix.lengths)[:-1])


@settings(max_examples=40)
@given(mix=mixes(shared=False), size=sizes, seed=seeds, number=passes)
def test_a_mixed_pass_has_every_slot_once(mix, size, seed, number):
    """With a ratio of 1 that is every row once, and else each row equally often, give or take one."""
    sampler = PassSampler(mix, size, 0, seed)
    found = batches(sampler, number)
    assert len(found) == len(sampler) == -(-sum(mix.slots) // size)
    assert per_source(mix, rows(found)) == list(mix.slots)
    for used, length, slots in zip(uses(mix, rows(found)), mix.lengths, mix.slots):
        assert used.min() >= slots // length and used.max() <= -(-slots // length)


def test_rows_left_out_differ_between_passes_and_seeds():
    mix = SourceMix((40, 60), (1, 0.1))
    chosen = [
        tuple(sorted(row for row in rows(batches(PassSampler(mix, 8, 0, seed), number)) if row >= 40))
        for seed in range(4)
        for number in range(4)
    ]
    assert all(len(found) == 6 for found in chosen) and len(set(chosen)) == 16
    assert draw_pass(mix, 0, np.random.default_rng(0)).tolist() == list(range(40))


@pytest.mark.parametrize("steps", [0, 3])
@kinds
@settings(max_examples=40)
@given(mix=mixes(shared=True), seed=seeds, number=passes)
def test_every_batch_keeps_the_shares(kind, steps, mix, seed, number):
    expected = [count for _, count in mix.groups(16)]
    for batch in batches(kind(mix, 16, steps, seed), number):
        assert per_source(mix, batch) == expected


@settings(max_examples=40)
@given(mix=mixes(shared=True), steps=st.integers(0, 5), seed=seeds)
def test_with_shares_the_rows_of_a_source_are_used_evenly(mix, steps, seed):
    """Over passes, each source goes through shuffles of its own."""
    sampler, stream = PassSampler(mix, 16, steps, seed), []
    assert len(sampler) == (steps or -(-sum(mix.slots) // 16))
    for number in range(4):
        stream += rows(batches(sampler, number))
        for used, ratio in zip(uses(mix, stream), mix.ratios or [1] * len(mix.lengths)):
            if ratio == 1:
                assert used.max() - used.min() <= 1


@kinds
@given(
    mix=mixes(), steps=st.integers(0, 6), ranks=st.integers(1, 4), seed=seeds, number=passes, start=st.integers(0, 9)
)
def test_a_later_start_in_a_mixed_pass(kind, mix, steps, ranks, seed, number, start):
    rank = seed % ranks
    whole = batches(kind(mix, 16, steps, seed, rank, ranks), number)
    assert batches(kind(mix, 16, steps, seed, rank, ranks), number, start) == whole[start:]


@pytest.mark.parametrize(("shares", "steps"), [(None, 0), (None, 4), ((1, 2), 0), ((1, 2), 4)])
@pytest.mark.parametrize("ratios", [None, (0.5, 1.3)])
@kinds
def test_mixed_passes_depend_on_seed_and_number_only(kind, ratios, shares, steps):
    mix = SourceMix((30, 41), ratios, shares)
    steps = steps or (4 if kind is ReplacementSampler else 0)
    first = [batches(kind(mix, 9, steps, 5), number) for number in range(4)]
    sampler = kind(mix, 9, steps, 5)
    assert [batches(sampler, number) for number in (3, 1, 0, 2)] == [first[3], first[1], first[0], first[2]]
    assert len({str(found) for found in first}) == 4
    assert batches(kind(mix, 9, steps, 6), 0) != first[0]


def test_sources_of_one_length_are_shuffled_differently():
    found = batches(PassSampler(SourceMix((20, 20), None, (1, 1)), 40, 0, 3))[0]
    assert sorted(found[:20]) == list(range(20)) and [row - 20 for row in found[20:]] != found[:20]


@kinds
@settings(max_examples=40)
@given(
    mix=mixes(), size=st.integers(10, 14), steps=st.integers(0, 5), ranks=st.integers(1, 5), seed=seeds, number=passes
)
def test_ranks_together_are_one_process_with_the_joined_batch(kind, mix, size, steps, ranks, seed, number):
    """Complete, disjoint, reproducible; each rank has a batch at every step, with nearly the same rows and shares."""
    alone = batches(kind(mix, size * ranks, steps, seed), number)
    dealt = [batches(kind(mix, size, steps, seed, rank, ranks), number) for rank in range(ranks)]
    assert all(len(found) == len(alone) for found in dealt)
    for whole, parts_of_it in zip(alone, zip(*dealt)):
        lengths = [len(part) for part in parts_of_it]
        assert min(lengths) >= 1 and max(lengths) - min(lengths) <= 1 and max(lengths) <= size
        if len(whole) >= ranks:
            assert sorted(rows(list(parts_of_it))) == sorted(whole)
        else:
            assert set(rows(list(parts_of_it))) == set(whole) and lengths == [1] * ranks
        if mix.shares is not None:
            table = np.array([per_source(mix, part) for part in parts_of_it])
            assert (table.max(axis=0) - table.min(axis=0)).max() <= 1


@pytest.mark.parametrize(("length", "last"), [(24, [4, 4, 4]), (19, [3, 2, 2]), (15, [1, 1, 1]), (14, [1, 1, 1])])
def test_the_last_batch_is_divided_and_no_rank_gets_none(length, last):
    dealt = [batches(PassSampler(one(length), 4, 0, 1, rank, 3)) for rank in range(3)]
    assert [[len(batch) for batch in found] for found in dealt] == [[4, size] for size in last]
    repeated = max(0, 12 + 3 - length)
    assert sorted(set(rows(*dealt))) == list(range(length)) and len(rows(*dealt)) == length + repeated


@pytest.mark.parametrize(("rank", "ranks"), [(3, 3), (-1, 2), (0, 0)])
@kinds
def test_a_wrong_rank_is_refused(kind, rank, ranks):
    with pytest.raises(ConfigError, match=f"rank is {rank}; with {ranks} ranks"):
        kind(one(9), 2, 0, 0, rank, ranks)
