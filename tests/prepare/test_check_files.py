"""Annotation files: every row that was broken is told, with file, id and reason, and nothing else."""

import json
import os

import pytest
from small_coco import detections, small_coco, source_of, write_set

from semipose.data.sources import Source, read_own, read_pool
from semipose.prepare.check_files import check_detections, check_file
from semipose.skeletons import COCO, Skeleton, get_skeleton


def read_as_pool(source: Source):
    return read_pool(source, COCO)


WRONG_IMAGES = {3: ("file_name", "../x.jpg"), 4: ("width", "0"), 5: ("height", "60"), 6: ("file_name", None),
                7: ("file_name", "a\\b.jpg")}  # fmt: skip
WRONG_PERSONS = {
    10: ("keypoints", [1, 2]), 11: ("bbox", [1, float("nan"), 3, 4]), 20: ("bbox", [1, None, 3, 4]),
    21: ("image_id", 999), 30: ("area", -3),  # on an image whose row is wrong
    91: ("image_id", "9"), 100: ("keypoints", [1, 1, 7] * 17), 101: ("iscrowd", "no"),
}  # fmt: skip
WRONG_IDS = {80: None, 81: 90}  # 81 stands before 90


def broken_document() -> tuple[dict, list[str]]:
    """A document with many kinds of wrong rows, and how the line about each begins, in order."""
    document = small_coco(12)
    images = {row["id"]: row for row in document["images"]}
    persons = {row["id"]: row for row in document["annotations"]}
    for rows, changes in ((images, WRONG_IMAGES), (persons, WRONG_PERSONS)):
        for number, (field, value) in changes.items():
            rows[number][field] = value
    for number, value in WRONG_IDS.items():
        persons[number]["id"] = value
    document["images"].append(dict(images[1]))
    document["annotations"].append("text")
    told = [f"image id {number}: {field}:" for number, (field, _) in WRONG_IMAGES.items()] + ["image number 12: id:"]
    told += [f"annotation id {number}: {field}:" for number, (field, _) in WRONG_PERSONS.items()]
    return document, told + ["annotation number 14: id:", "annotation number 16: id:", "annotation number 24: "]


def assert_begin(lines, starts) -> None:
    """Each line begins with one of the starts."""
    assert len(lines) == len(starts)
    for start in starts:
        assert any(line.startswith(start) for line in lines), start


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
    assert_begin(found.faults, [f"{file}: {text}" for text in told])
    wrong = WRONG_PERSONS | WRONG_IDS
    sound = [row["id"] for row in small_coco(12)["annotations"] if row["id"] not in wrong]
    on_wrong_images = [number for number in sound if number // 10 in WRONG_IMAGES]
    # of the two with id 90 the first one is read; it was 81
    assert set(found.persons.ids.tolist()) == set(sound) - set(on_wrong_images) | {90}
    assert [row["id"] for row in found.document["images"]] == [1, 2, 8, 9, 10, 11, 12]
    assert all(os.path.isfile(path) for path in found.persons.image_paths[found.persons.image_index])


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
    document["annotations"][2]["bbox"] = [1]
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
    assert_begin(found.faults, [f"{file}: person {text}" for text in ("id 3: scale:", "id 6: joints:", "number 8:")])
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
    starts = ("image number 1: human_annotations:", "person id 'human1 of image 001': keypoints:")
    assert_begin(found.faults, [f"{file}: {start}" for start in starts])
    assert len(found.persons) == 2


def test_what_an_mpii_reader_leaves_out(tmp_path):
    write_set(tmp_path, "train", small_coco(3))
    rows = mpii_rows(4)
    rows[1]["joints_vis"] = [0] * 16
    (tmp_path / "mpii.json").write_text(json.dumps(rows))
    fields = {"format": "mpii", "annotation": "mpii.json", "images": "images/train", "skeleton": get_skeleton("mpii")}
    (message,) = check_file(source_of(tmp_path, **fields), read_own).messages
    assert message.endswith("1 without joints")


def test_all_wrong_lines_of_a_csv(tmp_path):
    write_set(tmp_path, "train", small_coco(3))
    head = "scorer,a,a\nbodyparts,nose,nose\ncoords,x,y\n"
    (tmp_path / "labels.csv").write_text(head + "001.jpg,1,oops\n002.jpg,oops,2\n003.jpg,1\n../a.jpg,1,2\n")
    skeleton = Skeleton(name="one", keypoints=("nose",), sigmas=(0.1,))
    fields = {"format": "lightning_pose", "annotation": "labels.csv", "images": "images/train", "skeleton": skeleton}
    found = check_file(source_of(tmp_path, **fields), read_own)
    assert_begin(found.faults, [f"{tmp_path}/labels.csv: line {number}: " for number in (4, 5, 6, 7)])


def test_all_wrong_files_of_a_labelme_folder(tmp_path):
    write_set(tmp_path, "train", small_coco(3))
    shape = {"shape_type": "point", "label": "nose", "points": [[1, 2]]}
    labels = {"001": [shape, shape], "002": [shape | {"label": "beak"}, shape | {"points": [[1]]}, 3], "003": [shape]}
    for name, shapes in labels.items():
        file = tmp_path / f"images/train/{name}.json"
        file.write_text(json.dumps({"imagePath": f"{name}.jpg", "shapes": shapes}))
    (tmp_path / "images/train/004.json").write_text('{"shapes": []}')
    (tmp_path / "images/train/005.json").write_text("{")
    found = check_file(source_of(tmp_path, format="labelme", annotation="images/train"), read_own)
    folder = f"{tmp_path}/images/train"
    starts = ["001.json: shape number 1: label:", *(f"002.json: shape number {n}:" for n in (0, 1, 2))]
    assert_begin(found.faults, [f"{folder}/{start}" for start in [*starts, "004.json: ", "005.json: "]])


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
    found = check_detections(source, read_own)
    assert_begin(found.faults, [f"{file}: detection number {n}" for n in ("1: score:", "3: bbox:", "6: category_id:")])
    assert len(found.persons) == 3 and len(found.document["rows"]) == 4
    file.write_text(json.dumps(detections()))
    assert check_detections(source, read_own).faults == ()


@pytest.mark.parametrize("text, told", [("[", "not valid JSON"), ("{}", "detection list")])
def test_a_detection_file_that_is_none(tmp_path, text, told):
    write_set(tmp_path, "train", small_coco(3))
    (tmp_path / "det.json").write_text(text)
    found = check_detections(source_of(tmp_path, boxes="det.json"), read_own)
    (fault,) = found.faults
    assert told in fault
