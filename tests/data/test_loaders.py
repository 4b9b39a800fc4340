"""Loaders: pairs of batches that do not depend on the number of workers, and no label on the unlabelled side."""

from pathlib import Path

import numpy as np
import pytest
import torch

from semipose.data.context_crops import ContextCrops
from semipose.data.crop_cache import make_crop_source
from semipose.data.loaders import PairLoader, Side, Workers, evaluation_loader
from semipose.data.person_dataset import PersonDataset
from semipose.data.source_mix import SourceMix
from semipose.errors import DataError
from semipose.runtime.signals import worker_init
from semipose.structures import PairBatch, Persons, PoseBatch

FIELDS = ("images", "keypoints", "weights", "to_image", "index")


def make_dataset(persons, on_fault="replace", cache="none", folder=None) -> PersonDataset:
    source = make_crop_source(ContextCrops(persons, (16, 20), 1.25, 1.25), cache, folder)
    return PersonDataset(source, [1.0] * 3, on_fault)


def pairs_of(labeled, unlabeled, sizes, steps=0, seed=0, workers: Workers | int = 0, mixes=(None, None)) -> PairLoader:
    """A loader of both sides, or of one if `unlabeled` is None; `workers` may be their number."""
    if isinstance(workers, int):
        workers = Workers(workers, worker_init if workers else None)
    pool = None if unlabeled is None else Side(unlabeled, sizes[1], mixes[1])
    return PairLoader(Side(labeled, sizes[0], mixes[0]), pool, steps, seed, workers)


@pytest.fixture
def labeled(people) -> PersonDataset:
    return make_dataset(people.take(slice(0, 3)))


@pytest.fixture
def unlabeled(people) -> PersonDataset:
    return make_dataset(people)


def same(a: PoseBatch | None, b: PoseBatch | None) -> bool:
    if a is None or b is None:
        return a is b
    return all(torch.equal(getattr(a, name), getattr(b, name)) for name in FIELDS) and a.faults == b.faults


def same_pairs(first: list[PairBatch], second: list[PairBatch]) -> bool:
    pairs = zip(first, second, strict=True)
    return all(same(a.labeled, b.labeled) and same(a.unlabeled, b.unlabeled) for a, b in pairs)


def test_an_epoch_is_one_pass_over_the_unlabelled_set(labeled, unlabeled):
    loader = pairs_of(labeled, unlabeled, (2, 4), 0, seed=0)
    for number in range(3):
        pairs = list(loader.batches(number))
        assert len(pairs) == len(loader) == 3
        assert [len(pair.labeled) for pair in pairs] == [2, 2, 2]
        assert [len(pair.unlabeled) for pair in pairs] == [4, 4, 1]
        assert sorted(torch.cat([pair.unlabeled.index for pair in pairs]).tolist()) == list(range(9))


def test_without_unlabelled_set_an_epoch_is_one_pass_over_the_labelled_one(unlabeled):
    loader = pairs_of(unlabeled, None, (4, 99), 0, seed=0)
    pairs = list(loader.batches(0))
    assert len(pairs) == len(loader) == 3 and all(pair.unlabeled is None for pair in pairs)
    assert sorted(torch.cat([pair.labeled.index for pair in pairs]).tolist()) == list(range(9))


@pytest.mark.parametrize("pool", [True, False])
def test_a_number_of_steps(labeled, unlabeled, pool):
    loader = pairs_of(labeled, unlabeled if pool else None, (2, 4), 7, seed=0)
    pairs = list(loader.batches(0))
    assert len(pairs) == len(loader) == 7 and all(len(pair.labeled) == 2 for pair in pairs)
    assert not pool or all(len(pair.unlabeled) == 4 for pair in pairs)


def test_labels_are_on_the_labelled_side_only(labeled, unlabeled):
    for pair in pairs_of(labeled, unlabeled, (2, 4), 0, seed=0).batches(0):
        assert pair.labeled.keypoints.any() and pair.labeled.weights.any()
        assert not pair.unlabeled.keypoints.any() and not pair.unlabeled.weights.any()
        assert pair.unlabeled.keypoints.shape == (len(pair.unlabeled), 3, 2)
        assert pair.unlabeled.images.any() and pair.unlabeled.to_image.any()
    assert unlabeled.__getitems__([0]).keypoints.any()  # there was something to hide


