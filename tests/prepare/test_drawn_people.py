import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO as CocoFile

import semipose
from semipose.errors import ConfigError, DataError
from semipose.prepare import drawn_people, drawn_scene
from semipose.prepare.drawn_people import SETS, draw_person, write_demo_data
from semipose.skeletons import get_skeleton

COCO = get_skeleton("coco")
PART_COLOURS = {
    "head": (250, 0, 0), "torso": (0, 250, 0), "left arm": (0, 0, 250), "right arm": (250, 250, 0),
    "left leg": (250, 0, 250), "right leg": (0, 250, 250),
}  # fmt: skip


def people(count, size=80, seed=3):
    return [draw_person(np.random.default_rng([seed, i]), size) for i in range(count)]


def part_of(name):
    side, _, joint = name.partition("_")
    limb = {"shoulder": "arm", "elbow": "arm", "wrist": "arm", "hip": "leg", "knee": "leg", "ankle": "leg"}.get(joint)
    return f"{side} {limb}" if limb else "head"


def shrink(rng, canvas):
    side = canvas.shape[0] // drawn_scene.SUPERSAMPLING
    return cv2.resize(canvas, (side, side), interpolation=cv2.INTER_AREA)


@pytest.fixture
def parts_only(monkeypatch):
    """Pictures of the bare figure on black, each body part in a colour of its own."""
    add = drawn_scene.Figure.add
    monkeypatch.setattr(drawn_scene.Figure, "add", lambda f, part, line, _: add(f, part, line, PART_COLOURS[part]))
    scale = drawn_scene.SUPERSAMPLING
    black = lambda rng, size: np.zeros((size * scale, size * scale, 3), np.uint8)  # noqa: E731
    monkeypatch.setattr(drawn_scene, "draw_background", black)
    monkeypatch.setattr(drawn_scene, "draw_distractors", lambda *args: None)
    monkeypatch.setattr(drawn_scene, "draw_folds", lambda *args, striped: None)
    monkeypatch.setattr(drawn_scene, "draw_occluders", lambda r, canvas, b: np.zeros(canvas.shape[:2], np.uint8))
    monkeypatch.setattr(drawn_scene, "photograph", shrink)


def test_a_shape_lands_on_its_pixel_coordinates():
    canvas = np.zeros((160, 160), np.uint8)
    drawn_scene.fill(canvas, drawn_scene.ellipse(np.array([10.0, 20.3]), np.array([5, 0]), np.array([0, 3])), 255)
    picture = shrink(None, canvas).astype(float)
    rows, columns = np.mgrid[:40, :40]
    assert (picture * columns).sum() / picture.sum() == pytest.approx(10.0, abs=0.05)
    assert (picture * rows).sum() / picture.sum() == pytest.approx(20.3, abs=0.05)


def test_same_generator_same_picture_and_the_size_asked_for():
    first, again, other = (draw_person(np.random.default_rng(s), 64) for s in (1, 1, 2))
    assert first.image.shape == (64, 64, 3) and first.image.dtype == np.uint8
    assert np.array_equal(first.image, again.image) and np.array_equal(first.keypoints, again.keypoints)
    assert not np.array_equal(first.image, other.image)


def test_pixels_at_seen_joints_show_the_part_that_the_joint_belongs_to(parts_only):
    names, colours = list(PART_COLOURS), np.array(list(PART_COLOURS.values()), float)
    right, seen = 0, 0
    for person in people(60):
        for name, (x, y, v) in zip(COCO.keypoints, person.keypoints):
            pixel = person.image[round(y), round(x)].astype(float)
            shown = names[np.linalg.norm(colours - pixel, axis=1).argmin()] if pixel.any() else None
            allowed = {part_of(name)} | ({"torso"} if name.endswith(("shoulder", "hip")) else set())
            seen += v == 2
            right += v == 2 and shown in allowed
            # without occluders only another part, or the far side of the head, can hide a joint
            assert v == 2 or shown is not None
    assert seen > 0.85 * 60 * 17
    assert right > 0.98 * seen


def test_area_is_that_of_the_figure_and_the_box_is_tight(parts_only):
    for person in people(10):
        figure = person.image.any(axis=2)
        assert person.area == pytest.approx(person.image.max(axis=2).sum() / 250, rel=0.06)
        rows, columns = np.nonzero(figure)
        box = [columns.min(), rows.min(), np.ptp(columns), np.ptp(rows)]
        assert np.abs(person.bbox - box).max() < 1.1


