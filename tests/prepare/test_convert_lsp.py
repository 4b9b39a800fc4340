"""LSP converter: both layouts of joints.mat, the split, and the tool as a user calls it."""

import errno
import json
import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from refusals import refused
from scipy.io import savemat

import semipose
from semipose.data.formats import locate_coco, read_coco
from semipose.data.formats.lsp import convert_lsp, read_joints, read_lsp
from semipose.errors import NoSpaceError
from semipose.skeletons import get_skeleton

TOOL = Path(__file__).parents[2] / "tools/convert_lsp.py"
LSP = get_skeleton("lsp")
WIDTH, HEIGHT = 100, 90


def joints(count: int) -> np.ndarray:
    """(N, 14, 3) with flag 1, inside the image and different for each person."""
    positions = np.random.default_rng(0).uniform(20, 70, (count, 14, 2))
    return np.concatenate([positions, np.ones((count, 14, 1))], axis=2)


def write_set(root: Path, values: np.ndarray, extended: bool = True) -> str:
    (root / "images").mkdir(parents=True)
    savemat(root / "joints.mat", {"joints": values.transpose((1, 2, 0) if extended else (2, 1, 0))})
    for number in range(1, len(values) + 1):
        Image.fromarray(np.full((HEIGHT, WIDTH, 3), number, np.uint8)).save(root / f"images/im{number:05d}.jpg")
    return str(root)


def test_native_persons_equal_those_of_the_converted_set(tmp_path):
    root = write_set(tmp_path / "set", joints(6))
    convert_lsp(root, str(tmp_path / "out"), 3, 3, seed=5)
    native = read_lsp(f"{root}/joints.mat", f"{root}/images", LSP)
    assert native.ids.tolist() == [1, 2, 3, 4, 5, 6]
    for name in ("train", "val"):
        converted = read_coco(*locate_coco(str(tmp_path / "out"), name), LSP)
        own = native.take(converted.ids - 1)
        for field in ("ids", "boxes", "keypoints", "areas", "scores"):
            np.testing.assert_array_equal(getattr(own, field), getattr(converted, field), field)
        files = [[os.path.basename(persons.path(row)) for row in range(3)] for persons in (own, converted)]
        assert files[0] == files[1]


def test_native_persons_need_the_skeleton_and_someone_to_learn_from(tmp_path):
    values = joints(2)
    values[:, :, 2] = 0
    root = write_set(tmp_path / "set", values)
    for skeleton, word in ((LSP, "4 labelled joints"), (get_skeleton("coco"), "'coco'")):
        refused(lambda: read_lsp(f"{root}/joints.mat", f"{root}/images", skeleton), "joints.mat", word)  # noqa: B023


def load(out: Path, name: str) -> dict:
    return json.loads((out / f"annotations/person_keypoints_{name}.json").read_text())


@pytest.mark.parametrize(("extended", "flags"), [(True, {1: 2, 0: 0}), (False, {1: 1, 0: 2})])
@pytest.mark.parametrize("count", [1, 3])
def test_layouts_and_their_flags(tmp_path, extended, flags, count):
    values = joints(count)
    values[0, 3:5, 2] = 0
    write_set(tmp_path / "set", values, extended)
    read = read_joints(str(tmp_path / "set/joints.mat"))
    assert read.shape == (count, 14, 3)
    np.testing.assert_allclose(read[:, :, :2], values[:, :, :2])
    assert read[0, :, 2].tolist() == [flags[int(flag)] for flag in values[0, :, 2]]


def test_box_area_and_keypoints_of_one_person(tmp_path):
    values = joints(2)
    values[0, :, 2] = 0
    values[0, :, :2] = (0, -66.3)  # where the extended set puts joints without a label
    values[0, :4] = [[30, 40, 1], [50, 40, 1], [50, 80, 1], [31.25, 60, 1]]
    out = tmp_path / "out"
    convert_lsp(write_set(tmp_path / "set", values), str(out), 1, 1, padding=0.1)
    content = {a["id"]: a for name in ("train", "val") for a in load(out, name)["annotations"]}[1]
    assert content["bbox"] == [26, 36, 28, 48]  # margin 4 = 0.1 of the longer side, 40
    assert content["area"] == pytest.approx(0.53 * 28 * 48, abs=0.01)
    assert content["num_keypoints"] == 4
    assert content["keypoints"] == [30, 40, 2, 50, 40, 2, 50, 80, 2, 31.25, 60, 2] + [0] * 30


def test_box_stays_inside_and_joints_outside_are_not_labelled(tmp_path):
    values = joints(2)
    values[0, 0, :2], values[0, 1, :2], values[0, 2, :2] = (0, 0), (WIDTH - 1, HEIGHT - 1), (WIDTH, 10)
    out = tmp_path / "out"
    convert_lsp(write_set(tmp_path / "set", values), str(out), 1, 1)
    content = {a["id"]: a for name in ("train", "val") for a in load(out, name)["annotations"]}[1]
    assert content["bbox"] == [0, 0, WIDTH - 1, HEIGHT - 1]
    assert content["keypoints"][6:9] == [0, 0, 0] and content["num_keypoints"] == 13


