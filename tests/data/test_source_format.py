"""What a path stands for, and what is said of files that are of no known format."""

import json

import pytest
from refusals import refused

from semipose.data.formats.video import VIDEOS
from semipose.data.source_format import guess_format

YOLO = "path: .\ntrain: images/train\nkpt_shape: [3, 3]\nnames: {0: cat}\n"
DEEPLABCUT = "Task: run\nscorer: me\nbodyparts:\n- nose\nvideo_sets:\n  C:\\v\\a.mp4:\n    crop: 0, 9, 0, 9\n"
LABEL_STUDIO = [{"id": 1, "annotations": [{"result": [{"type": "keypointlabels"}]}], "data": {"img": "/data/a.jpg"}}]
LABELME = {"shapes": [], "imagePath": "a.jpg"}


def write(root, name: str, content: object = "") -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(content if isinstance(content, str) else json.dumps(content))


@pytest.mark.parametrize(("files", "path", "expected"), [
    ({"d/data.yaml": YOLO}, "d/data.yaml", "yolo"), ({"d/coco8-pose.yaml": YOLO}, "d/coco8-pose.yaml", "yolo"),
    ({"d/data.yaml": YOLO}, "d", "yolo"), ({"d/images/a.jpg": "", "d/labels/a.txt": ""}, "d", "yolo"),
    ({"d/train/images/a.jpg": "", "d/train/labels/a.txt": ""}, "d", "yolo"),
    ({"d/images/train/a.jpg": "", "d/labels/train/a.txt": ""}, "d/images/train", "yolo"),
    ({"d/a.jpg": "", "d/a.json": LABELME, "d/a.txt": ""}, "d", "labelme"),
    ({"d/a/a.json": "{}", "d/a/b.json": LABELME}, "d", "labelme"),
    ({"p/config.yaml": DEEPLABCUT}, "p/config.yaml", "lightning_pose"),
    ({"p/labeled-data/v/CollectedData_me.csv": ""}, "p", "lightning_pose"),
    ({"p/labeled-data/v/CollectedData_me.csv": ""}, "p/labeled-data", "lightning_pose"),
    ({"p/CollectedData_me.csv": "", "p/CollectedData_me.h5": ""}, "p/CollectedData_me.h5", "lightning_pose"),
    ({"annotations/person_keypoints_v1.2.json": "{}"}, "v1.2", "coco"), ({"a.json": {"images": []}}, "a.json", "coco"),
    ({"a.json": "not json"}, "a.json", "coco"),
])  # fmt: skip
def test_formats_of_files_and_folders(tmp_path, files, path, expected):
    for name, content in files.items():
        write(tmp_path, name, content)
    assert guess_format(str(tmp_path), path, False) == expected


@pytest.mark.parametrize(("files", "expected"), [
    ({"d/data.yaml": YOLO}, "yolo"), ({"d/labeled-data/v/CollectedData_me.csv": ""}, "images"),
    ({"d/a.jpg": "", "d/a.json": ""}, "images"), ({"d/images/a.jpg": "", "d/labels/a.txt": ""}, "images"),
])  # fmt: skip
def test_a_folder_is_images_for_a_pool_but_for_a_yolo_data_set(tmp_path, files, expected):
    for name, content in files.items():
        write(tmp_path, name, content)
    assert guess_format(str(tmp_path), "d", True) == expected


def test_videos_are_the_same_for_training_and_prediction(tmp_path):
    from semipose.predict import sources

    assert sources.VIDEOS is VIDEOS
    for ending in (".mpg", ".mpeg", ".mts", ".m2ts", ".wmv", ".m4v", ".ogv", ".flv", ".3gp", ".MTS"):
        assert guess_format(str(tmp_path), f"clip{ending}", True) == "video"


@pytest.mark.parametrize(("name", "content", "hint"), [
    ("a.slp", "", "SLEAP"), ("a.h5", "", "SLEAP"), ("CollectedData_me.h5", "", "csv"),
    ("Documentation_data.pickle", "", "CollectedData"), ("annotations.xml", "", "COCO Keypoints 1.0"),
    ("other.yaml", "a: 1", "data.yaml"), ("labels.txt", "", "data.yaml"), ("a.jpg", "", "folder"), ("README", "", ""),
    ("ls.json", LABEL_STUDIO, "Label Studio"), ("min.json", [{"img": "a.jpg", "kp-1": []}], "Label Studio"),
    ("mpii.json", [{"joints_vis": [1], "joints": []}], "format: mpii"), ("list.json", [], "object"),
    ("aic.json", [{"image_id": "a", "keypoint_annotations": {}}], "format: aic"),
    ("boxes.json", [{"image_id": 1, "bbox": [], "score": 1}], "boxes"),
    ("a.json", LABELME, "labelme"), ("a.json", {"a.jpg123": {"regions": []}}, "object"), ("a.json", {}, "object"),
])  # fmt: skip
@pytest.mark.parametrize("pool", [False, True])
def test_what_is_not_known_is_called_so(tmp_path, name, content, hint, pool):
    write(tmp_path, name, content)
    message = f"{tmp_path}/{name}: format not known"
    refused(lambda: guess_format(str(tmp_path), name, pool), message, hint, "COCO keypoint json", "data.yaml")


@pytest.mark.parametrize(("name", "word"), [("d/a.xml", ".xml"), ("d/a.jpg", "labelme"), ("d/a.slp", "SLEAP")])
def test_folders_without_labels_are_of_no_known_format(tmp_path, name, word):
    write(tmp_path, name)
    message = f"{tmp_path}/d: format not known"
    refused(lambda: guess_format(str(tmp_path), "d", False), message, word, "CollectedData", "person_keypoints_d.json")


@pytest.mark.parametrize(("content", "word"), [
    (LABEL_STUDIO, "Label Studio"), ({"images": []}, "has to be named itself"), ({}, "object"), ([], "object"),
])  # fmt: skip
def test_folders_of_other_json_files_are_of_no_known_format(tmp_path, content, word):
    write(tmp_path, "d/b.json", content)
    message = f"{tmp_path}/d: format not known"
    refused(lambda: guess_format(str(tmp_path), "d", False), message, "b.json", word, "COCO keypoint json")


def test_a_missing_file_is_called_missing(tmp_path):
    refused(lambda: guess_format(str(tmp_path), "none.slp", False), f"{tmp_path}/none.slp: does not exist")
    assert guess_format(str(tmp_path), "train2017", False) == "coco"  # whose reader says where it looked