def test_the_person_faces_us():
    """Seen from the person's feet to its head, its left shoulder, hip and eye are on the right-hand side."""
    at = {name: i for i, name in enumerate(COCO.keypoints)}
    for person in people(40):
        xy = person.keypoints[:, :2]
        up = xy[[at["left_shoulder"], at["right_shoulder"]]].mean(0) - xy[[at["left_hip"], at["right_hip"]]].mean(0)
        for joint in ("shoulder", "hip", "eye"):
            across = xy[at[f"left_{joint}"]] - xy[at[f"right_{joint}"]]
            assert up[0] * across[1] - up[1] * across[0] > 0


def test_joints_behind_an_occluder_are_labelled_as_hidden(monkeypatch):
    def cover_all(rng, canvas, bbox):
        return np.ones(canvas.shape[:2], np.uint8)

    monkeypatch.setattr(drawn_scene, "draw_occluders", cover_all)
    assert all((person.keypoints[:, 2] == 1).all() for person in people(3))


def test_joints_outside_the_picture_are_not_labelled(monkeypatch):
    place = drawn_people._place

    def push_left(rng, figure, size):
        bbox = place(rng, figure, size)
        figure.move(np.eye(2), np.array([-size / 2, 0]))
        return bbox - [size / 2, 0, 0, 0]

    whole = people(5)
    monkeypatch.setattr(drawn_people, "_place", push_left)
    for before, after in zip(whole, people(5)):
        outside = before.keypoints[:, 0] - 40 < -0.5
        assert outside.any() and not outside.all()
        assert (after.keypoints[outside] == 0).all() and (after.keypoints[~outside, 2] > 0).all()
        assert after.bbox[0] == 0 and after.bbox[0] + after.bbox[2] < 60


def read(root, name):
    return json.loads((root / "annotations" / f"person_keypoints_{name}.json").read_text())


def pictures(root):
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.glob("images/*/*.png"))}


def test_folders_are_valid_coco(tmp_path):
    root = tmp_path / "demo"
    assert write_demo_data(root, 3, 5, 4, seed=1)
    image_ids = []
    for name, count in {"labeled": 3, "unlabeled": 5, "val": 4}.items():
        content = read(root, name)
        assert len(CocoFile(root / "annotations" / f"person_keypoints_{name}.json").getAnnIds(catIds=[1])) == count
        assert [a["id"] for a in content["annotations"]] == list(range(1, count + 1))
        assert [a["image_id"] for a in content["annotations"]] == [i["id"] for i in content["images"]]
        assert content["categories"][0]["keypoints"] == list(COCO.keypoints)
        image_ids += [i["id"] for i in content["images"]]
        for image, person in zip(content["images"], content["annotations"]):
            picture = cv2.imread(str(root / "images" / name / image["file_name"]))
            assert picture.shape == (image["height"], image["width"], 3) == (80, 80, 3)
            x, y, w, h = person["bbox"]
            assert x >= 0 and y >= 0 and x + w <= 79 and y + h <= 79
            assert 0.515 * 80 <= max(w, h) <= 0.685 * 80 and 0 < person["area"] < w * h
            points = np.reshape(person["keypoints"], (17, 3))
            assert person["num_keypoints"] == np.count_nonzero(points[:, 2]) == 17
            assert (points[:, :2] >= [x - 0.02, y - 0.02]).all()
            assert (points[:, :2] <= [x + w + 0.02, y + h + 0.02]).all()
    assert len(set(image_ids)) == 12
    assert len(set(pictures(root).values())) == 12, "sets share a picture"


def test_a_picture_depends_on_seed_set_and_index_only(tmp_path):
    write_demo_data(tmp_path / "a", 2, 3, 1, seed=1)
    write_demo_data(tmp_path / "b", 3, 1, 2, seed=1)
    write_demo_data(tmp_path / "c", 2, 3, 1, seed=2)
    a, b, c = (pictures(tmp_path / n) for n in "abc")
    assert len(a.keys() & b.keys()) == 4
    assert all(a[name] == b[name] for name in a.keys() & b.keys())
    assert all(a[name] != c[name] for name in a)
    assert read(tmp_path / "a", "labeled")["annotations"] == read(tmp_path / "b", "labeled")["annotations"][:2]
    saved = cv2.imread(str(tmp_path / "a" / "images" / "val" / "000001.png"))[..., ::-1]
    val = drawn_people.SETS.index("val")
    assert np.array_equal(saved, draw_person(np.random.default_rng([1, val, 0]), 80).image)


