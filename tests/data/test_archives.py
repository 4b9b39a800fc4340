"""Images in zip archives: the pixels of the files, in any number of processes, and one line for each bad member."""

import io
import json
import os
import pickle
import shutil
import struct
import tracemalloc
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat
from small_coco import small_coco, source_of, write_set

from semipose.data import archives, zip_file
from semipose.data.archives import image_facts, image_name, is_archive, real_path, split_member, stored_size
from semipose.data.context_crops import ContextCrops
from semipose.data.crop_cache import CachedCrops, make_crop_source
from semipose.data.formats import locate_coco, read_coco, read_folder
from semipose.data.images import image_size, read_image
from semipose.data.loaders import PairLoader, Side, Workers, evaluation_loader
from semipose.data.person_dataset import PersonDataset
from semipose.data.sources import guess_format, read_own, read_pool
from semipose.errors import ConfigError, DataError
from semipose.prepare.check_images import check_images, refused_files, shared_images
from semipose.skeletons import COCO, get_skeleton
from semipose.structures import Persons

R10, R11 = pytest.mark.promise("R10"), pytest.mark.promise("R11")
# where a field begins in an entry of the list of members (APPNOTE.TXT, 4.3.12)
FLAGS, METHOD, CHECKSUM, PACKED, SIZE, OFFSET = 8, 10, 16, 20, 24, 42


def write_zip(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return path


def zip_folder(folder: Path, path: Path, top: str = "") -> Path:
    """All files below a folder; each second one is stored, the others are deflated."""
    with zipfile.ZipFile(path, "w") as archive:
        for number, file in enumerate(sorted(file for file in folder.rglob("*") if file.is_file())):
            archive.write(file, top + str(file.relative_to(folder)), 8 * (number % 2))
    return path


def forge(path: Path, field: int, value: int, form: str = "<I") -> Path:
    """Change a field of the first member in the list of members."""
    data = bytearray(path.read_bytes())
    struct.pack_into(form, data, data.index(b"PK\1\2") + field, value)
    path.write_bytes(data)
    return path


def picture(seed: int = 0, size: tuple[int, int] = (30, 20), form: str = "png") -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form)
    return buffer.getvalue()


def refusal(path: str, read=read_image) -> str:
    """The one line about a member, without the path that it begins with."""
    with pytest.raises(DataError) as error:
        read(path)
    assert "\n" not in str(error.value) and str(error.value).startswith(f"{path}: ")
    return str(error.value).removeprefix(f"{path}: ")


def zipped(people: Persons, archive: Path, top: str = "") -> Persons:
    """The same persons, with their images in an archive."""
    folder = archive.parent / "images"
    zip_folder(folder, archive, top)
    names = [os.path.relpath(path, folder) for path in people.image_paths]
    return replace(people, image_paths=np.array([f"{archive}@{name}" for name in names], str))


def make_dataset(persons: Persons, cache: str = "none", folder: Path | None = None) -> PersonDataset:
    source = make_crop_source(ContextCrops(persons, (16, 20), 1.25, 1.25), cache, folder)
    return PersonDataset(source, [1.0] * persons.keypoints.shape[1], "replace")


# Paths


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("train2017.zip@000.jpg", ("train2017.zip", "000.jpg")),
        ("a/b.ZIP@c/d.png", ("a/b.ZIP", "c/d.png")),
        ("a.zip@b.zip@c.png", ("a.zip", "b.zip@c.png")),  # a member cannot name another archive
        ("a.zip", None),
        ("a@b.jpg", None),
        (".zip@b.jpg", None),
    ],
)
def test_parts_of_a_path(path, parts):
    assert split_member(path) == parts
    assert image_name(path) == (parts[1].split("/")[-1] if parts else path)


