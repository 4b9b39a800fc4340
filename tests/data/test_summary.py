"""The data report: counts, overlap, and validation images that training must not see."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from semipose.data import summary as report
from semipose.errors import DataError

BOX = (1, 1, 20, 20)


def report_data(labeled, unlabeled, validation):
    """The report with one validation set."""
    return report.report_data(labeled, unlabeled, [validation])


@pytest.fixture
def persons_on(tmp_path, draw_image, make_persons):
    """Persons on the named pictures of a folder; a name may come several times."""

    def run(folder: str, *names: str):
        rows = []
        for number, name in enumerate(names):
            path = tmp_path / folder / name
            if not path.exists():
                draw_image(path, seed=sum(str(path.relative_to(tmp_path)).encode()))
            rows.append((path, (number, 1, 20, 20)))
        return make_persons(rows)

    return run


@pytest.fixture
def refusal(persons_on):
    """The message about a leak, which must be one line."""

    def run(labeled, unlabeled, validation) -> str:
        with pytest.raises(DataError) as error:
            report_data(labeled, unlabeled, validation)
        assert len(str(error.value).splitlines()) == 1
        return str(error.value)

    return run


def test_counts(persons_on):
    labeled = persons_on("train", "a.png", "a.png", "b.png")
    pool = persons_on("pool", "c.png", "d.png", "d.png", "d.png")
    found = report_data(labeled, pool, persons_on("val", "e.png", "e.png"))
    assert (found.labeled, found.labeled_images) == (3, 2)
    assert (found.unlabeled, found.unlabeled_images, found.overlap) == (4, 2, 0)
    assert (found.validation, found.validation_images) == (2, 1)
    text = str(found)
    assert "3 persons on 2 images" in text and "4 persons on 2 images" in text and "2 persons on 1 images" in text


def test_all_validation_sets_count_and_none_may_be_trained_on(persons_on):
    train, sets = persons_on("train", "a.png"), [persons_on("val", "b.png", "b.png"), persons_on("more", "c.png")]
    found = report.report_data(train, None, sets)
    assert (found.validation, found.validation_images) == (3, 2)
    with pytest.raises(DataError, match="1 validation images.*labelled"):
        report.report_data(train, None, [*sets, train])


def test_a_validation_image_in_an_archive_that_is_trained_on(persons_on, tmp_path):
    train, val = persons_on("train", "a.png", "b.png"), persons_on("val", "c.png")
    shutil.copy(train.path(1), tmp_path / "val/b.png")
    shutil.make_archive(str(tmp_path / "val"), "zip", tmp_path / "val")
    zipped = [replace(val, image_paths=np.array([f"{tmp_path}/val.zip@{name}.png"])) for name in "bc"]
    with pytest.raises(DataError, match=r"1.*val.zip.*b.png"):
        report_data(train, None, zipped[0])
    with pytest.raises(DataError, match=r"val.zip.*c.png"):
        report_data(zipped[1], None, zipped[1])
    assert report_data(train, None, zipped[1]).validation == 1


def test_only_images_with_persons_count(persons_on):
    train = persons_on("train", "a.png", "b.png", "c.png")
    found = report_data(train.take([0]), None, train.take([1]))
    assert (found.labeled_images, found.validation_images) == (1, 1)
    assert (found.unlabeled, found.unlabeled_images, found.overlap) == (0, 0, 0)
    assert "unlabelled" not in str(report)


def test_overlap_of_labelled_and_unlabelled(persons_on):
    train, val = persons_on("train", "a.png", "a.png", "b.png"), persons_on("val", "e.png")
    assert report_data(train, train, val).overlap == 3
    assert report_data(train.take([1]), train, val).overlap == 1
    assert report_data(train.take([0]), train.take([1, 2]), val).overlap == 0  # another person of the same image
    assert "1 of them are also labelled" in str(report_data(train.take([1]), train, val))


def test_overlap_through_a_link(persons_on, make_persons, tmp_path):
    train, val = persons_on("train", "a.png", "b.png"), persons_on("val", "e.png")
    (tmp_path / "link").symlink_to(tmp_path / "train")
    pool = make_persons([(tmp_path / "link" / name, train.boxes[row]) for row, name in enumerate(("a.png", "b.png"))])
    assert report_data(train, pool, val).overlap == 2


@pytest.mark.parametrize(("empty", "key"), [(0, "TRAIN_SET"), (1, "TRAIN_UNSUP_SET")])
def test_empty_sets_are_refused_by_name(persons_on, refusal, empty, key):
    sets = [persons_on("train", "a.png"), persons_on("pool", "c.png"), persons_on("val", "e.png")]
    sets[empty] = sets[empty].take([])
    message = refusal(*sets)
    assert f"DATASET.{key}" in message and ("labelled", "unlabelled")[empty] in message


@pytest.mark.parametrize("side", ["labelled", "unlabelled"])
@pytest.mark.parametrize("how", ["path", "relative path", "file link", "folder link", "copy", "copy among namesakes"])
def test_validation_images_in_training_are_refused(persons_on, refusal, make_persons, tmp_path, monkeypatch, side, how):
    train, val = persons_on("train", "a.png", "b.png", "c.png"), persons_on("val", "x.png", "y.png")
    path = tmp_path / "val/x.png"
    if how == "relative path":
        monkeypatch.chdir(tmp_path / "train")
        path = Path("../val/x.png")
    if how == "file link":
        path = tmp_path / "train/other_name.png"
        path.symlink_to(tmp_path / "val/x.png")
    if how == "folder link":
        (tmp_path / "link").symlink_to(tmp_path / "val")
        path = tmp_path / "link/x.png"
    namesakes = ()
    if how.startswith("copy"):
        path = tmp_path / "train/x.png"
        shutil.copy(tmp_path / "val/x.png", path)
    if how == "copy among namesakes":
        namesakes = [(tmp_path / f"train/{folder}/x.png", BOX) for folder in range(8)]
        persons_on("train", *(f"{folder}/x.png" for folder in range(8)))
    leak = make_persons([*namesakes[:4], (path, BOX), *namesakes[4:]])
    message = refusal(*((leak, train) if side == "labelled" else (train, leak)), val)
    assert f"1 validation images are also in the {side} set" in message and str(tmp_path / "val/x.png") in message


def test_many_leaks_are_counted_and_some_are_named(persons_on, refusal):
    names = [f"{i}.png" for i in range(9)]
    train = persons_on("train", *names)
    message = refusal(train, None, train)
    assert message.count(".png") == 3 and message.startswith("9 validation images") and "..." in message


def test_namesakes_that_differ_are_no_copies(persons_on, tmp_path):
    train, val = persons_on("train", "a.png", "b.png"), persons_on("val", "a.png", "b.png")
    content = (tmp_path / "train/b.png").read_bytes()
    (tmp_path / "val/b.png").write_bytes(content[:-1] + b"x")  # as long, but not the same
    assert report_data(train, train, val).validation == 2


def test_missing_files_are_no_copies(make_persons, tmp_path):
    train = make_persons([(tmp_path / "train/a.png", BOX)])
    val = make_persons([(tmp_path / "val/a.png", BOX)])
    assert report_data(train, None, val).labeled == 1


def test_images_without_training_persons_may_be_validated_on(persons_on):
    """One annotation file for both, split by person rows: only images that are used count."""
    every = persons_on("all", "a.png", "b.png")
    assert report_data(every.take([0]), None, every.take([1])).validation == 1
    same_image = every.take(np.array([True, False]))
    with pytest.raises(DataError):
        report_data(same_image, None, every.take([0]))


def test_each_path_is_looked_up_once(persons_on, monkeypatch):
    """Following links costs system calls: on a network drive they are slow."""
    calls = []
    real = os.path.realpath
    train, val = persons_on("train", "a.png", "a.png", "b.png"), persons_on("val", "e.png")
    monkeypatch.setattr(os.path, "realpath", lambda path, **options: calls.append(path) or real(path, **options))
    report_data(train, None, val)
    assert len(calls) == 3
