"""The data report: counts, what is both labelled and in the pool, and what it says of validation."""

import os

import pytest

from semipose.data.overlap import LABELLED, POOL, HeldOut, Overlap, OverlapOptions, Part
from semipose.data.same_files import RealPaths
from semipose.data.summary import DataReport, how_compared
from semipose.data.summary import report_data as report
from semipose.errors import DataError


def report_data(labeled, unlabeled, *validation) -> DataReport:
    """The report, after the pool was compared with the validation sets."""
    files = RealPaths()
    held_out = HeldOut(validation, OverlapOptions(), files)
    parts = [Part(LABELLED, "train", labeled)] + ([] if unlabeled is None else [Part(POOL, "pool", unlabeled)])
    return report(labeled, unlabeled, validation, [held_out.compare(part) for part in parts], files)


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


def test_counts(persons_on):
    labeled = persons_on("train", "a.png", "a.png", "b.png")
    pool = persons_on("pool", "c.png", "d.png", "d.png", "d.png")
    found = report_data(labeled, pool, persons_on("val", "e.png", "e.png"))
    assert (found.labeled, found.labeled_images) == (3, 2)
    assert (found.unlabeled, found.unlabeled_images, found.overlap) == (4, 2, 0)
    assert (found.validation, found.validation_images) == (2, 1)
    text = str(found)
    assert "3 persons on 2 images" in text and "4 persons on 2 images" in text and "2 persons on 1 images" in text


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
def test_empty_sets_are_refused_by_name(persons_on, empty, key):
    sets = [persons_on("train", "a.png"), persons_on("pool", "c.png"), persons_on("val", "e.png")]
    sets[empty] = sets[empty].take([])
    with pytest.raises(DataError, match=f"{('labelled', 'unlabelled')[empty]}.*DATASET.{key}"):
        report_data(*sets)


def test_all_validation_sets_count(persons_on):
    sets = [persons_on("val", "b.png", "b.png"), persons_on("more", "c.png")]
    found = report_data(persons_on("train", "a.png"), None, *sets)
    assert (found.validation, found.validation_images) == (3, 2)


def test_a_run_without_validation_says_so(persons_on):
    found = report_data(persons_on("train", "a.png"), None)
    assert (found.validation, found.validation_images) == (0, 0)
    assert "last.pth" in str(found) and "in training" not in str(found)


def test_each_path_is_looked_up_once(persons_on, monkeypatch):
    """Following links costs system calls: on a network drive they are slow."""
    calls = []
    real = os.path.realpath
    train, val = persons_on("train", "a.png", "a.png", "b.png"), persons_on("val", "e.png")
    monkeypatch.setattr(os.path, "realpath", lambda path, **options: calls.append(path) or real(path, **options))
    report_data(train, train, val)
    assert len(calls) == 3


def test_nothing_is_promised_that_was_not_compared():
    compared = [Overlap(LABELLED, "train", 4, {}, by_picture=True), Overlap(POOL, "day", 9, {}, by_picture=True)]
    assert "none in training" in how_compared(compared, 10)
    text = how_compared([*compared, Overlap(POOL, "large", 99, {})], 10)
    assert "none in training" not in text and "large (99 images)" in text and "day" not in text
    text = how_compared([Overlap(POOL, "day", 9, {}, by_picture=True, unclear=2)], 10)
    assert "picture" in text and "2 are too plain" in text


def test_what_is_left_out_of_the_pool_is_counted(persons_on):
    pool, val = persons_on("pool", "a.png", "b.png", "c.png"), persons_on("pool", "b.png")
    found = report_data(persons_on("train", "x.png"), pool, val)
    assert (found.left_out, found.beside) == (1, 0)
    assert "left out of the pool: 1 images" in str(found)
