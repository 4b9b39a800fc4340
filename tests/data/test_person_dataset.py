"""Batches of persons: the right crop with the right keypoints, and what happens to broken images."""

import pickle
from pathlib import Path

import pytest
import torch

from semipose.data.context_crops import ContextCrops
from semipose.data.crop_cache import make_crop_source
from semipose.data.person_dataset import CachedRows, PersonDataset
from semipose.geometry import affine

WEIGHTS = [1.0, 0.5, 2.0]


def make_dataset(persons, on_fault="replace", cache="none", folder=None) -> PersonDataset:
    return PersonDataset(
        make_crop_source(ContextCrops(persons, (16, 20), 1.25, 1.25), cache, folder), WEIGHTS, on_fault
    )


def spoil(persons, *rows) -> set[str]:
    """Break the images of these persons; returns their paths."""
    paths = {persons.path(row) for row in rows}
    for path in paths:
        Path(path).write_bytes(b"no image")
    return paths


def test_a_batch_holds_what_its_rows_say(people):
    dataset = make_dataset(people)
    rows = [4, 0, 8, 4]
    batch = dataset.__getitems__(rows)
    assert len(dataset) == 9 and len(batch) == 4 and batch.index.tolist() == rows and batch.faults == ()
    assert batch.images.dtype == torch.uint8 and batch.images.shape == (4, 3, 24, 20)
    assert batch.keypoints.shape == (4, 3, 2) and batch.weights.shape == (4, 3) and batch.to_image.shape == (4, 2, 3)
    for position, row in enumerate(rows):
        assert torch.equal(batch.images[position], torch.from_numpy(dataset.source.crops.cut([row])[0]))
        assert torch.equal(batch.to_image[position], torch.from_numpy(dataset.source.crops.to_image[row]))
    places = affine.apply(batch.to_image, batch.keypoints)
    labels = torch.from_numpy(people.keypoints[rows])
    seen = labels[..., 2] == 1
    assert seen.any() and not seen.all()
    assert torch.allclose(places[seen], labels[..., :2][seen], atol=1e-3)
    assert torch.equal(batch.weights, labels[..., 2] * torch.tensor(WEIGHTS))
    assert (batch.keypoints[~seen] == 0).all()


def test_one_person_is_a_batch_of_one(people):
    dataset = make_dataset(people)
    one, many = dataset[5], dataset.__getitems__([5, 6])
    assert len(one) == 1 and torch.equal(one.images[0], many.images[0]) and one.index.tolist() == [5]


@pytest.mark.parametrize("cache", ["none", "ram", "disk"])
def test_batches_do_not_share_memory(people, tmp_path, cache):
    dataset = make_dataset(people, "replace", cache, tmp_path / "cache")
    first = dataset.__getitems__([0, 1])
    first.images.zero_(), first.keypoints.zero_(), first.weights.zero_(), first.to_image.zero_()
    again = dataset.__getitems__([0, 1])
    assert again.images.any() and again.keypoints.any() and again.weights.any() and again.to_image.any()


@pytest.mark.parametrize("cache", ["none", "ram", "disk"])
def test_replace_takes_the_next_readable_person(people, tmp_path, cache):
    """Rows 7, 8 and 0 follow each other in the circle of rows; 1, 3 and 7 are on one image."""
    good = make_dataset(people).__getitems__(list(range(9)))
    dataset = make_dataset(people, "replace", cache, tmp_path / "cache")
    spoiled = spoil(people, 7, 8)  # that is 1, 3, 7 and 4, 8
    for _ in range(2):
        batch = dataset.__getitems__([7, 2, 3, 1])
        assert batch.index.tolist() == [0, 2, 5, 2]
        assert torch.equal(batch.images, good.images[batch.index])
        assert torch.equal(batch.keypoints, good.keypoints[batch.index])
        assert torch.equal(batch.weights, good.weights[batch.index])
        assert torch.equal(batch.to_image, good.to_image[batch.index])
        assert {line.partition(": ")[0] for line in batch.faults} == spoiled
        assert all(len(line.splitlines()) == 1 for line in batch.faults)


