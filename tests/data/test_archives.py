"""Images in zip archives: the pixels of the files, in any number of processes, and one line for each bad member."""

import io
import json
import os
import pickle
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
from refusals import refused
from scipy.io import savemat
from small_coco import small_coco, source_of, write_set

from semipose.data import archives
from semipose.data.archives import image_facts, image_name, is_archive, read_bytes, real_path, split_member, stored_size
from semipose.data.context_crops import ContextCrops
from semipose.data.crop_cache import CachedCrops, make_crop_source
from semipose.data.formats.coco import read_coco
from semipose.data.formats.folder import read_folder
from semipose.data.images import image_size, read_image
from semipose.data.loaders import PairLoader, Side, Workers, evaluation_loader
from semipose.data.person_dataset import PersonDataset
from semipose.data.same_files import RealPaths, same_files
from semipose.data.source_format import guess_format
from semipose.data.sources import read_own, read_pool
from semipose.errors import ConfigError, DataError
from semipose.prepare.check_images import check_images, refused_files
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


@pytest.mark.parametrize("name", ["a.zip/x.png", "my.zip@home/x.png"])
def test_a_folder_may_have_the_name_of_an_archive(tmp_path, name):
    path = tmp_path / name
    path.parent.mkdir()
    path.write_bytes(picture())
    assert not is_archive(str(path.parent)) and is_archive(str(tmp_path / "b.zip"))
    assert split_member(str(path)) is None and read_folder(str(path.parent), 1).path(0) == str(path)


@pytest.mark.parametrize("top", ["", "train2017/"])
def test_pixels_are_those_of_the_files(people, tmp_path, top):
    inside = zipped(people, tmp_path / "images.zip", top)
    for file, member in zip(people.image_paths, inside.image_paths):
        for reduce in (1, 2):
            assert np.array_equal(read_image(str(member), reduce), read_image(str(file), reduce))
        assert image_size(str(member)) == image_size(str(file))
        assert stored_size(str(member)) == os.path.getsize(file)


def test_a_member_is_looked_for_as_it_is_named_and_then_below_the_one_folder(tmp_path):
    files = {
        "a/x.png": b"1",
        "a/a/x.png": b"2",
        "a//y.png": b"3",
        "a/./z.png": b"4",
        "__MACOSX/a/._x.png": b"",
        ".D": b"",
    }
    archive = write_zip(tmp_path / "s.zip", files)
    for name, data in {
        "a/x.png": b"1",
        "a/a/x.png": b"2",
        "x.png": b"1",
        "./a//x.png": b"1",
        "y.png": b"3",
        "z.png": b"4",
    }.items():
        assert read_bytes(f"{archive}@{name}") == data
    write_zip(archive, {"a/x.png": b"1", "b/y.png": b"2"})
    assert archives.member_names(str(archive)) == ["a/x.png", "b/y.png"]
    assert refusal(f"{archive}@x.png") == "is not in the archive"


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_the_size_of_an_image_behind_long_comments(tmp_path, method):
    comment = b"\xff\xfe" + struct.pack(">H", 60_002) + np.random.default_rng(0).bytes(60_000)
    data = picture(form="jpeg")
    archive = write_zip(tmp_path / "a.zip", {"a.jpg": data[:2] + 2 * comment + data[2:]}, method)
    assert image_size(f"{archive}@a.jpg") == (30, 20) and read_image(f"{archive}@a.jpg").shape == (20, 30, 3)


def test_an_archive_is_opened_once(tmp_path, monkeypatch):
    archive = write_zip(tmp_path / "a.zip", {f"{n}.png": picture(n) for n in range(5)})
    opened, open_zip = [], zipfile.ZipFile
    monkeypatch.setattr(zipfile, "ZipFile", lambda path: opened.append(path) or open_zip(path))
    for n in range(5):
        read_image(f"{archive}@{n}.png")
        image_size(f"{archive}@{n}.png")
    assert opened == [str(archive)]