def test_a_folder_may_end_as_an_archive_does(tmp_path):
    (tmp_path / "a.zip").mkdir()
    assert not is_archive(str(tmp_path / "a.zip")) and is_archive(str(tmp_path / "b.zip"))
    (tmp_path / "a.zip/x.png").write_bytes(picture())
    assert read_folder(str(tmp_path / "a.zip"), 1).path(0) == str(tmp_path / "a.zip/x.png")


# Reading


@pytest.mark.parametrize("top", ["", "train2017/"])
@pytest.mark.parametrize("reduce", [1, 2])
def test_pixels_are_those_of_the_files(people, tmp_path, top, reduce):
    inside = zipped(people, tmp_path / "images.zip", top)
    for file, member in zip(people.image_paths, inside.image_paths):
        assert np.array_equal(read_image(str(member), reduce), read_image(str(file), reduce))
        assert image_size(str(member)) == image_size(str(file))
        assert stored_size(str(member)) == os.path.getsize(file)


def test_a_member_is_looked_for_as_it_is_named_and_then_below_the_one_folder(tmp_path):
    files = {"a/x.png": picture(1), "a/a/x.png": picture(2), "__MACOSX/a/._x.png": b"", ".DS_Store": b""}
    archive = write_zip(tmp_path / "s.zip", files)
    first, second = (read_image(f"{archive}@{name}") for name in ("a/x.png", "a/a/x.png"))
    assert np.array_equal(read_image(f"{archive}@x.png"), first)
    assert np.array_equal(read_image(f"{archive}@./a//x.png"), first) and not np.array_equal(first, second)
    write_zip(archive, {"a/x.png": picture(1), "b/y.png": picture(2)})
    assert archives.member_names(str(archive)) == ["a/x.png", "b/y.png"]
    assert refusal(f"{archive}@x.png") == "is not in the archive"


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_the_size_of_an_image_behind_long_comments(tmp_path, method):
    comment = b"\xff\xfe" + struct.pack(">H", 60_002) + np.random.default_rng(0).bytes(60_000)
    data = picture(form="jpeg")
    archive = write_zip(tmp_path / "a.zip", {"a.jpg": data[:2] + 2 * comment + data[2:]}, method)
    assert image_size(f"{archive}@a.jpg") == (30, 20)
    assert read_image(f"{archive}@a.jpg").shape == (20, 30, 3)


def test_the_size_of_an_image_is_read_from_its_beginning(tmp_path, monkeypatch):
    archive = write_zip(tmp_path / "a.zip", {"a.png": picture(size=(400, 300))}, zipfile.ZIP_STORED)
    read, lengths = zip_file._read, []
    monkeypatch.setattr(zip_file, "_read", lambda f, offset, n: lengths.append(n) or read(f, offset, n))
    assert image_size(f"{archive}@a.png") == (400, 300) and max(lengths) <= 2**16 < os.path.getsize(archive)


def test_an_archive_is_opened_once(tmp_path, monkeypatch):
    archive = write_zip(tmp_path / "a.zip", {f"{n}.png": picture(n) for n in range(5)})
    opened = []
    monkeypatch.setattr(archives, "open_zip", lambda path: opened.append(path) or zip_file.open_zip(path))
    for n in range(5):
        read_image(f"{archive}@{n}.png")
        image_size(f"{archive}@{n}.png")
    assert opened == [str(archive)]


def test_without_positioned_reads(tmp_path, monkeypatch):
    archive = write_zip(tmp_path / "a.zip", {"a.png": picture(1), "b.png": picture(2)})
    expected = [read_image(f"{archive}@{name}.png") for name in "ab"]
    monkeypatch.delattr(os, "pread")
    assert all(np.array_equal(read_image(f"{archive}@{name}.png"), e) for name, e in zip("ab", expected))


def test_many_threads_read_at_once(tmp_path):
    archive = write_zip(tmp_path / "a.zip", {f"{n}.png": picture(n) for n in range(20)})
    paths = [f"{archive}@{n}.png" for n in range(20)] * 10
    expected = [read_image(path) for path in paths]
    with ThreadPoolExecutor(8) as threads:
        assert all(np.array_equal(a, b) for a, b in zip(threads.map(read_image, paths), expected))


