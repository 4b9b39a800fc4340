"""tools/join_detections.py: detector boxes and an image list become an unlabelled source."""

import json
import runpy
from pathlib import Path

import pytest

from semipose.data.readers import locate_coco, read_unlabeled_coco
from semipose.skeletons import get_skeleton

main = runpy.run_path(str(Path(__file__).parents[2] / "tools/join_detections.py"))["main"]
BOX = [10.5, 20, 30, 25]
DETECTIONS = [
    {"image_id": 7, "category_id": 1, "bbox": BOX, "score": 0.9},
    {"image_id": 3, "category_id": 1, "bbox": [-5, -5, 20, 30], "score": 0.31},
    {"image_id": 7, "category_id": 1, "bbox": BOX, "score": 0.2},
    {"image_id": 7, "category_id": 18, "bbox": BOX, "score": 0.9},
    {"image_id": 99, "category_id": 1, "bbox": BOX, "score": 0.9},
    {"image_id": 7, "category_id": 1, "bbox": [200, 10, 5, 5], "score": 0.9},
]


@pytest.fixture
def root(tmp_path):
    """A data set root with images and an image list, as COCO's unlabeled2017, and a detection file."""
    (tmp_path / "annotations").mkdir()
    (tmp_path / "images/some").mkdir(parents=True)
    (tmp_path / "images/some/b.jpg").write_bytes(b"x")
    images = [
        {"id": number, "file_name": name, "width": 60, "height": 50} for number, name in ((7, "a.jpg"), (3, "b.jpg"))
    ]
    (tmp_path / "annotations/image_info_some.json").write_text(json.dumps({"images": images}))
    (tmp_path / "boxes.json").write_text(json.dumps(DETECTIONS))
    return tmp_path


def call(root, *more: str) -> int:
    out = root / "annotations/person_keypoints_some.json"
    files = ["--images", root / "annotations/image_info_some.json", "--detections", root / "boxes.json", "--out", out]
    return main([*map(str, files), *more])


@pytest.mark.parametrize(("threshold", "images"), [("0", [7, 3, 7]), ("0.3", [7, 3]), ("0.9", [7])])
def test_the_result_is_an_unlabelled_source_of_any_skeleton(root, capsys, threshold, images):
    assert call(root, "--threshold", threshold) == 0
    assert f"{len(images)} persons" in capsys.readouterr().out
    located = locate_coco(str(root), "annotations/person_keypoints_some.json")
    assert located[1] == str(root / "images/some")
    for name in ("coco", "mpii"):
        persons = read_unlabeled_coco(*located, get_skeleton(name))
        assert persons.image_ids[persons.image_index].tolist() == images
        assert persons.boxes.tolist() == [BOX, [0, 0, 15, 25], BOX][: len(images)]
        assert persons.keypoints.shape == (len(images), len(get_skeleton(name)), 3) and not persons.keypoints.any()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (DETECTIONS[4:5], "none of its 1 detections is on an image of"),
        ([{**DETECTIONS[0], "bbox": [1, 2, 3]}], "detection number 0: bbox: must be 4 finite numbers"),
        ({}, "the detection list must be a list"),
    ],
)
def test_a_wrong_detection_file_is_named_in_one_line(root, capsys, content, says):
    (root / "boxes.json").write_text(json.dumps(content))
    assert call(root) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {root}/boxes.json: ") and says in error and error.count("\n") == 1
    assert not (root / "annotations/person_keypoints_some.json").exists()


def test_a_place_that_cannot_be_written_leaves_nothing(root, capsys):
    (root / "annotations/person_keypoints_some.json").mkdir()
    assert call(root) == 2
    assert "person_keypoints_some.json: cannot write: " in capsys.readouterr().err
    assert not list((root / "annotations").glob("*.tmp"))