def test_many_threads_read_at_once(tmp_path):
    archive = write_zip(tmp_path / "a.zip", {f"{n}.png": picture(n) for n in range(20)})
    paths = [f"{archive}@{n}.png" for n in range(20)] * 10
    expected = [read_bytes(path) for path in paths]
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(read_bytes, paths)) == expected


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda path: forge(path, FLAGS, 1, "<H"), "encrypted"),
        (lambda path: forge(path, METHOD, 12, "<H"), "method 12"),
        (lambda path: forge(path, CHECKSUM, 5), "damaged"),
        (lambda path: forge(path, OFFSET, 3), "damaged"),
        (lambda path: forge(path, PACKED, 10), "damaged"),
        (lambda path: forge(path, SIZE, 100_000), "damaged"),
        pytest.param(lambda path: forge(path, SIZE, 3 * 10**8), "300000000", marks=R11),
        pytest.param(lambda path: forge(path, PACKED, 3 * 10**8), "300000000", marks=R11),
        (lambda path: write_zip(path, {"b.png": picture()}), "is not in the archive"),
        (lambda path: write_zip(path, {}), "is not in the archive"),
        (lambda path: write_zip(path, {"a.png": b""}), "is empty"),
        (lambda path: write_zip(path, {"a.png": b"<html>"}), "is not an image"),
        (lambda path: write_zip(path, {"a.png": picture()[:-99]}), "truncated"),
        (lambda path: path.write_bytes(b"x" * 99), "zip archive"),
        (lambda path: path.write_bytes(b""), "zip archive"),
        (lambda path: path.write_bytes(path.read_bytes()[:-30]), "zip archive"),
        (lambda path: path.unlink(), "No such file"),
    ],
)
def test_a_bad_member_is_one_line_that_names_it(tmp_path, spoil, reason):
    path = write_zip(tmp_path / "s.zip", {"a.png": picture()})
    spoil(path)
    assert reason in refusal(f"{path}@a.png")


def test_a_damaged_member_does_no_harm_to_the_others(tmp_path):
    path = forge(write_zip(tmp_path / "s.zip", {"a.png": picture(), "b.png": picture(1)}), SIZE, 2**32 - 1)
    assert "4294967295" in refusal(f"{path}@a.png") and read_bytes(f"{path}@b.png") == picture(1)


def test_an_archive_with_random_damage_gives_the_pixels_or_one_line(tmp_path):
    path, rng = write_zip(tmp_path / "s.zip", {"t/a.png": picture(), "t/b.png": picture(1)}), np.random.default_rng(0)
    sound, refused = path.read_bytes(), 0
    for number in range(400):
        data = bytearray(sound)
        for place in rng.integers(0, len(data), 3) if number % 2 else rng.integers(data.index(b"PK\1\2"), len(data), 3):
            data[place] = rng.integers(0, 256)
        path.write_bytes(data)
        os.utime(path, ns=(0, number))
        try:
            assert read_bytes(f"{path}@a.png") == picture()
        except DataError as error:
            assert str(error).startswith(f"{path}@a.png: ") and "\n" not in str(error)
            refused += 1
    assert 100 < refused < 400


@pytest.fixture(scope="module")
def bomb(tmp_path_factory) -> bytes:
    return write_zip(tmp_path_factory.mktemp("bomb") / "bomb.zip", {"a.png": bytes(10**8)}).read_bytes()


@pytest.mark.parametrize("declared", [0, 1000, 2**32 - 2])
@pytest.mark.parametrize("read", [read_image, image_size])
@R11
def test_a_bomb_is_refused_before_memory_is_taken(tmp_path, bomb, declared, read):
    path = tmp_path / "bomb.zip"
    path.write_bytes(bomb)
    forge(path, SIZE, declared)
    tracemalloc.start()
    try:
        assert refusal(f"{path}@a.png", read)
        assert tracemalloc.get_traced_memory()[1] < 2 * 10**7  # also what Pillow takes when it is first imported
    finally:
        tracemalloc.stop()