# Refused


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda path: forge(path, FLAGS, 1, "<H"), "is encrypted"),
        (lambda path: forge(path, METHOD, 12, "<H"), "is packed by method 12; allowed: 0 (stored), 8 (deflated)"),
        (lambda path: forge(path, CHECKSUM, 5), "is damaged in the archive"),
        (lambda path: forge(path, OFFSET, 3), "is not where the archive says it is"),
        (lambda path: forge(path, PACKED, 10), "is damaged in the archive"),
        (lambda path: forge(path, SIZE, 100_000), "is damaged in the archive"),
        pytest.param(
            lambda path: forge(path, SIZE, 3 * 10**8),
            "has 300000000 bytes, more than the 268435456 that are allowed", marks=R11,
        ),
        pytest.param(
            lambda path: forge(path, PACKED, 3 * 10**8),
            "has 300000000 bytes, more than the 268435456 that are allowed", marks=R11,
        ),
        (lambda path: write_zip(path, {"b.png": picture()}), "is not in the archive"),
        (lambda path: write_zip(path, {}), "is not in the archive"),
        (lambda path: write_zip(path, {"a.png": b""}), "is empty"),
        (lambda path: write_zip(path, {"a.png": b"<html>"}), "is not an image"),
        (lambda path: write_zip(path, {"a.png": picture()[:-99]}), "is truncated or damaged"),
        (lambda path: path.write_bytes(b"x" * 99), "is no sound zip archive: File is not a zip file"),
        (lambda path: path.write_bytes(b""), "is no sound zip archive: File is not a zip file"),
        (lambda path: path.write_bytes(path.read_bytes()[:-30]), "is no sound zip archive: File is not a zip file"),
        (lambda path: path.unlink(), "cannot be read: No such file or directory"),
    ],
)  # fmt: skip
def test_a_bad_member_is_one_line_that_names_it(tmp_path, spoil, reason):
    path = write_zip(tmp_path / "s.zip", {"a.png": picture()})
    spoil(path)
    assert refusal(f"{path}@a.png") == reason


def test_a_damaged_member_does_no_harm_to_the_others(tmp_path):
    path = forge(write_zip(tmp_path / "s.zip", {"a.png": picture(), "b.png": picture(1)}), SIZE, 2**32 - 1)
    assert refusal(f"{path}@a.png").startswith("has 4294967295 bytes")
    assert read_image(f"{path}@b.png").shape == (20, 30, 3)


def test_an_archive_with_random_damage_gives_the_pixels_or_one_line(tmp_path):
    path, rng = write_zip(tmp_path / "s.zip", {"t/a.png": picture(), "t/b.png": picture(1)}), np.random.default_rng(0)
    sound, expected, refused = path.read_bytes(), read_image(f"{path}@a.png"), 0
    for number in range(400):
        data = bytearray(sound)
        for place in rng.integers(0, len(data), 3) if number % 2 else rng.integers(data.index(b"PK\1\2"), len(data), 3):
            data[place] = rng.integers(0, 256)
        path.write_bytes(data)
        os.utime(path, ns=(0, number))
        archives._opened.clear()
        try:
            assert np.array_equal(read_image(f"{path}@a.png"), expected)
        except DataError as error:
            assert str(error).startswith(f"{path}@a.png: ") and "\n" not in str(error)
            refused += 1
    assert 100 < refused < 400


@pytest.fixture(scope="module")
def bomb(tmp_path_factory) -> bytes:
    return write_zip(tmp_path_factory.mktemp("bomb") / "bomb.zip", {"a.png": bytes(10**8)}).read_bytes()


