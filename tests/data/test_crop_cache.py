"""The crop cache gives the same bytes as decoding, however it is filled, and never keeps a fault or an old picture."""

import os
import pickle
import shutil
import subprocess
import sys
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

import semipose
from semipose.data.context_crops import ContextCrops
from semipose.data.crop_cache import CACHES, CachedCrops, DirectCrops, make_crop_source
from semipose.data.person_dataset import PersonDataset
from semipose.errors import ConfigError, DataError, SemiposeError

SIZE, MARGIN, PADDING = (16, 20), 1.25, 1.25


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "cache"


def make_crops(persons, size=SIZE, margin=MARGIN, padding=PADDING) -> ContextCrops:
    return ContextCrops(persons, size, margin, padding)


def fetch_all(source) -> torch.Tensor:
    out = torch.full((len(source.crops), 3, *source.crops.size[::-1]), 77, dtype=torch.uint8)
    for row in range(len(out)):
        source.fetch(row, out[row])
    return out


def keys(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("cache", CACHES)
def test_every_cache_gives_the_same_bytes_at_first_and_again(people, folder, cache):
    expected = torch.from_numpy(np.concatenate([make_crops(people).cut([row]) for row in range(len(people))]))
    source = make_crop_source(make_crops(people), cache, folder)
    assert torch.equal(fetch_all(source), expected)
    assert torch.equal(fetch_all(source), expected)
    assert len({crop.numpy().tobytes() for crop in expected}) == len(people)


@pytest.mark.parametrize("cache", ["ram", "disk"])
def test_each_image_is_decoded_once(people, folder, count_reads, cache):
    source = make_crop_source(make_crops(people), cache, folder)
    fetch_all(source)
    assert sorted(count_reads) == sorted(people.image_paths)
    fetch_all(source)
    assert len(count_reads) == len(people.image_paths)


def test_without_cache_each_request_decodes(people, folder, count_reads):
    fetch_all(make_crop_source(make_crops(people), "none", folder))
    assert len(count_reads) == len(people) and not folder.exists()


def test_an_unknown_cache_is_refused(people, folder):
    with pytest.raises(ConfigError, match="DATASET.CACHE.*'tape'"):
        make_crop_source(make_crops(people), "tape", folder)


# On disk


def test_a_later_run_reads_no_image(people, folder, count_reads):
    first = fetch_all(CachedCrops(make_crops(people), folder))
    count_reads.clear()
    assert torch.equal(fetch_all(CachedCrops(make_crops(people), folder)), first)
    assert count_reads == []


def test_a_half_filled_cache_is_gone_on_with(people, folder, count_reads):
    out = torch.empty((3, *make_crops(people).size[::-1]), dtype=torch.uint8)
    CachedCrops(make_crops(people), folder).fetch(1, out)
    fetch_all(CachedCrops(make_crops(people), folder))
    assert sorted(count_reads) == sorted(people.image_paths)


def test_a_crop_that_a_power_cut_has_lost_is_cut_again(people, folder, count_reads):
    first = fetch_all(CachedCrops(make_crops(people), folder))
    count_reads.clear()
    (pixels,) = folder.glob("*/pixels")
    size = first[0].numel()
    with open(pixels, "r+b") as file:
        file.seek(2 * size + 5)
        file.write(bytes(100))
    again = CachedCrops(make_crops(people), folder)
    assert torch.equal(fetch_all(again), first)
    assert count_reads == [people.path(2)]
    pixels.write_bytes(b"")
    assert torch.equal(fetch_all(CachedCrops(make_crops(people), folder)), first)


@pytest.mark.parametrize(
    "changed, value", [("platform.node", lambda: "another"), ("semipose.data.crop_cache.FORMAT", 99)]
)
def test_another_machine_and_another_format_have_a_cache_each(people, folder, monkeypatch, changed, value):
    CachedCrops(make_crops(people), folder)
    monkeypatch.setattr(changed, value)
    CachedCrops(make_crops(people), folder)
    assert len(keys(folder)) == 2


@pytest.mark.parametrize("change", ["box", "size", "margin", "padding", "order", "fewer", "bytes", "time", "missing"])
def test_any_change_gets_a_cache_of_its_own(people, folder, change):
    CachedCrops(make_crops(people), folder)
    before, image = keys(folder), Path(people.image_paths[0])
    if change == "box":
        people.boxes[3, 2] += 0.5
    if change == "bytes":
        facts = image.stat()
        image.write_bytes(image.read_bytes() + b"x")
        os.utime(image, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    if change == "time":
        os.utime(image, ns=(0, image.stat().st_mtime_ns + 1_000_000))
    if change == "missing":
        image.unlink()
    people = people.take({"order": np.arange(9)[::-1], "fewer": np.arange(8)}.get(change, slice(None)))
    settings = {"size": {"size": (16, 22)}, "margin": {"margin": 1.5}, "padding": {"padding": 1.3}}.get(change, {})
    source = CachedCrops(make_crops(people, **settings), folder)
    assert len(keys(folder)) == 2 and before < keys(folder)
    if change != "missing":
        expected = fetch_all(DirectCrops(make_crops(people, **settings)))
        assert torch.equal(fetch_all(source), expected)


def test_the_same_sources_share_a_cache(people, folder):
    CachedCrops(make_crops(people), folder)
    people.keypoints[:] = 0  # labels are not in the crops
    CachedCrops(make_crops(people), folder)
    assert len(keys(folder)) == 1


def test_file_names_that_are_not_utf8(people, folder, make_persons, tmp_path):
    path = os.fsencode(tmp_path) + b"/\xff.png"
    try:
        shutil.copy(people.image_paths[0], path)
    except OSError:
        pytest.skip("this file system takes only UTF-8 names")
    source = CachedCrops(make_crops(make_persons([(os.fsdecode(path), (2, 2, 20, 20))])), folder)
    assert fetch_all(source).any()


# Room


@pytest.mark.parametrize(
    ("cache", "advice"), [("ram", "use disk or none"), ("disk", "use none")],
)  # fmt: skip
def test_too_little_room(people, folder, monkeypatch, cache, advice):
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=len(people) * 3 * 20 * 24 - 1))
    with pytest.raises(ConfigError, match=f"DATASET.CACHE.*{cache}.*{advice}"):
        make_crop_source(make_crops(people), cache, folder)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=len(people) * 3 * 20 * 24))
    make_crop_source(make_crops(people), cache, folder)


