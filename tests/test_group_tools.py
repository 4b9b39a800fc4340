"""labelme tools: group ids found again in any order, and labelme folders as COCO files with their groups."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import semipose
from semipose.data.formats import read_coco
from semipose.data.formats.labelme import read_labelme
from semipose.data.group_ids import load_group_mapping, with_group_ids
from semipose.skeletons import get_skeleton

TOOLS = Path(__file__).parents[1] / "tools"
COCO = get_skeleton("coco")
WIDTH, HEIGHT = 640, 427
PERSONS_PER_IMAGE = (3, 1, 4, 2)
PERSONS = sum(PERSONS_PER_IMAGE)

mapping_tool = runpy.run_path(str(TOOLS / "generate_group_id_mapping.py"))["main"]
convert_tool = runpy.run_path(str(TOOLS / "convert_labelme.py"))["main"]


def write_shapes(path: Path, shapes: list[dict], image: str) -> None:
    """A file as labelme 6.3.1 saves it."""
    document = {"version": "6.3.1", "flags": {}, "shapes": shapes, "imagePath": image, "imageData": None}
    path.write_text(json.dumps({**document, "imageHeight": HEIGHT, "imageWidth": WIDTH}, indent=2))


def coco_persons() -> list[dict]:
    """COCO annotations; persons of an image stand side by side, as in a crowd; some keypoints are not labelled."""
    rng, people = np.random.default_rng(11), []
    for image, count in enumerate(PERSONS_PER_IMAGE, 1):
        for person in range(count):
            low = np.array([40 + 60 * person, 50])
            xyv = np.column_stack([rng.uniform(low, low + [130, 300], (17, 2)).round(), rng.choice([0, 1, 2, 2], 17)])
            xyv[0, 2], xyv[xyv[:, 2] == 0] = 2, 0
            people.append({
                "id": int(rng.integers(10**6)), "image_id": image, "category_id": 1, "iscrowd": 0,
                "bbox": [*low.tolist(), 130, 300], "area": 9000, "keypoints": xyv.ravel().tolist(),
            })  # fmt: skip
    return people


def write_coco(path: Path, people: list[dict]) -> str:
    images = [
        {"id": n, "file_name": f"{n:012d}.jpg", "width": WIDTH, "height": HEIGHT}
        for n in range(1, len(PERSONS_PER_IMAGE) + 1)
    ]
    category = {"id": 1, "name": "person", "keypoints": list(COCO.keypoints)}
    path.write_text(json.dumps({"images": images, "annotations": people, "categories": [category]}))
    return str(path)


def shapes_of(person: dict, group: int | None, rng: np.random.Generator) -> list[dict]:
    """Points in random order, moved as by rounding, and the box."""
    xyv = np.reshape(person["keypoints"], (17, 3))
    moved = xyv[:, :2] + rng.uniform(-0.5, 0.5, (17, 2))
    x, y, w, h = person["bbox"]
    shared = {"group_id": group, "flags": {}}
    shapes = [{"label": "person", "points": [[x, y], [x + w, y + h]], "shape_type": "rectangle", **shared}]
    for joint in rng.permutation(17):
        if xyv[joint, 2]:
            text = {"shape_type": "point", "description": str(int(xyv[joint, 2])), **shared}
            shapes.append({"label": COCO.keypoints[joint], "points": [moved[joint].tolist()], **text})
    return shapes


def write_labelme(folder: Path, people: list[dict], seed: int = 0) -> dict[int, int]:
    """A labelme folder with the persons of each image in random order; returns {annotation id: group id}."""
    rng, groups = np.random.default_rng(seed), {}
    folder.mkdir()
    for image in range(1, len(PERSONS_PER_IMAGE) + 1):
        here = [person for person in people if person["image_id"] == image]
        chosen = {person["id"]: group for group, person in zip(rng.permutation(9).tolist(), here)}
        shuffled = [here[n] for n in rng.permutation(len(here))]
        shapes = [shape for person in shuffled for shape in shapes_of(person, chosen[person["id"]], rng)]
        write_shapes(folder / f"{image:012d}.json", shapes, f"..\\images\\{image:012d}.jpg")
        groups |= chosen
    return groups


def map_groups(root: Path, *more: str) -> int:
    files = {"coco-ann-file": "coco.json", "labelme-dir": "labels", "output": "groups.json", "report": "report.json"}
    return mapping_tool([*(part for key, name in files.items() for part in (f"--{key}", str(root / name))), *more])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_group_is_recovered(tmp_path, seed, capsys):
    people = coco_persons()
    write_coco(tmp_path / "coco.json", people)
    groups = write_labelme(tmp_path / "labels", people, seed)
    assert map_groups(tmp_path, "--strict") == 0
    assert load_group_mapping(str(tmp_path / "groups.json")) == groups
    assert load_group_mapping(str(tmp_path / "report.json")) == groups
    assert f"matched {PERSONS} persons" in capsys.readouterr().out
    persons = read_coco(str(tmp_path / "coco.json"), str(tmp_path), COCO)
    grouped = with_group_ids(persons, groups)
    assert grouped.group_ids.tolist() == [groups[number] for number in persons.ids.tolist()]


def test_dropped_persons_on_both_sides_are_reported(tmp_path, capsys):
    people = coco_persons()
    write_coco(tmp_path / "coco.json", people[:4] + people[5:])
    groups = write_labelme(tmp_path / "labels", people[:1] + people[3:])
    lost = groups.pop(people[4]["id"])
    assert map_groups(tmp_path) == 0
    assert load_group_mapping(str(tmp_path / "groups.json")) == groups and len(groups) == PERSONS - 3
    report = json.loads((tmp_path / "report.json").read_text())
    assert [person["annotation_id"] for person in report["unmatched_coco"]] == [people[1]["id"], people[2]["id"]]
    assert [person["group_id"] for person in report["unmatched_labelme"]] == [lost] and not report["ambiguous"]
    out = capsys.readouterr().out
    assert "unmatched labelme persons: 1\n" in out and "unmatched COCO annotations: 2 " in out
    assert all(f"group {group}: " in out for group in groups.values())


def test_duplicates_are_ambiguous_and_strict_refuses(tmp_path, capsys):
    people = coco_persons()
    write_coco(tmp_path / "coco.json", [*people, {**people[5], "id": 1_000_001}])
    groups = write_labelme(tmp_path / "labels", people)
    assert map_groups(tmp_path, "--strict") == 2
    assert "labels: 1 persons are unmatched or ambiguous; no mapping written" in capsys.readouterr().err
    assert not (tmp_path / "groups.json").exists()
    candidates = json.loads((tmp_path / "report.json").read_text())["ambiguous"][0]["candidates"]
    assert set(candidates) == {people[5]["id"], 1_000_001}
    assert map_groups(tmp_path) == 0
    del groups[people[5]["id"]]
    assert load_group_mapping(str(tmp_path / "groups.json")) == groups


def test_strict_lets_annotations_without_keypoints_pass(tmp_path, capsys):
    people = coco_persons()
    bare = {**people[0], "id": 5, "bbox": [500, 10, 20, 30], "keypoints": [0] * 51}
    write_coco(tmp_path / "coco.json", [*people, bare])
    write_labelme(tmp_path / "labels", people)
    assert map_groups(tmp_path, "--strict") == 0
    assert "unmatched COCO annotations: 0 (and 1 without keypoints)" in capsys.readouterr().out


def test_limits_are_those_of_the_user(tmp_path):
    people = coco_persons()[:1]
    moved = {**people[0], "keypoints": [n + 3 * (n > 2) for n in people[0]["keypoints"]]}
    write_coco(tmp_path / "coco.json", people)
    groups = write_labelme(tmp_path / "labels", [moved])
    assert map_groups(tmp_path, "--strict") == 2
    assert map_groups(tmp_path, "--strict", "--tolerance", "6") == 0
    assert load_group_mapping(str(tmp_path / "groups.json")) == groups
    write_coco(tmp_path / "coco.json", [{**people[0], "keypoints": [0] * 51, "bbox": [70, 50, 130, 300]}])
    assert map_groups(tmp_path, "--strict", "--iou", "0.6") == 0
    assert map_groups(tmp_path, "--strict", "--iou", "0.7") == 2


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("coco.json", "{", "coco.json: is not valid JSON"),
        ("labels/000000000001.json", "{", "000000000001.json: is not valid JSON"),
        ("labels/000000000001.json", '{"shapes": []}', "000000000001.json: image number 0: imagePath"),
    ],
)
def test_broken_input_is_named_in_one_line(tmp_path, capsys, name, text, says):
    write_coco(tmp_path / "coco.json", coco_persons())
    write_labelme(tmp_path / "labels", coco_persons())
    (tmp_path / name).write_text(text)
    assert map_groups(tmp_path) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {tmp_path}") and says in error and error.count("\n") == 1
    assert not (tmp_path / "groups.json").exists()


@pytest.mark.parametrize("wrong", [("--tolerance", "-1"), ("--tolerance", "nan"), ("--iou", "0"), ("--iou", "1.1")])
def test_wrong_limits(tmp_path, wrong):
    with pytest.raises(SystemExit) as error:
        map_groups(tmp_path, *wrong)
    assert error.value.code == 2


def test_converted_folder_gives_the_same_persons(tmp_path, capsys):
    groups = write_labelme(tmp_path / "labels", coco_persons())
    out = tmp_path / "set.json"
    assert convert_tool(["--labelme-dir", str(tmp_path / "labels"), "--out", str(out)]) == 0
    labelme = read_labelme(str(tmp_path / "labels"), COCO)
    coco = read_coco(str(out), str(tmp_path / "labels"), COCO)
    for name in ("image_paths", "image_ids", "image_index", "ids", "boxes", "keypoints", "areas", "scores"):
        np.testing.assert_array_equal(getattr(labelme, name), getattr(coco, name))
    annotations = json.loads(out.read_text())["annotations"]
    assert [person["group_id"] for person in annotations] == labelme.group_ids.tolist()
    assert sorted(labelme.group_ids.tolist()) == sorted(groups.values())
    flags = {v for person in annotations for v in person["keypoints"][2::3]}
    assert flags == {0, 1, 2} and all(person["num_keypoints"] > 0 for person in annotations)
    assert f"{PERSONS} persons on {len(PERSONS_PER_IMAGE)} images\n  group " in capsys.readouterr().out


def test_file_names_are_relative_to_the_images(tmp_path, monkeypatch):
    write_labelme(tmp_path / "labels", coco_persons())
    (tmp_path / "images").mkdir()
    monkeypatch.chdir(tmp_path)
    assert convert_tool(["--labelme-dir", "labels", "--images", "images", "--out", "set.json"]) == 0
    names = [image["file_name"] for image in json.loads(Path("set.json").read_text())["images"]]
    assert names == [f"{n:012d}.jpg" for n in range(1, len(PERSONS_PER_IMAGE) + 1)]


def test_converter_fails_in_one_line(tmp_path, capsys):
    assert convert_tool(["--labelme-dir", str(tmp_path / "none"), "--out", str(tmp_path / "x.json")]) == 2
    assert capsys.readouterr().err == f"error: {tmp_path}/none: labelme folder does not exist\n"
    write_labelme(tmp_path / "labels", coco_persons())
    assert convert_tool(["--labelme-dir", str(tmp_path / "labels"), "--out", str(tmp_path / "no/x.json")]) == 2
    assert "x.json: cannot write: " in capsys.readouterr().err


@pytest.mark.parametrize("tool", ["generate_group_id_mapping.py", "convert_labelme.py"])
def test_tools_run_as_scripts(tool):
    library = str(Path(semipose.__file__).parents[1])
    command = [sys.executable, str(TOOLS / tool), "--help"]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": library}, capture_output=True, text=True)
    assert done.returncode == 0 and "--labelme-dir" in done.stdout