@pytest.mark.parametrize(
    ("declared", "reason"),
    [
        (0, "holds more than the size that the archive gives"),
        (1000, "holds more than the size that the archive gives"),
        (2**32 - 2, "has 4294967294 bytes, more than the 268435456 that are allowed"),
    ],
)
@pytest.mark.parametrize("read", [read_image, image_size])
@R11
def test_a_bomb_is_refused_before_memory_is_taken(tmp_path, bomb, declared, reason, read):
    path = tmp_path / "bomb.zip"
    path.write_bytes(bomb)
    forge(path, SIZE, declared)
    tracemalloc.start()
    try:
        assert refusal(f"{path}@a.png", read) == reason
        assert tracemalloc.get_traced_memory()[1] < 2 * 10**7  # also what Pillow takes when it is first imported
    finally:
        tracemalloc.stop()


NAMES = [
    ("../a.jpg", "leaves the image folder"),
    ("sub/../../a.jpg", "leaves the image folder"),
    ("/etc/a.jpg", "is an absolute path"),
    ("C:/a.jpg", "is an absolute path"),
    ("sub\\a.jpg", "holds a backslash"),
    ("a\0.jpg", "holds a NUL character"),
]


def coco_file(tmp_path: Path, name: str) -> str:
    document = small_coco(1)
    document["images"][0]["file_name"] = name
    (tmp_path / "a.json").write_text(json.dumps(document))
    return str(tmp_path / "a.json")


@pytest.mark.parametrize(("name", "reason"), NAMES)
@R10
def test_a_member_that_an_annotation_names_cannot_leave_the_archive(tmp_path, name, reason):
    with pytest.raises(DataError, match="image id 1: file_name: .* " + reason):
        read_coco(coco_file(tmp_path, name), str(tmp_path / "absent.zip"), COCO)


@pytest.mark.parametrize(("name", "reason"), NAMES)
@R10
def test_a_member_of_a_folder_s_archive_cannot_leave_it(tmp_path, name, reason, monkeypatch):
    """`FOLDER/ARCHIVE.zip@NAME` out of an annotation for a folder of images."""
    monkeypatch.setattr(archives, "open_zip", lambda path: pytest.fail("was opened"))
    write_zip(tmp_path / "s.zip", {name: picture()})
    try:
        path = read_coco(coco_file(tmp_path, f"s.zip@{name}"), str(tmp_path), COCO).path(0)
    except DataError as error:
        assert reason in str(error)
    else:
        assert reason in refusal(path)


@R10
def test_an_archive_that_is_a_link_out_of_the_folder_is_refused(tmp_path):
    (tmp_path / "images").mkdir()
    write_zip(tmp_path / "outside.zip", {"a.png": picture()})
    (tmp_path / "images/s.zip").symlink_to(tmp_path / "outside.zip")
    with pytest.raises(DataError, match="'s.zip@a.png' is a link that leaves the image folder"):
        read_coco(coco_file(tmp_path, "s.zip@a.png"), str(tmp_path / "images"), COCO)


@pytest.mark.parametrize(("name", "reason"), NAMES)
@R10
def test_a_pool_leaves_out_members_with_such_names(tmp_path, caplog, name, reason):
    archive = write_zip(tmp_path / "pool.zip", {"good.png": picture(), name.replace("\0", "."): picture(1)})
    if "\0" in name:
        archive.write_bytes(archive.read_bytes().replace(b"a..jpg", b"a\0.jpg"))
    persons = read_folder(str(archive), 1)
    assert [persons.path(row) for row in range(len(persons))] == [f"{archive}@good.png"]
    assert reason in caplog.text
    assert [reason in finding.text for finding in refused_files(str(archive))] == [True]


def test_a_link_in_an_archive_is_not_followed(tmp_path):
    (tmp_path / "secret.png").write_bytes(picture())
    link = zipfile.ZipInfo("a.png")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "s.zip", "w") as archive:
        archive.writestr(link, str(tmp_path / "secret.png"))
    assert refusal(f"{tmp_path}/s.zip@a.png") == "is not an image"


# Where archives are found