def test_split_is_complete_disjoint_seeded_and_recorded(tmp_path):
    values = joints(12)
    values[4, 3:, 2] = 0  # three joints are too few
    root = write_set(tmp_path / "set", values)
    counts = convert_lsp(root, str(tmp_path / "a"), 3, 4, seed=5)
    scenes = {"scenes": 11, "bursts": 0, "largest": 1}  # plain pictures resemble nothing
    assert counts == {"train": 3, "unlabeled": 4, "val": 4, "dropped": 1} | scenes
    split = json.loads((tmp_path / "a/split.json").read_text())
    names = split["train"] + split["unlabeled"] + split["val"]
    assert sorted(names) == [f"im{n:05d}.jpg" for n in range(1, 13) if n != 5]
    for name in ("train", "unlabeled", "val"):
        assert [image["file_name"] for image in load(tmp_path / "a", name)["images"]] == split[name]
    convert_lsp(root, str(tmp_path / "b"), 3, 4, seed=5)
    assert json.loads((tmp_path / "b/split.json").read_text()) == split
    convert_lsp(root, str(tmp_path / "c"), 3, 4, seed=6)
    assert json.loads((tmp_path / "c/split.json").read_text()) != split


def write_bursts(root: Path, sizes: list[int]) -> str:
    """As `write_set`, with pictures of scenes of the given sizes; image numbers of a scene are neighbours."""
    written = write_set(root, joints(sum(sizes)))
    for number, scene in enumerate(np.repeat(np.arange(len(sizes)), sizes).tolist(), 1):
        patches = np.random.default_rng(scene).integers(0, 255, (3, 4, 3), np.uint8)
        picture = np.asarray(Image.fromarray(patches).resize((WIDTH, HEIGHT))).copy()
        picture[:20, number : number + 10] = 0
        Image.fromarray(picture).save(root / f"images/im{number:05d}.jpg", quality=95)
    return written


def test_no_scene_on_both_sides_of_validation(tmp_path):
    sizes = [4, 3, 3, 2, 2, 1, 1, 1, 1, 1, 1]
    root, found = write_bursts(tmp_path / "set", sizes), []
    scene_of = dict(zip((f"im{n:05d}.jpg" for n in range(1, 21)), np.repeat(np.arange(11), sizes).tolist()))
    for seed in range(5):
        counts = convert_lsp(root, str(tmp_path / "out"), 6, 8, seed)
        assert counts == {"train": 6, "unlabeled": 6, "val": 8, "dropped": 0, "scenes": 11, "bursts": 5, "largest": 4}
        split = json.loads((tmp_path / "out/split.json").read_text())
        held_out = {scene_of[name] for name in split["val"]}
        assert not held_out & {scene_of[name] for name in split["train"] + split["unlabeled"]}
        assert split["scenes"] == 11
        assert [[scene_of[name] for name in burst] for burst in split["bursts"]] == [[i] * sizes[i] for i in range(5)]
        found.append(held_out)
    assert len(set(map(tuple, found))) > 1


def test_more_labels_contain_fewer_and_validation_stays(tmp_path):
    root, splits = write_bursts(tmp_path / "set", [2, 2, 2, 1, 1, 1, 1]), []
    for count in (2, 5):
        convert_lsp(root, str(tmp_path / "out"), count, 4, seed=3)
        splits.append(json.loads((tmp_path / "out/split.json").read_text()))
    few, many = splits
    assert few["val"] == many["val"]
    assert many["train"][:2] == few["train"]
    assert few["train"] + few["unlabeled"] == many["train"] + many["unlabeled"]


def test_scenes_that_do_not_fit_into_validation(tmp_path):
    root = write_bursts(tmp_path / "set", [3, 3])
    refused(lambda: convert_lsp(root, str(tmp_path / "out"), 1, 2), "0 persons for val 2")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("copy", [False, True])
def test_coco_reader_gives_the_joints_back(tmp_path, copy):
    values = joints(5)
    root = write_set(tmp_path / "set", values)
    out = str(tmp_path / "out")
    for _ in range(2):  # running it again changes nothing
        convert_lsp(root, out, 2, 2, copy=copy)
    assert os.path.islink(os.path.join(out, "images")) is not copy
    for name, count in (("train", 2), ("val", 2), ("unlabeled", 1)):
        persons = read_coco(*locate_coco(out, name), LSP)
        assert len(persons) == count
        np.testing.assert_allclose(persons.keypoints, values[persons.ids - 1], atol=0.006)
        assert all(os.path.isfile(path) for path in persons.image_paths.tolist())