NAMES = [
    ("../a.jpg", "leaves the image folder"),
    ("sub/../../a.jpg", "leaves the image folder"),
    ("/etc/a.jpg", "absolute path"),
    ("C:/a.jpg", "absolute path"),
    ("sub\\a.jpg", "backslash"),
    ("a\0.jpg", "NUL"),
]


def read_named(tmp_path: Path, name: str, images: str) -> Persons:
    """A COCO file whose one image has this name."""
    document = small_coco(1)
    document["images"][0]["file_name"] = name
    (tmp_path / "a.json").write_text(json.dumps(document))
    return read_coco(str(tmp_path / "a.json"), str(tmp_path / images), COCO)


@pytest.mark.parametrize(("name", "reason"), NAMES)
@R10
def test_a_name_cannot_leave_its_archive(tmp_path, caplog, name, reason):
    write_zip(tmp_path / "images.zip", {"b.png": picture()})
    refused(lambda: read_named(tmp_path, name, "images.zip"), "image id 1: file_name: ", reason)
    # `FOLDER/ARCHIVE.zip@NAME` out of an annotation for a folder of images
    write_zip(tmp_path / "s.zip", {name: picture()})
    with pytest.raises(DataError, match=reason):
        read_bytes(read_named(tmp_path, f"s.zip@{name}", "").path(0))
    # a pool leaves such a member out
    archive = write_zip(tmp_path / "pool.zip", {"good.png": picture(), name.replace("\0", "."): picture(1)})
    if "\0" in name:
        archive.write_bytes(archive.read_bytes().replace(b"a..jpg", b"a\0.jpg"))
    assert list(read_folder(str(archive), 1).image_paths) == [f"{archive}@good.png"] and reason in caplog.text
    assert [reason in finding.text for finding in refused_files(str(archive))] == [True]


@R10
def test_links_out_of_the_folder(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images/s.zip").symlink_to(write_zip(tmp_path / "outside.zip", {"a.png": picture()}))
    with pytest.raises(DataError, match="s.zip@a.png.*link"):
        read_named(tmp_path, "s.zip@a.png", "images")
    link = zipfile.ZipInfo("a.png")  # in an archive, it is not followed
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "l.zip", "w") as archive:
        archive.writestr(link, str(tmp_path / "outside.zip"))
    assert refusal(f"{tmp_path}/l.zip@a.png") == "is not an image"


@pytest.mark.parametrize("place", ["images/train.zip", "train.zip", "images.zip"])
@pytest.mark.parametrize("top", ["", "train/"])
def test_the_archive_of_a_set_is_found(tmp_path, place, top):
    folder = write_set(tmp_path, "train", small_coco(3))
    zip_folder(folder, tmp_path / place, top)
    expected = read_own(source_of(tmp_path))
    assert expected.path(0) == str(folder / "001.jpg")  # a folder goes first
    folder.rename(tmp_path / "elsewhere")
    persons = read_own(source_of(tmp_path))
    assert persons.path(0) == f"{tmp_path}/{place}@001.jpg" and len(persons) == len(expected) == 6
    named = source_of(tmp_path, images=place if place == "images.zip" else place.removesuffix(".zip"))
    assert read_own(named).path(0) == persons.path(0)


def test_a_broken_archive_of_a_set_is_named(tmp_path):
    folder = write_set(tmp_path, "train", small_coco(3))
    folder.rename(tmp_path / "elsewhere")
    (tmp_path / "images/train.zip").write_bytes(b"half a download")
    for images in ("", "images/train.zip"):
        with pytest.raises(DataError, match="images/train.zip"):
            read_own(source_of(tmp_path, images=images))
    zip_folder(tmp_path / "elsewhere", tmp_path / "images.zip")  # it does not hide a sound one
    assert len(read_own(source_of(tmp_path)))
    write_zip(tmp_path / "images.zip", {"other.jpg": picture()})
    (tmp_path / "images/train.zip").unlink()
    with pytest.raises(DataError, match=r"001.jpg.*images.zip"):
        read_own(source_of(tmp_path))