@pytest.mark.parametrize("place", ["images/train.zip", "train.zip", "images.zip"])
@pytest.mark.parametrize("top", ["", "train/"])
def test_the_archive_of_a_set_is_found(tmp_path, place, top):
    folder = write_set(tmp_path, "train", small_coco(3))
    assert locate_coco(str(tmp_path), "train")[1] == str(folder)
    expected = read_own(source_of(tmp_path))
    zip_folder(folder, tmp_path / place, top)
    assert locate_coco(str(tmp_path), "train")[1] == str(folder)  # a folder goes first
    folder.rename(tmp_path / "elsewhere")
    persons = read_own(source_of(tmp_path))
    assert persons.path(0) == f"{tmp_path}/{place}@001.jpg" and len(persons) == len(expected) == 6
    assert np.array_equal(read_image(persons.path(0)), read_image(f"{tmp_path}/elsewhere/001.jpg"))


@pytest.mark.parametrize("images", ["images/train.zip", "images/train"])
def test_the_archive_that_a_source_names(tmp_path, images):
    folder = write_set(tmp_path, "train", small_coco(3))
    zip_folder(folder, tmp_path / "images/train.zip")
    folder.rename(tmp_path / "elsewhere")
    assert read_own(source_of(tmp_path, images=images)).path(0) == f"{tmp_path}/images/train.zip@001.jpg"


def test_a_broken_archive_of_a_set_is_told(tmp_path):
    folder = write_set(tmp_path, "train", small_coco(3))
    folder.rename(tmp_path / "elsewhere")
    (tmp_path / "images/train.zip").write_bytes(b"half a download")
    for images in ("", "images/train.zip"):
        with pytest.raises(DataError, match="images/train.zip: is no sound zip archive"):
            read_own(source_of(tmp_path, images=images))
    write_zip(tmp_path / "images/train.zip", {"other.jpg": picture()})
    with pytest.raises(DataError, match=r"image '001.jpg' is in none of the folders tried: .*images/train.zip"):
        read_own(source_of(tmp_path))


def test_mpii_with_its_images_in_an_archive(tmp_path, draw_image):
    row = {"image": "a.jpg", "center": [30, 20], "scale": 0.2, "joints": [[9, 9]] * 16, "joints_vis": [1] * 16}
    (tmp_path / "annot").mkdir()
    (tmp_path / "annot/train.json").write_text(json.dumps([row]))
    draw_image(tmp_path / "drawn/a.jpg")
    zip_folder(tmp_path / "drawn", tmp_path / "images.zip", "images/")
    source = source_of(tmp_path, format="mpii", annotation="annot/train.json", skeleton=get_skeleton("mpii"))
    assert read_own(source).path(0) == f"{tmp_path}/images.zip@a.jpg"
    with pytest.raises(DataError, match="none.zip: image folder of source 'train' does not exist"):
        read_own(replace(source, images="none.zip"))


def test_lsp_with_its_images_in_an_archive(tmp_path, draw_image):
    joints = np.concatenate([np.random.default_rng(0).uniform(5, 35, (14, 2, 2)), np.ones((14, 1, 2))], axis=1)
    savemat(tmp_path / "joints.mat", {"joints": joints})
    for number in (1, 2):
        draw_image(tmp_path / f"drawn/im0000{number}.jpg", seed=number)
    zip_folder(tmp_path / "drawn", tmp_path / "images.zip", "images/")
    persons = read_own(source_of(tmp_path, format="lsp", annotation="joints.mat", skeleton=get_skeleton("lsp")))
    assert persons.path(1) == f"{tmp_path}/images.zip@im00002.jpg" and read_image(persons.path(1)).shape == (44, 60, 3)