def test_pictures_of_one_person_stay_as_they_were(tmp_path):
    """Results in texts are of these pictures; a change needs a new number in GENERATOR."""
    write_demo_data(tmp_path / "demo", 2, 3, 1, seed=1)
    text = "".join((tmp_path / f"demo/annotations/person_keypoints_{name}.json").read_text() for name in SETS)
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == "20f46026537a1041"
    means = [cv2.imdecode(np.frombuffer(p, np.uint8), 1).mean() for p in pictures(tmp_path / "demo").values()]
    assert np.abs(np.array(means) - [146.07, 134.66, 127.88, 145.4, 146.94, 104.76]).max() < 0.05


def test_same_settings_are_skipped_and_changed_ones_drawn_again(tmp_path):
    root, settings = tmp_path / "demo", {"labeled": 2, "unlabeled": 1, "val": 1}
    assert write_demo_data(root, **settings)
    before = pictures(root)
    mark = root / "images" / "val" / "000001.png"
    mark.write_bytes(b"")
    assert not write_demo_data(root, **settings) and mark.read_bytes() == b""
    assert write_demo_data(root, **settings, force=True) and pictures(root) == before
    assert write_demo_data(root, **{**settings, "labeled": 1})
    assert len(read(root, "labeled")["images"]) == 1 and len(pictures(root)) == 3
    assert [p.name for p in tmp_path.iterdir()] == ["demo"]


def test_an_interrupted_run_leaves_the_old_data_and_is_done_again(tmp_path, monkeypatch):
    root = tmp_path / "demo"
    write_demo_data(root, 1, 1, 1)
    before, write_set = pictures(root), drawn_people._write_set

    def stop_at_val(folder, name, *rest):
        if name == "val":
            raise KeyboardInterrupt
        write_set(folder, name, *rest)

    monkeypatch.setattr(drawn_people, "_write_set", stop_at_val)
    with pytest.raises(KeyboardInterrupt):
        write_demo_data(root, 2, 1, 1)
    assert pictures(root) == before
    monkeypatch.undo()
    assert write_demo_data(root, 2, 1, 1) and len(pictures(root)) == 4


@pytest.mark.parametrize("manifest", [None, "{", "[]", '{"generator": "something else"}'])
def test_a_folder_of_other_things_is_left_alone(tmp_path, manifest):
    (tmp_path / "mine.txt").write_text("x")
    if manifest is not None:
        (tmp_path / "manifest.json").write_text(manifest)
    with pytest.raises(DataError, match="not overwritten"):
        write_demo_data(tmp_path, 1, 1, 1, force=True)
    assert (tmp_path / "mine.txt").read_text() == "x"


@pytest.mark.parametrize("wrong", [{"labeled": 0}, {"val": -1}, {"size": 8}, {"seed": -1}])
def test_bad_settings_are_named(tmp_path, wrong):
    with pytest.raises(ConfigError, match=f"{next(iter(wrong))} is {next(iter(wrong.values()))}"):
        write_demo_data(tmp_path / "demo", **wrong)
    assert not (tmp_path / "demo").exists()


def test_command_line(tmp_path):
    package = Path(semipose.__file__).resolve().parents[1]
    tool = Path(__file__).resolve().parents[2] / "tools" / "make_demo_data.py"

    def run(*arguments):
        command = [sys.executable, str(tool), "--out", "demo", "--unlabeled", "1", "--val", "1", *arguments]
        environment = {**os.environ, "PYTHONPATH": str(package)}
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)

    first, second, wrong = run("--labeled", "2"), run("--labeled", "2"), run("--labeled", "0")
    assert first.returncode == 0 and "drew 4 pictures" in first.stdout
    assert second.returncode == 0 and "nothing to do" in second.stdout
    assert wrong.returncode == 2 and wrong.stderr.count("\n") == 1 and "labeled is 0" in wrong.stderr
    assert len(pictures(tmp_path / "demo")) == 4