@pytest.mark.parametrize("change", ["keypoints", "visible"])
def test_unlabelled_batches_do_not_depend_on_their_labels(people, labeled, unlabeled, change):
    other = people.take(slice(None))
    changed = np.array(other.keypoints)
    changed[..., : 2 if change == "keypoints" else 3] += 1
    people.keypoints[:] = changed
    first = pairs_of(labeled, unlabeled, (2, 4), 0, seed=0).batches(0)
    second = pairs_of(labeled, make_dataset(people), (2, 4), 0, seed=0).batches(0)
    assert all(same(a.unlabeled, b.unlabeled) for a, b in zip(first, second, strict=True))


@pytest.mark.parametrize("cache", ["none", "ram", "disk"])
@pytest.mark.parametrize("pool", [True, False])
def test_workers_change_nothing(people, tmp_path, cache, pool):
    Path(people.path(1)).write_bytes(b"no image")  # persons 1, 3 and 7 are replaced, the same way everywhere

    def pairs(workers: int) -> list[PairBatch]:
        datasets = [make_dataset(people, cache=cache, folder=tmp_path / f"{workers}") for _ in range(2)]
        loader = pairs_of(datasets[0], datasets[1] if pool else None, (2, 4), 5, 3, workers)
        return [pair for number in (0, 1) for pair in loader.batches(number)]

    alone = pairs(0)
    assert same_pairs(pairs(2), alone)
    assert any(pair.labeled.faults for pair in alone)


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("steps", [0, 5])
def test_a_later_start_gives_the_rest_of_the_pass(labeled, unlabeled, workers, steps):
    loader = pairs_of(labeled, unlabeled, (2, 2), steps, 3, workers)
    whole = list(loader.batches(4))
    for start in (1, len(loader) - 1, len(loader)):
        assert same_pairs(list(loader.batches(4, start)), whole[start:])
    assert same_pairs(list(loader.batches(4)), whole)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_pass_that_was_broken_off_does_not_leak_into_the_next(labeled, unlabeled, workers):
    loader = pairs_of(labeled, unlabeled, (2, 2), 6, 3, workers)
    expected = list(loader.batches(1))
    broken_off = loader.batches(0)
    next(broken_off), next(broken_off)
    broken_off.close()
    assert same_pairs(list(loader.batches(1)), expected)


@pytest.mark.parametrize("start", [0, 1, 4])
def test_skipped_batches_are_not_decoded(labeled, unlabeled, count_reads, start):
    loader = pairs_of(labeled, unlabeled, (3, 2), 0, seed=0)
    assert len(list(loader.batches(0, start))) == 5 - start
    assert len(count_reads) == 3 * (5 - start) + (9 - 2 * start)


def two_sets(people: Persons, copies: int) -> PersonDataset:
    """The nine people, and `copies` times as many from a second source."""
    return make_dataset(Persons.concatenate([people] * (1 + copies)))


def three_ranks(
    people: Persons, workers: int, number: int, start: int = 0, mixes=(None, None)
) -> list[list[PairBatch]]:
    """The batches of each rank: labelled 9 + 18 persons, unlabelled 9 + 27."""
    found = []
    for rank in range(3):
        sides = two_sets(people, 2), two_sets(people, 3)
        loader = pairs_of(*sides, (2, 3), 0, 5, Workers(workers, worker_init, rank=rank, ranks=3), mixes)
        found.append(list(loader.batches(number, start)))
    return found


def joined(ranks: list[list[PairBatch]], side: str) -> list[list[int]]:
    """Rows of each batch, over all ranks, sorted."""
    return [sorted(torch.cat([getattr(pair, side).index for pair in step]).tolist()) for step in zip(*ranks)]


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_two_sets_three_ranks_four_workers(people):
    """Complete, disjoint, reproducible, resumable; together what one process with the joined batch sees."""
    mixes = SourceMix((9, 18), (2, 0.5)), SourceMix((9, 27))
    ranks = three_ranks(people, 4, 2, mixes=mixes)
    assert sorted(row for step in joined(ranks, "unlabeled") for row in step) == list(range(36))
    again = three_ranks(people, 0, 2, mixes=mixes)
    assert all(same_pairs(first, second) for first, second in zip(ranks, again, strict=True))
    rest = three_ranks(people, 0, 2, start=2, mixes=mixes)
    assert all(same_pairs(found, whole[2:]) for found, whole in zip(rest, ranks, strict=True))
    alone = list(pairs_of(two_sets(people, 2), two_sets(people, 3), (6, 9), 0, 5, mixes=mixes).batches(2))
    for side in ("labeled", "unlabeled"):
        assert joined(ranks, side) == joined([alone], side)
    assert joined(three_ranks(people, 0, 3, mixes=mixes), "unlabeled") != joined(ranks, "unlabeled")