def test_a_pool_in_an_archive_is_that_of_the_folder(people, tmp_path):
    (tmp_path / "images/notes.txt").write_text("x")
    (tmp_path / "images/.hidden.png").write_bytes(picture())
    zip_folder(tmp_path / "images", tmp_path / "pool.zip")
    expected = read_folder(str(tmp_path / "images"), 17)
    assert guess_format(str(tmp_path), "pool.zip", True) == "images"
    persons = read_pool(source_of(tmp_path, format="images", annotation="pool.zip"), COCO)
    assert [path.partition("@")[2] for path in persons.image_paths] == [
        os.path.relpath(path, tmp_path / "images") for path in expected.image_paths
    ]
    assert np.array_equal(persons.boxes, expected.boxes) and len(persons) == 5


def test_what_an_archive_cannot_be(tmp_path):
    zip_folder(write_set(tmp_path, "train", small_coco(1)), tmp_path / "s.zip")
    with pytest.raises(ConfigError, match="format 'images' has no labels"):
        read_own(source_of(tmp_path, annotation="s.zip", format=guess_format(str(tmp_path), "s.zip", False)))
    with pytest.raises(DataError, match="s.zip: images of labelme files must be in a folder"):
        read_own(source_of(tmp_path, annotation="images", images="s.zip", format="labelme"))
    with pytest.raises(DataError, match="none.zip: cannot be read: No such file"):
        read_folder(str(tmp_path / "none.zip"), 1)


# Check of images


def test_the_check_of_images_looks_into_archives(tmp_path):
    archive = write_zip(tmp_path / "s.zip", {"a.png": picture(1), "b.png": picture(2), "c.png": picture()[:-50]})
    paths = [f"{archive}@{name}.png" for name in "abcd"]
    found = check_images(paths)
    assert [found[path].size for path in paths] == [(30, 20), (30, 20), None, None]
    assert found[paths[2]].fault == f"{paths[2]}: is truncated or damaged"
    assert found[paths[3]].fault == f"{paths[3]}: is not in the archive"
    assert check_images(paths, headers_only=True)[paths[2]].size == (30, 20)
    assert [finding.text for finding in refused_files(str(archive))] == []


def test_the_same_image_in_an_archive_and_beside_it_is_found(tmp_path):
    archive = write_zip(tmp_path / "s.zip", {"t/a.png": picture(1), "t/b.png": picture(2)})
    (tmp_path / "link.zip").symlink_to(archive)
    (tmp_path / "copy.png").write_bytes(picture(2))
    assert real_path(f"{tmp_path}/link.zip@a.png") == f"{archive}@t/a.png" == real_path(f"{archive}@t/a.png")
    first = [f"{archive}@t/a.png", f"{archive}@t/b.png", f"{archive}@t/none.png"]
    second = [f"{tmp_path}/link.zip@a.png", f"{tmp_path}/copy.png"]
    assert shared_images(first, second) == [(first[0], second[0]), (first[1], second[1])]


# Crop cache


@pytest.mark.parametrize("change", ["time", "checksum", "none", "missing"])
def test_a_changed_archive_gets_a_cache_of_its_own(people, tmp_path, change):
    persons = zipped(people, tmp_path / "images.zip")
    crops, archive = ContextCrops(persons, (16, 20), 1.25, 1.25), tmp_path / "images.zip"
    CachedCrops(crops, tmp_path / "cache")
    facts = archive.stat()
    if change == "checksum":
        forge(archive, CHECKSUM, 7)
        os.utime(archive, ns=(0, facts.st_mtime_ns))
        archives._opened.clear()  # neither size nor time shows that it is another one
    if change == "time":
        os.utime(archive, ns=(0, facts.st_mtime_ns + 10**6))
    if change == "missing":
        archive.unlink()
        assert {image_facts(str(path)) for path in persons.image_paths} == {"missing"}
    CachedCrops(crops, tmp_path / "cache")
    assert len(list((tmp_path / "cache").iterdir())) == (1 if change == "none" else 2)