@pytest.mark.parametrize("cache", ["none", "ram", "disk"])
def test_omit_leaves_the_person_out(people, tmp_path, cache):
    good = make_dataset(people).__getitems__(list(range(9)))
    dataset = make_dataset(people, "omit", cache, tmp_path / "cache")
    spoiled = spoil(people, 1)
    for _ in range(2):
        batch = dataset.__getitems__([0, 1, 2, 3, 4])
        assert batch.index.tolist() == [0, 2, 4]
        assert torch.equal(batch.images, good.images[batch.index])
        assert torch.equal(batch.keypoints, good.keypoints[batch.index])
        assert {line.partition(": ")[0] for line in batch.faults} == spoiled


def test_the_fault_line_of_an_image_is_the_same_for_all_its_persons(people):
    """So that the limit DATASET.MAX_BAD counts images."""
    spoil(people, 1)
    faults = make_dataset(people, "omit").__getitems__([1, 3, 7]).faults
    assert len(faults) == 3 and len(set(faults)) == 1


@pytest.mark.parametrize("cache", ["ram", "disk"])
def test_a_cached_batch_is_copied_at_once(people, tmp_path, cache, monkeypatch):
    dataset = make_dataset(people, "replace", cache, tmp_path / "cache")
    rows = [8, 0, 0, 5]
    first = dataset.__getitems__(rows)
    monkeypatch.setattr(dataset.source, "fill", lambda row: pytest.fail("one by one"))
    again = dataset.__getitems__(rows)
    expected = make_dataset(people).__getitems__(rows)
    for name in ("images", "keypoints", "weights", "to_image", "index"):
        assert torch.equal(getattr(first, name), getattr(expected, name))
        assert torch.equal(getattr(again, name), getattr(expected, name))
    with pytest.raises(pytest.fail.Exception):
        dataset.__getitems__([0, 2])  # 2 is on another image


@pytest.mark.parametrize("cache", ["ram", "disk"])
def test_a_loader_process_fills_the_cache_and_sends_no_pixels(people, tmp_path, cache, count_reads):
    dataset = make_dataset(people, "replace", cache, tmp_path / "cache")
    spoiled = spoil(people, 7, 8)
    found = CachedRows(dataset).__getitems__([7, 2, 3, 1])
    assert len(pickle.dumps(found)) < 1000 and len(CachedRows(dataset)) == 9
    assert found.rows.tolist() == [0, 2, 5, 2] and {line.partition(": ")[0] for line in found.faults} == spoiled
    count_reads.clear()
    batch = dataset.batch(found)
    assert count_reads == [] and batch.faults == found.faults and batch.index.tolist() == [0, 2, 5, 2]
    assert torch.equal(batch.images, make_dataset(people).__getitems__([0, 2, 5, 2]).images)


def test_a_cached_batch_can_be_page_locked(people, device):
    dataset, pinned = make_dataset(people, "replace", "ram"), device.type == "cuda"
    batch = dataset.batch(dataset.find([3, 4]), pin_memory=pinned)
    for name in ("images", "keypoints", "weights", "to_image", "index"):
        assert getattr(batch, name).is_pinned() == pinned
    assert torch.equal(batch.images, dataset.__getitems__([3, 4]).images)


@pytest.mark.parametrize("on_fault", ["replace", "omit"])
def test_without_any_readable_image_the_batch_is_empty(people, on_fault):
    spoiled = spoil(people, *range(9))
    batch = make_dataset(people, on_fault).__getitems__([3, 4])
    assert len(batch) == 0 and batch.images.shape == (0, 3, 24, 20) and batch.keypoints.shape == (0, 3, 2)
    found = {line.partition(": ")[0] for line in batch.faults}
    assert found == (spoiled if on_fault == "replace" else {people.path(3), people.path(4)})
