"""Annotation files: every row that was broken is told, with file, id and reason, and nothing else."""

import json
import os

import pytest
from small_coco import detections, small_coco, source_of, write_set

from semipose.data.sources import Source, read_own, read_pool
from semipose.prepare.check_files import check_detections, check_file
from semipose.skeletons import COCO, get_skeleton


def read_as_pool(source: Source):
    return read_pool(source, COCO)


WRONG_IMAGES = {
    3: ("file_name", "../x.jpg", "image id 3: file_name: '../x.jpg' leaves the image folder"),
    4: ("width", 0, "image id 4: width: must be at least 1, found 0"),
    5: ("height", "60", "image id 5: height: must be a finite number, found '60'"),
    6: ("file_name", None, "image id 6: file_name: must be a text, found nothing"),
    7: ("file_name", "a\\b.jpg", "image id 7: file_name: 'a\\\\b.jpg' holds a backslash; folders are separated by /"),
}
WRONG_PERSONS = {
    10: ("keypoints", [1, 2], "annotation id 10: keypoints: must be 51 finite numbers (x, y, v of the 17 keypoints of"
         " skeleton 'coco'), found a list of 2"),
    11: ("bbox", [1, float("nan"), 3, 4], "annotation id 11: bbox: must be 4 finite numbers (x, y, width, height),"
         " found a list of 4 with nan"),
    20: ("bbox", None, "annotation id 20: bbox: must be 4 finite numbers (x, y, width, height), found nothing"),
    21: ("image_id", 999, "annotation id 21: image_id: 999 is not the id of an image in this file"),
    30: ("area", -3, "annotation id 30: area: must not be negative, found -3"),  # on an image whose row is wrong
    80: ("id", None, "annotation number 14: id: must be a 64-bit integer, found nothing"),
    81: ("id", 90, "annotation number 16: id: 90 is used more than once"),
    91: ("image_id", "9", "annotation id 91: image_id: must be a 64-bit integer, found '9'"),
    100: ("keypoints", [1, 1, 7] * 17, "annotation id 100: keypoints: v of nose must be 0, 1 or 2, found 7"),
    101: ("iscrowd", "no", "annotation id 101: iscrowd: must be a 64-bit integer, found 'no'"),
}  # fmt: skip


def broken_document() -> tuple[dict, list[str]]:
    """A document with many kinds of wrong rows, and what has to be told of it, in order."""
    document = small_coco(12)
    images = {row["id"]: row for row in document["images"]}
    persons = {row["id"]: row for row in document["annotations"]}
    for number, (field, value, _) in WRONG_IMAGES.items():
        images[number][field] = value
    for number, (field, value, _) in WRONG_PERSONS.items():
        persons[number][field] = value
    document["images"].append(dict(images[1]))
    document["annotations"].append("text")
    told = [text for *_, text in WRONG_IMAGES.values()] + ["image number 12: id: 1 is used more than once"]
    told += [text for *_, text in WRONG_PERSONS.values()] + ["annotation number 24: must be an object, found 'text'"]
    return document, told


def write_annotation(root, document) -> str:
    file = root / "annotations" / "person_keypoints_train.json"
    file.write_text(json.dumps(document))
    return str(file)