def test_ranks_evaluate_every_person_once_in_as_many_batches(people):
    rows = [
        [batch.index.tolist() for batch in evaluation_loader(make_dataset(people), 2, Workers(rank=r, ranks=3))]
        for r in range(3)
    ]
    assert rows == [[[0, 1], [6, 7]], [[2, 3], [8]], [[4, 5], []]]


def test_shares_hold_on_both_sides_and_every_rank(people):
    mixes = SourceMix((9, 18), None, (1, 1)), SourceMix((9, 27), (1, 2), (2, 1))
    ranks = three_ranks(people, 0, 1, mixes=mixes)
    assert [len(found) for found in ranks] == [7, 7, 7]  # (9 + 54) / 9
    for pair in (pair for found in ranks for pair in found):
        assert (pair.labeled.index < 9).sum() == 1 and (pair.unlabeled.index < 9).sum() == 2
        assert len(pair.labeled) == 2 and len(pair.unlabeled) == 3


def test_a_supervised_run_can_be_mixed(people):
    loader = pairs_of(two_sets(people, 1), None, (4, 0), 0, 0, mixes=(SourceMix((9, 9), (1, 1 / 3)), None))
    index = torch.cat([pair.labeled.index for pair in loader.batches(0)])
    assert sorted(index.tolist())[:9] == list(range(9)) and len(index) == 12 == len(set(index.tolist()))


def test_a_mix_of_another_length_is_refused(labeled):
    with pytest.raises(DataError, match=r"\[3, 4\]"):
        Side(labeled, 2, SourceMix((3, 4)))


def test_seeds_and_passes_differ(labeled, unlabeled):
    def order(seed: int, number: int) -> str:
        pairs = list(pairs_of(labeled, unlabeled, (2, 4), 4, seed).batches(number))
        return str([pair.labeled.index.tolist() for pair in pairs]), str([p.unlabeled.index.tolist() for p in pairs])

    orders = [order(seed, number) for seed in (0, 1, 2) for number in (0, 1)]
    assert len({a for a, _ in orders}) == 6 and len({b for _, b in orders}) == 6


def test_loading_does_not_touch_the_global_generators(labeled, unlabeled):
    """Views and networks draw from them; a run must not depend on how its data are loaded."""

    def drawn(workers: int) -> tuple[float, float]:
        torch.manual_seed(0), np.random.seed(0)
        list(pairs_of(labeled, unlabeled, (2, 4), 3, 0, workers).batches(0))
        return torch.rand(()).item(), np.random.rand()

    assert drawn(0) == drawn(2)


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("side", ["labeled", "unlabeled"])
def test_no_readable_image_at_all_is_one_line(people, labeled, make_persons, tmp_path, workers, side):
    nothing = make_dataset(make_persons([(tmp_path / f"none{i}.png", (1, 1, 20, 20)) for i in range(3)]))
    sides = (nothing, labeled) if side == "labeled" else (labeled, nothing)
    message = ""
    try:  # pytest.raises would keep the loader alive, and its workers then end only after a timeout
        list(pairs_of(*sides, (2, 2), 2, 0, workers).batches(0))
    except DataError as error:
        message = str(error)
    assert len(message.splitlines()) == 1 and "none" in message and "No such file" in message


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("size", [1, 4, 9, 100])
def test_evaluation_takes_each_person_once_in_order(people, workers, size):
    dataset = make_dataset(people, "omit")
    loader = evaluation_loader(dataset, size, Workers(workers, worker_init))
    expected = dataset.__getitems__(list(range(9)))
    for _ in range(2):
        batches = list(loader)
        assert len(batches) == len(loader) == -(-9 // size)
        assert torch.cat([batch.index for batch in batches]).tolist() == list(range(9))
        assert torch.equal(torch.cat([batch.images for batch in batches]), expected.images)
        assert torch.equal(torch.cat([batch.keypoints for batch in batches]), expected.keypoints)


@pytest.mark.parametrize("workers", [0, 2])
def test_evaluation_leaves_out_broken_images(people, workers):
    Path(people.path(1)).write_bytes(b"")
    batches = list(evaluation_loader(make_dataset(people, "omit"), 2, Workers(workers, worker_init)))
    assert torch.cat([batch.index for batch in batches]).tolist() == [0, 2, 4, 5, 6, 8]
    assert [len(batch.faults) for batch in batches] == [1, 1, 0, 1, 0]