def test_output_folder_of_other_images_is_kept(tmp_path):
    root = write_set(tmp_path / "set", joints(3))
    (tmp_path / "out/images").mkdir(parents=True)
    (tmp_path / "out/images/mine.jpg").write_bytes(b"x")
    refused(lambda: convert_lsp(root, str(tmp_path / "out"), 1, 1), "out/images")
    assert (tmp_path / "out/images/mine.jpg").exists()


@pytest.mark.parametrize(
    ("damage", "word"),
    [
        (lambda root: (root / "joints.mat").unlink(), "joints.mat"),
        (lambda root: (root / "joints.mat").write_bytes(b""), "joints.mat"),
        (lambda root: (root / "joints.mat").write_bytes(b"x" * 500), "joints.mat"),
        (lambda root: savemat(root / "joints.mat", {"other": [1]}), "'joints'"),
        (lambda root: savemat(root / "joints.mat", {"joints": np.zeros((16, 3, 9))}), "(16, 3, 9)"),
        (lambda root: savemat(root / "joints.mat", {"joints": np.zeros((14, 3, 2))}), "im00003.jpg"),
        (lambda root: [p.unlink() for p in (root / "images").iterdir()], "/images"),
        (lambda root: (root / "images").rename(root / "pictures"), "/images"),
        (lambda root: (root / "images/im00002.jpg").write_bytes(b"x"), "im00002.jpg"),
        (lambda root: [(root / f"images/im0000{n}.jpg").unlink() for n in (1, 2)], "1 persons"),
    ],
)
def test_broken_sets(tmp_path, damage, word):
    root = write_set(tmp_path / "set", joints(3))
    damage(tmp_path / "set")
    refused(lambda: convert_lsp(root, str(tmp_path / "out"), 1, 1), word)
    assert not (tmp_path / "out").exists()


def full_disk(*arguments, **options):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(("copy", "holder", "name"), [(True, shutil, "copy2"), (False, os, "replace")])
def test_full_disk_leaves_nothing_half_written(tmp_path, monkeypatch, copy, holder, name):
    root, out = write_set(tmp_path / "set", joints(3)), tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(holder, name, full_disk)
        with pytest.raises(NoSpaceError, match="out: cannot write: No space left"):
            convert_lsp(root, str(out), 1, 1, copy=copy)
    assert not [path for path in out.rglob("*") if path.is_file() and path.parent.name != "images"]
    assert (out / "images").exists() is not copy and not (out / "images.tmp").exists()
    convert_lsp(root, str(out), 1, 1, copy=copy)  # goes on without a hand
    assert len(load(out, "train")["images"]) == 1


def test_failed_write_keeps_the_file_that_was_there(tmp_path, monkeypatch):
    root, out = write_set(tmp_path / "set", joints(3)), tmp_path / "out"
    convert_lsp(root, str(out), 1, 1, seed=1)
    before = (out / "annotations/person_keypoints_train.json").read_text()

    monkeypatch.setattr(os, "replace", full_disk)
    with pytest.raises(NoSpaceError):
        convert_lsp(root, str(out), 1, 1, seed=2)
    assert (out / "annotations/person_keypoints_train.json").read_text() == before
    assert len(list((out / "annotations").iterdir())) == 3


def test_copies_where_links_are_refused(tmp_path, monkeypatch):
    root, out = write_set(tmp_path / "set", joints(3)), tmp_path / "out"
    (tmp_path / "set/images/notes.txt").write_text("x")
    monkeypatch.setattr(os, "symlink", full_disk)
    for _ in range(2):
        convert_lsp(root, str(out), 1, 1)
    assert sorted(path.name for path in (out / "images").iterdir()) == [f"im0000{n}.jpg" for n in (1, 2, 3)]


@pytest.mark.parametrize("blocked", ["out", "out/annotations", "out/split.json"])
def test_place_that_is_taken(tmp_path, blocked):
    root = write_set(tmp_path / "set", joints(3))
    place = tmp_path / blocked
    if blocked == "out/split.json":
        place.mkdir(parents=True)
    else:
        place.parent.mkdir(exist_ok=True)
        place.write_text("x")
    refused(lambda: convert_lsp(root, str(tmp_path / "out"), 1, 1), blocked)


def test_tool(tmp_path):
    root, out = write_set(tmp_path / "set", joints(6)), tmp_path / "out"
    command = [sys.executable, str(TOOL), "--root", root, "--out", str(out), "--train-len", "2", "--val", "3"]
    library = str(Path(semipose.__file__).parents[1])
    result = subprocess.run(command, env={**os.environ, "PYTHONPATH": library}, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "train 2, unlabeled 1, val 3, dropped 0" in result.stdout
    assert len(load(out, "val")["annotations"]) == 3


def test_tool_fails_in_one_line(tmp_path, capsys):
    main = runpy.run_path(str(TOOL))["main"]
    assert main(["--root", str(tmp_path), "--out", str(tmp_path / "out"), "--train-len", "2", "--val", "3"]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"error: {tmp_path}/joints.mat: ") and told.count("\n") == 1