def test_mpii_and_lsp_with_their_images_in_an_archive(tmp_path, draw_image):
    row = {"image": "im00001.jpg", "center": [30, 20], "scale": 0.2, "joints": [[9, 9]] * 16, "joints_vis": [1] * 16}
    (tmp_path / "annot").mkdir()
    (tmp_path / "annot/train.json").write_text(json.dumps([row]))
    joints = np.concatenate([np.random.default_rng(0).uniform(5, 35, (14, 2, 2)), np.ones((14, 1, 2))], axis=1)
    savemat(tmp_path / "joints.mat", {"joints": joints})
    for number in (1, 2):
        draw_image(tmp_path / f"drawn/im0000{number}.jpg", seed=number)
    zip_folder(tmp_path / "drawn", tmp_path / "images.zip", "images/")
    mpii = source_of(tmp_path, format="mpii", annotation="annot/train.json", skeleton=get_skeleton("mpii"))
    assert read_own(mpii).path(0) == f"{tmp_path}/images.zip@im00001.jpg"
    with pytest.raises(DataError, match="none.zip"):
        read_own(replace(mpii, images="none.zip"))
    lsp = read_own(source_of(tmp_path, format="lsp", annotation="joints.mat", skeleton=get_skeleton("lsp")))
    assert lsp.path(1) == f"{tmp_path}/images.zip@im00002.jpg"


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
    with pytest.raises(ConfigError, match="'images'"):
        read_own(source_of(tmp_path, annotation="s.zip", format=guess_format(str(tmp_path), "s.zip", False)))
    with pytest.raises(DataError, match="s.zip"):
        read_own(source_of(tmp_path, annotation="images", images="s.zip", format="labelme"))
    with pytest.raises(DataError, match="none.zip"):
        read_folder(str(tmp_path / "none.zip"), 1)


def test_the_check_of_images_looks_into_archives(tmp_path):
    archive = write_zip(tmp_path / "s.zip", {"a.png": picture(1), "b.png": picture(2), "c.png": picture()[:-50]})
    paths = [f"{archive}@{name}.png" for name in "abcd"]
    found = check_images(paths)
    assert [found[path].size for path in paths] == [(30, 20), (30, 20), None, None]
    assert all(found[path].fault.startswith(path) for path in paths[2:])
    assert check_images(paths, headers_only=True)[paths[2]].size == (30, 20)
    assert refused_files(str(archive)) == []


def test_the_same_image_in_an_archive_and_beside_it_is_found(tmp_path):
    archive = write_zip(tmp_path / "s.zip", {"t/a.png": picture(1), "t/b.png": picture(2)})
    (tmp_path / "link.zip").symlink_to(archive)
    (tmp_path / "copy.png").write_bytes(picture(2))
    assert real_path(f"{tmp_path}/link.zip@a.png") == f"{archive}@t/a.png" == real_path(f"{archive}@t/a.png")
    first = [f"{archive}@t/a.png", f"{archive}@t/b.png", f"{archive}@t/none.png"]
    second = [f"{tmp_path}/link.zip@a.png", f"{tmp_path}/copy.png"]
    assert same_files(first, second, RealPaths()) == {first[0]: second[0], first[1]: second[1]}


@pytest.mark.parametrize("change", ["time", "checksum", "none", "missing"])
def test_a_changed_archive_gets_a_cache_of_its_own(people, tmp_path, change):
    persons = zipped(people, tmp_path / "images.zip")
    crops, archive = ContextCrops(persons, (16, 20), 1.25, 1.25), tmp_path / "images.zip"
    assert len({image_facts(str(path)) for path in persons.image_paths}) == 5
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