def test_a_member_has_the_facts_of_its_archive_and_its_own(tmp_path):
    archive = write_zip(tmp_path / "s.zip", {"a.png": picture(1), "b.png": picture(2)})
    facts = [image_facts(f"{archive}@{name}.png") for name in "ab"]
    assert facts[0] != facts[1] and all(fact.startswith(f"{archive.stat().st_size}|") for fact in facts)
    assert image_facts(f"{archive}@c.png") == "missing"


# Loader processes


@pytest.fixture
def crowd(tmp_path, draw_image, make_persons) -> Persons:
    """400 persons on 40 pictures; the persons of a picture do not follow each other."""
    paths = [draw_image(tmp_path / f"images/{n:02d}.{'jpg' if n % 3 else 'png'}", seed=n) for n in range(40)]
    corners = np.random.default_rng(0).uniform(0, 30, (400, 2))
    return make_persons([(paths[7 * n % 40], (*corners[n], 18, 14)) for n in range(400)])


@pytest.mark.parametrize("workers", [0, 2, 4])
@pytest.mark.promise("R16")
@pytest.mark.filterwarnings("ignore:This DataLoader will create 4 worker processes")
def test_400_reads_from_an_archive_by_several_processes(crowd, tmp_path, workers):
    plain, inside = make_dataset(crowd), make_dataset(zipped(crowd, tmp_path / "images.zip"))
    inside.__getitems__([0])  # the archive is open before the processes are forked
    expected = plain.__getitems__(range(400)).images
    loader = PairLoader(Side(inside, 8), workers=Workers(workers))
    batches = [batch.labeled for batch in loader.batches(0)]
    assert sorted(torch.cat([batch.index for batch in batches]).tolist()) == list(range(400))
    for batch in batches:
        assert batch.faults == () and torch.equal(batch.images, expected[batch.index])


@pytest.mark.slow
@pytest.mark.parametrize("cache", ["none", "ram", "disk"])
def test_workers_that_are_started_and_not_forked_read_archives(crowd, tmp_path, cache):
    inside = make_dataset(zipped(crowd, tmp_path / "images.zip"), cache, tmp_path / "cache")
    loader = evaluation_loader(inside, 40, Workers(2))
    loader.multiprocessing_context = "spawn"
    images = torch.cat([batch.images for batch in loader])
    assert torch.equal(images, make_dataset(crowd).__getitems__(range(400)).images)


def test_what_is_sent_to_a_started_process_has_no_open_file(people, tmp_path):
    dataset = make_dataset(zipped(people, tmp_path / "images.zip"))
    before = dataset.__getitems__([0, 1])
    data = pickle.dumps(dataset)
    archives._opened.clear()
    assert torch.equal(pickle.loads(data).__getitems__([0, 1]).images, before.images)


def test_members_stored_with_needless_slashes_and_dots_are_found(people, tmp_path):
    content = Path(people.image_paths[0]).read_bytes()
    path = write_zip(tmp_path / "odd.zip", {"t//b.png": content, "t/./c.png": content})
    for name in ("t/b.png", "t/c.png", "b.png"):
        assert read_image(f"{path}@{name}").any()


def test_a_folder_may_be_named_as_a_member_is_written(people, tmp_path):
    path = tmp_path / "my.zip@home" / "a.png"
    path.parent.mkdir()
    path.write_bytes(Path(people.image_paths[0]).read_bytes())
    assert split_member(str(path)) is None and read_image(str(path)).any()


def test_a_broken_archive_does_not_hide_a_sound_one(tmp_path):
    """`images/val.zip` is tried before `images.zip`."""
    folder = write_set(tmp_path, "val", small_coco(1))
    zip_folder(folder, tmp_path / "images.zip")
    shutil.rmtree(folder)
    (folder.parent / "val.zip").write_bytes(b"half of a copy")
    assert len(read_own(source_of(tmp_path, "val")))
    (tmp_path / "images.zip").unlink()
    with pytest.raises(DataError, match="val.zip: is no sound zip archive"):
        read_own(source_of(tmp_path, "val"))
