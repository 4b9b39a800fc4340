"""What training has in common with validation: files, copies, pictures and frames of a video."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import mouse_project as project
import numpy as np
import pytest

from semipose.data.formats.video import frame_numbers, read_video
from semipose.data.overlap import LABELLED, POOL, HeldOut, OverlapOptions, Part, refuse_shared
from semipose.data.same_files import RealPaths, same_files
from semipose.errors import DataError

BOX = (1, 1, 20, 20)


@pytest.fixture
def persons_on(tmp_path, draw_image, make_persons):
    """Persons on the named pictures of a folder, which are drawn if they are not there."""

    def run(folder: str, *names: str):
        for name in names:
            path = tmp_path / folder / name
            if not path.exists():
                draw_image(path, seed=sum(str(path.relative_to(tmp_path)).encode()))
        return make_persons([(tmp_path / folder / name, BOX) for name in names])

    return run


def compare(persons, *validation, side=POOL, video=False, **options):
    held_out = HeldOut(validation, OverlapOptions(**options), RealPaths())
    return held_out.compare(Part(side, "mine", persons, video))


@pytest.mark.parametrize("pictures", [0, 20000])
@pytest.mark.parametrize("how", ["path", "relative path", "file link", "folder link", "copy", "copy of another name"])
def test_the_same_file_and_its_copies(persons_on, make_persons, tmp_path, monkeypatch, how, pictures):
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
    if how.startswith("copy"):
        path = tmp_path / ("train/x.png" if how == "copy" else "train/z.png")
        shutil.copy(tmp_path / "val/x.png", path)
    leak = make_persons([(train.path(0), BOX), (path, BOX), (train.path(1), BOX)])
    found = compare(leak, val, pictures=pictures)
    assert found.twins == {1: (str(path), str(tmp_path / "val/x.png"))} and found.images == 3
    assert [found.rest(leak).path(row) for row in range(2)] == [train.path(0), train.path(1)]
    assert found.by_picture == (pictures > 0)
    with pytest.raises(DataError, match="1 validation images are also in the pool .*val/x.png"):
        refuse_shared(found)


@pytest.mark.parametrize("ending", [".jpg", ".png"])
def test_a_picture_that_was_encoded_or_resized_anew(persons_on, make_persons, tmp_path, ending):
    val = persons_on("val", "x.png")
    picture = cv2.imread(val.path(0))
    changed = picture if ending == ".jpg" else cv2.resize(picture, None, fx=0.9, fy=0.9, interpolation=cv2.INTER_AREA)
    path = tmp_path / f"train/new{ending}"
    path.parent.mkdir()
    cv2.imwrite(str(path), changed, [cv2.IMWRITE_JPEG_QUALITY, 60])
    train = make_persons([(path, BOX), (persons_on("train", "a.png").path(0), BOX)])
    assert compare(train, val).twins == {0: (str(path), val.path(0))}
    assert not compare(train, val, pictures=0).twins
    assert not compare(train, val, pictures=1).by_picture  # two images in the part


def test_images_in_archives(persons_on, tmp_path):
    train, val = persons_on("train", "a.png", "b.png"), persons_on("val", "c.png")
    shutil.copy(train.path(1), tmp_path / "val/b.png")
    shutil.make_archive(str(tmp_path / "val"), "zip", tmp_path / "val")
    b, c = (replace(val, image_paths=np.array([f"{tmp_path}/val.zip@{name}.png"])) for name in "bc")
    assert list(compare(train, b, pictures=0).twins) == list(compare(train, b).twins) == [1]
    assert not compare(train, c).twins and list(compare(c, c).twins) == [0]


def test_only_images_with_persons_count(persons_on):
    every = persons_on("all", "a.png", "b.png")
    assert not compare(every.take([0]), every.take([1])).twins
    assert list(compare(every.take([0]), every.take([0])).twins) == [0]


def test_files_of_one_size_that_differ_or_cannot_be_read(persons_on, make_persons, tmp_path):
    train, val = persons_on("train", "a.png", "b.png"), persons_on("val", "a.png", "b.png")
    content = (tmp_path / "train/b.png").read_bytes()
    (tmp_path / "val/b.png").write_bytes(content[:-1] + b"x")
    files = RealPaths()
    assert same_files([train.path(1)], [val.path(1)], files) == {}
    missing = make_persons([(tmp_path / "train/none.png", BOX)])
    found = compare(missing, make_persons([(tmp_path / "val/none.png", BOX)]))
    assert not found.twins and found.unclear == 1


@pytest.mark.parametrize("content", [b"", b"<html>503 Service Unavailable</html>"])
def test_files_that_are_no_images_are_no_copies_of_each_other(tmp_path, content):
    paths = [str(tmp_path / name) for name in ("a.png", "b.png")]
    for path in paths:
        Path(path).write_bytes(content)
    assert same_files(paths[:1], paths[1:], RealPaths()) == {}


def test_many_are_counted_and_some_are_named(persons_on):
    train = persons_on("train", *[f"{i}.png" for i in range(9)])
    with pytest.raises(DataError, match="^9 validation images are also in the labelled set") as error:
        refuse_shared(compare(train, train, side=LABELLED))
    assert str(error.value).count(".png") == 3 and "..." in str(error.value)
    refuse_shared(compare(train, persons_on("val", "x.png"), side=LABELLED))


@pytest.fixture
def day(tmp_path) -> str:
    return project.write_video(tmp_path / "day.avi", [project.picture(number) for number in range(30)])


def labelled_frame(tmp_path, make_persons, number: int):
    """Validation on a labelled frame, drawn before the video was compressed."""
    project.write_image(tmp_path / f"labeled/img{number}.png", project.picture(number))
    return make_persons([(tmp_path / f"labeled/img{number}.png", BOX)])


def test_frames_of_a_video_and_their_neighbours(day, tmp_path, make_persons):
    pool = read_video(day, 2, str(tmp_path / "cache"))
    sets = [labelled_frame(tmp_path, make_persons, number) for number in (3, 20)]
    found = compare(pool, *sets, video=True)
    assert list(found.twins) == [3, 20] and found.by_picture
    assert list(found.beside) == [0, 1, 2, 4, 5, 6, 7, 8, *range(15, 20), *range(21, 26)]
    assert frame_numbers([found.rest(pool).path(row) for row in range(len(found.rest(pool)))]).tolist() == [
        *range(9, 15), *range(26, 30)
    ]  # fmt: skip
    assert compare(pool, *sets, video=True, guard=0).beside == ()
    assert compare(pool, *sets, video=True, pictures=5).by_picture  # a video may be longer
    assert not compare(pool, *sets, video=True, pictures=1).by_picture  # but not the validation sets


def test_frames_that_were_taken_out_of_a_video_before(tmp_path, make_persons):
    """Numbered files next to a validation image are its neighbours if they show its scene; other pictures are not."""
    back = cv2.resize(np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8), (160, 120))
    for number in range(12):
        frame = cv2.circle(back.copy(), (20 + 10 * number, 60), 8, (255, 255, 255), -1)
        project.write_image(tmp_path / f"pool/day_{number:04d}.png", frame)
    for number in (4, 6):
        project.write_image(tmp_path / f"pool/night_{number:04d}.png", project.picture(number))
    project.write_image(tmp_path / "pool/day_0006.png", project.picture(50))  # another scene
    paths = sorted((tmp_path / "pool").iterdir())
    pool = make_persons([(path, BOX) for path in paths])
    shutil.copy(paths[5], tmp_path / "val.png")
    val = make_persons([(tmp_path / "val.png", BOX)])
    found = compare(pool, val, guard=2)
    assert [Path(path).name for path, _ in found.twins.values()] == ["day_0005.png"]
    assert [paths[row].name for row in found.beside] == ["day_0003.png", "day_0004.png", "day_0007.png"]
    assert compare(pool, val, guard=0).beside == ()


def test_neighbours_count_where_the_frame_itself_is_not_taken(day, tmp_path, make_persons):
    pool = read_video(day, 2, str(tmp_path / "cache"), every=4)
    found = compare(pool, labelled_frame(tmp_path, make_persons, 10), video=True)
    assert not found.twins and frame_numbers(pool.image_paths[list(found.beside)]).tolist() == [8, 12]


def test_a_damaged_frame_does_not_shift_the_others(day, tmp_path, make_persons):
    pool = read_video(project.damage_frame(day, 2, tmp_path / "bad.avi"), 2, str(tmp_path / "cache"))
    found = compare(pool, labelled_frame(tmp_path, make_persons, 20), video=True, guard=1)
    assert frame_numbers(pool.image_paths[[*found.twins, *found.beside]]).tolist() == [20, 19, 21]
    assert os.path.exists(pool.path(0))
