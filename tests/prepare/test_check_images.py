"""Images: every broken file is told with path, reason and image id; pictures that two sets share are found."""

import io
import os
import shutil

import numpy as np
import pytest
from PIL import Image
from small_coco import SIZE, draw, small_coco, source_of, write_set

from semipose.data.sources import read_own
from semipose.prepare.check_files import check_file
from semipose.prepare.check_images import check_images, image_faults, refused_files, shared_images, true_sizes


def with_exif(path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.open(path).save(path, exif=exif)


def break_images(folder) -> dict[int, str]:
    """Eight kinds of broken images, by id, with what the line has to say."""
    data = (folder / "001.jpg").read_bytes()
    (folder / "001.jpg").write_bytes(data[: len(data) // 2])
    (folder / "002.jpg").unlink()
    (folder / "003.jpg").write_bytes(b"")
    (folder / "004.jpg").write_text("<html>not found</html>")
    draw(folder / "005.jpg", 5, (SIZE[0], SIZE[1] + 1))
    draw(folder / "006.jpg", 6, SIZE[::-1])
    with_exif(folder / "006.jpg", 6)
    (folder / "007.jpg").unlink()
    (folder / "007.jpg").mkdir()
    picture = io.BytesIO()
    Image.new("1", (20000, 6000)).save(picture, "PNG")
    (folder / "008.jpg").write_bytes(picture.getvalue())
    return {
        1: "", 2: "", 3: "", 4: "", 5: "80 x 61", 6: "60 x 80", 7: "",
        8: "OPENCV_IO_MAX_IMAGE_PIXELS=100000000",
    }  # fmt: skip


BOMB = pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")


@BOMB
def test_all_broken_images_are_told(tmp_path):
    folder = write_set(tmp_path, "train", small_coco(10))
    persons = check_file(source_of(tmp_path), read_own).persons
    paths = [str(path) for path in persons.image_paths]
    assert image_faults(persons, check_images(paths)) == []
    told = break_images(folder)
    seen = []
    checks = check_images(paths + paths, progress=lambda items, total: seen.append(total) or items)
    faults = image_faults(persons, checks)
    assert seen == [10] and all(finding.broken for finding in faults)
    for finding, (number, words) in zip(faults, told.items(), strict=True):
        assert finding.text.startswith(str(folder / f"{number:03d}.jpg")) and words in finding.text
        assert finding.text.endswith(f"(image id {number}, persons: 2)")
    sizes = true_sizes(persons, checks)
    assert np.isnan(sizes[[0, 1, 2, 3, 6, 7]]).all() and sizes[[4, 5, 8]].tolist() == [[80, 61], [60, 80], [80, 60]]


@BOMB
def test_headers_tell_all_but_truncation(tmp_path):
    folder = write_set(tmp_path, "train", small_coco(10))
    persons = check_file(source_of(tmp_path), read_own).persons
    told = break_images(folder)
    faults = image_faults(persons, check_images([str(p) for p in persons.image_paths], headers_only=True))
    assert [finding.ids[0] for finding in faults] == sorted(told.keys() - {1})


def test_images_without_a_person_are_not_told(tmp_path):
    folder = write_set(tmp_path, "train", small_coco(3))
    persons = check_file(source_of(tmp_path), read_own).persons
    (folder / "002.jpg").unlink()
    persons = persons.take(persons.image_index != 1)
    checks = check_images([str(persons.image_paths[row]) for row in (0, 2)])
    assert image_faults(persons, checks) == []


def test_files_of_a_folder_that_are_left_out(tmp_path):
    folder = write_set(tmp_path, "train", small_coco(8))
    for number in range(1, 8):
        (folder / f"{number:03d}.jpg").write_bytes(b"x")
    assert [f.text for f in refused_files(str(folder))] == [
        f"{folder}/{number:03d}.jpg: is not an image" for number in range(1, 8)
    ]


def test_shared_images_by_file_and_by_content(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    for number in range(4):
        draw(first / f"{number}.png", number)
        draw(second / f"{number}.png", number + 10)
    shutil.copy(first / "1.png", second / "other name.png")
    os.symlink(first / "2.png", second / "link.png")
    shared = shared_images(map(str, first.iterdir()), [*map(str, second.iterdir()), str(tmp_path / "missing.png")])
    assert shared == [
        (str(first / "1.png"), str(second / "other name.png")), (str(first / "2.png"), str(second / "link.png")),
    ]  # fmt: skip
