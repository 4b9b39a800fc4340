"""Batches of windows: a function of the pass and the place in it, and without the labels of the pool."""

import pytest
import torch
from small_lift import small_config

from semipose import assemble
from semipose.lifting.loaders import EvaluationBatches, LiftLoader, LiftSide
from semipose.lifting.motion import WindowPlan, Windows


@pytest.fixture
def data(figures_root):
    config = small_config(figures_root)
    return assemble.find_task(config).build_data(config)


def make_loader(data, **values) -> LiftLoader:
    plan = WindowPlan(9)
    sides = LiftSide(Windows(data.labeled, plan), 8), LiftSide(Windows(data.unlabeled, plan), 16)
    return LiftLoader(*sides, steps=0, seed=3, **values)


def test_a_pass_is_every_window_of_the_pool_once(data):
    loader = make_loader(data)
    batches = list(loader.batches(0))
    assert len(batches) == len(loader) == 8 and [len(batch.labeled) for batch in batches] == [8] * 8
    assert sorted(torch.cat([batch.unlabeled.index for batch in batches]).tolist()) == list(range(4 * 30))
    assert all(batch.labeled.poses.any() and not batch.unlabeled.poses.any() for batch in batches)
    ids = loader.ids(batches[2])
    assert ids["unlabeled"] == batches[2].unlabeled.index.tolist() and len(ids["labeled"]) == 8


def test_a_pass_that_begins_later_gives_the_same_batches(data):
    whole, rest = list(make_loader(data).batches(1)), list(make_loader(data).batches(1, start=5))
    assert len(rest) == 3
    for one, two in zip(whole[5:], rest):
        assert one.labeled.index.tolist() == two.labeled.index.tolist()
        assert torch.equal(one.unlabeled.keypoints, two.unlabeled.keypoints)
    assert whole[0].unlabeled.index.tolist() != next(iter(make_loader(data).batches(0))).unlabeled.index.tolist()


def test_ranks_share_what_one_process_sees(data):
    one = next(iter(make_loader(data).batches(0)))
    both = [next(iter(make_loader(data, rank=rank, ranks=2).batches(0))) for rank in (0, 1)]
    assert [len(batch.unlabeled) for batch in both] == [16, 16] and len(one.unlabeled) == 16
    assert not {*both[0].unlabeled.index.tolist()} & {*both[1].unlabeled.index.tolist()}


def test_without_the_pool_it_is_not_even_cut(data):
    batch = next(iter(make_loader(data).batches(0, unlabeled=False)))
    assert batch.unlabeled is None and len(batch) == 8


def test_evaluation_sees_each_window_once_in_order(data):
    windows = Windows(data.validation["val"], WindowPlan(9))
    numbers, batches = zip(*EvaluationBatches(windows, 7))
    assert numbers == tuple(range(9)) and torch.cat([b.index for b in batches]).tolist() == list(range(60))
    shares = [list(EvaluationBatches(windows, 7, rank, 2)) for rank in (0, 1)]
    assert [len(share) for share in shares] == [5, 5] and shares[1][-1] == (9, None)
    parts = dict(pair for share in shares for pair in share)
    assert torch.cat([parts[number].index for number in numbers]).tolist() == list(range(60))