def test_a_cache_that_is_there_needs_no_more_room(people, folder, monkeypatch):
    first = fetch_all(CachedCrops(make_crops(people), folder))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: pytest.fail("asked for room"))
    assert torch.equal(fetch_all(CachedCrops(make_crops(people), folder)), first)


def test_a_cache_folder_that_cannot_be_made(people, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SemiposeError, match="file.*cannot write"):
        CachedCrops(make_crops(people), tmp_path / "file")


@pytest.mark.parametrize("cache", CACHES)
def test_nobody_to_crop(folder, make_persons, cache):
    assert len(fetch_all(make_crop_source(make_crops(make_persons([])), cache, folder))) == 0


# Broken images


@pytest.mark.parametrize("cache", CACHES)
def test_a_broken_image_raises_each_time_and_can_be_mended(people, folder, cache):
    good = fetch_all(DirectCrops(make_crops(people)))
    image = Path(people.path(1))
    content = image.read_bytes()
    image.write_bytes(content[: len(content) // 2])
    source = make_crop_source(make_crops(people), cache, folder)
    out = torch.zeros_like(good[0])
    for row in (1, 1, 3, 1):  # both on that image
        with pytest.raises(DataError, match="truncated") as error:
            source.fetch(row, out)
        assert str(image) in str(error.value) and not out.any()
    source.fetch(0, out)
    assert torch.equal(out, good[0])
    image.write_bytes(content)
    assert torch.equal(fetch_all(source), good)


# Several processes


@pytest.mark.parametrize("cache", CACHES)
def test_two_workers_fill_it_together(people, folder, cache):
    expected = fetch_all(DirectCrops(make_crops(people)))
    dataset = PersonDataset(make_crop_source(make_crops(people), cache, folder), [1.0] * 3, "replace")
    batches = [[row, len(people) - 1 - row] for row in range(len(people))]
    for _ in range(2):
        loader = DataLoader(dataset, batch_sampler=batches, collate_fn=lambda batch: batch, num_workers=2)
        for rows, batch in zip(batches, loader, strict=True):
            assert torch.equal(batch.images, expected[rows]) and batch.index.tolist() == rows


@pytest.mark.parametrize("cache", ["ram", "disk"])
def test_what_a_worker_decodes_all_processes_have(people, folder, count_reads, cache):
    source = make_crop_source(make_crops(people), cache, folder)
    dataset = PersonDataset(source, [1.0] * 3, "replace")
    loader = DataLoader(
        dataset, batch_sampler=[[row] for row in range(len(people))], collate_fn=lambda batch: batch, num_workers=1
    )
    assert len(list(loader)) == len(people)
    fetch_all(source)
    assert count_reads == []  # only the worker has decoded


def test_sending_a_disk_cache_to_another_process_sends_no_pixels(people, folder, count_reads):
    crops = make_crops(people, size=(64, 64))
    source = CachedCrops(crops, folder)
    expected = fetch_all(source)
    data = pickle.dumps(source)
    assert len(data) < expected.numel() / 5
    count_reads.clear()
    copy = pickle.loads(data)
    assert torch.equal(fetch_all(copy), expected) and count_reads == []
    copy._pixels[0] = 3
    assert (source._pixels[0] == 3).all()  # the same file


def test_sending_a_ram_cache_to_another_process_shares_it(people):
    source = CachedCrops(make_crops(people), None)
    copy = pickle.loads(ForkingPickler.dumps(source))
    expected = fetch_all(source)
    assert torch.equal(copy._pixels, expected) and copy._sound.all()


SPAWNED = """
import pickle, sys
import torch
from torch.utils.data import DataLoader

def same(batch):
    return batch

if __name__ == "__main__":
    with open(sys.argv[1], "rb") as file:
        dataset = pickle.load(file)
    loader = DataLoader(
        dataset, batch_sampler=[[0, 1], [2, 3]], collate_fn=same, num_workers=1, multiprocessing_context="spawn"
    )
    torch.save([batch.images for batch in loader], sys.argv[2])
"""


@pytest.mark.slow
@pytest.mark.parametrize("cache", CACHES)
def test_workers_that_are_started_and_not_forked(people, folder, tmp_path, cache):
    dataset = PersonDataset(make_crop_source(make_crops(people), cache, folder), [1.0] * 3, "replace")
    (tmp_path / "spawned.py").write_text(SPAWNED)
    (tmp_path / "dataset").write_bytes(pickle.dumps(dataset))
    command = [sys.executable, "spawned.py", "dataset", "crops.pt"]
    path = os.pathsep.join([str(Path(semipose.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    subprocess.run(command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}, check=True)
    images = torch.load(tmp_path / "crops.pt")
    assert torch.equal(torch.cat(images), fetch_all(DirectCrops(make_crops(people)))[:4])