@pytest.mark.parametrize("read", [read_own, read_as_pool])
def test_all_wrong_rows_are_told_and_the_others_are_read(tmp_path, read):
    write_set(tmp_path, "train", small_coco(12))
    document, told = broken_document()
    file = write_annotation(tmp_path, document)
    found = check_file(source_of(tmp_path), read)
    assert sorted(found.faults) == sorted(f"{file}: {text}" for text in told)
    sound = [row["id"] for row in small_coco(12)["annotations"] if row["id"] not in WRONG_PERSONS]
    on_wrong_images = [number for number in sound if number // 10 in WRONG_IMAGES]
    # of the two with id 90 the first one is read
    assert set(found.persons.ids.tolist()) == set(sound) - set(on_wrong_images) | {90}
    assert [row["id"] for row in found.document["images"]] == [1, 2, 8, 9, 10, 11, 12]
    assert all(os.path.isfile(path) for path in found.persons.image_paths)


def test_a_sound_file_has_no_fault(tmp_path):
    write_set(tmp_path, "train", small_coco(3))
    found = check_file(source_of(tmp_path), read_own)
    assert (found.faults, found.messages, len(found.persons)) == ((), (), 6)
    assert found.document == small_coco(3)


@pytest.mark.parametrize(
    "edit, told",
    [
        ({"categories": [{"id": 1, "keypoints": ["a"]}]}, "category id 1: keypoints: must name the 17 keypoints"),
        ({"annotations": None}, "has no 'annotations'"),
        ({"annotations": {}}, "the annotation list must be a list, found an object"),
        ({"images": [], "annotations": []}, "lists no image with a file_name"),
    ],
)
def test_a_fault_of_the_whole_file_is_told_once(tmp_path, edit, told):
    write_set(tmp_path, "train", small_coco(3))
    write_annotation(tmp_path, small_coco(3) | edit)
    (fault,) = check_file(source_of(tmp_path), read_own).faults
    assert told in fault


def test_faults_of_rows_are_told_beside_one_of_the_whole_file(tmp_path):
    write_set(tmp_path, "train", small_coco(3))
    document = small_coco(3) | {"categories": 7}
    document["annotations"][2]["bbox"] = []
    write_annotation(tmp_path, document)
    category, box = check_file(source_of(tmp_path), read_own).faults
    assert "the category list must be a list" in category and "annotation id 20: bbox" in box


@pytest.mark.parametrize("text", ["", "{", "[1]", "7", "\xff"])
def test_a_file_that_is_no_annotation_at_all(tmp_path, text):
    write_set(tmp_path, "train", small_coco(2))
    file = tmp_path / "annotations" / "person_keypoints_train.json"
    file.write_text(text, encoding="latin-1")
    found = check_file(source_of(tmp_path), read_own)
    assert len(found.faults) == 1 and str(file) in found.faults[0] and found.persons is None


def mpii_rows(count: int) -> list[dict]:
    joints = [[20 + i, 10 + i] for i in range(16)]
    row = {"center": [40, 30], "scale": 0.2, "joints": joints, "joints_vis": [1] * 16}
    return [row | {"image": f"{1 + number % 3:03d}.jpg"} for number in range(count)]


def test_all_wrong_persons_of_an_mpii_file(tmp_path):
    write_set(tmp_path, "train", small_coco(3))
    rows = mpii_rows(9)
    rows[2]["scale"] = None
    rows[5]["joints"] = [[1, 2]]
    rows[8] = 3
    file = tmp_path / "mpii.json"
    file.write_text(json.dumps(rows))
    fields = {"format": "mpii", "annotation": "mpii.json", "images": "images/train", "skeleton": get_skeleton("mpii")}
    found = check_file(source_of(tmp_path, **fields), read_own)
    starts = [f"{file}: {text}" for text in ("person id 3: scale:", "person id 6: joints:", "person number 8: must be")]
    assert [fault[: len(start)] for fault, start in zip(found.faults, starts, strict=True)] == starts
    assert len(found.persons) == 6


def test_all_wrong_images_of_an_aic_file(tmp_path):
    write_set(tmp_path, "train", small_coco(3))
    row = {"human_annotations": {"human1": [1, 2, 30, 40]}, "keypoint_annotations": {"human1": [5, 6, 1] * 14}}
    rows = [row | {"image_id": f"{number:03d}"} for number in (1, 2, 3, 1)]
    rows[1] = rows[1] | {"human_annotations": [3]}
    rows[3] = rows[3] | {"keypoint_annotations": {"human1": [1]}}
    file = tmp_path / "aic.json"
    file.write_text(json.dumps(rows))
    fields = {"format": "aic", "annotation": "aic.json", "images": "images/train", "skeleton": get_skeleton("aic")}
    found = check_file(source_of(tmp_path, **fields), read_own)
    first, second = found.faults
    assert first.startswith(f"{file}: image number 1: human_annotations:") and len(found.persons) == 2
    assert second.startswith(f"{file}: person id 'human1 of image 001': keypoints:")


def test_of_other_formats_the_first_fault_and_what_is_left_out(tmp_path):
    write_set(tmp_path, "train", small_coco(3))
    rows = mpii_rows(4)
    rows[1]["joints_vis"] = [0] * 16
    file = tmp_path / "mpii.json"
    file.write_text(json.dumps(rows))
    fields = {"format": "mpii", "annotation": "mpii.json", "images": "images/train", "skeleton": get_skeleton("mpii")}
    (message,) = check_file(source_of(tmp_path, **fields), read_own).messages
    assert message.endswith("3 persons; left out: 0 without position or scale, 1 without joints")
    labels = tmp_path / "labels.csv"
    labels.write_text("scorer,a,a\nbodyparts,nose,nose\ncoords,x,y\n001.jpg,1,oops\n002.jpg,oops,2\n")
    fields = {"format": "lightning_pose", "annotation": "labels.csv", "images": "images/train"}
    (fault,) = check_file(source_of(tmp_path, **fields), read_own).faults
    assert fault.startswith(str(labels)) and fault.endswith("(of this format only the first fault is told)")


def test_all_wrong_detections(tmp_path):
    write_set(tmp_path, "train", small_coco(3))
    rows = detections()
    rows[1] = rows[1] | {"score": None}
    rows[3] = rows[3] | {"bbox": [1, 2, 3]}
    rows[4] = rows[4] | {"image_id": 77}  # of another subset: no fault
    rows.append(rows[0] | {"category_id": "1"})
    file = tmp_path / "det.json"
    file.write_text(json.dumps(rows))
    source = source_of(tmp_path, boxes="det.json")
    found = check_detections(source, read_own, small_coco(3)["images"])
    starts = [f"{file}: detection number {n}" for n in ("1: score:", "3: bbox:", "6: category_id:")]
    assert [fault[: len(start)] for fault, start in zip(found.faults, starts, strict=True)] == starts
    assert len(found.persons) == 3 and len(found.document["rows"]) == 4
    file.write_text(json.dumps(detections()))
    assert check_detections(source, read_own, small_coco(3)["images"]).faults == ()


@pytest.mark.parametrize("text, told", [("[", "not valid JSON"), ("{}", "detection list"), ("[]", "")])
def test_a_detection_file_that_is_none(tmp_path, text, told):
    write_set(tmp_path, "train", small_coco(3))
    (tmp_path / "det.json").write_text(text)
    found = check_detections(source_of(tmp_path, boxes="det.json"), read_own, small_coco(3)["images"])
    assert len(found.faults) == bool(told) and told in "".join(found.faults)
