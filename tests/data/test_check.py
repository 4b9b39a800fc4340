"""Checks of data: exactly what was broken is found, with file, id and reason, and nothing else."""

import io
import json
import logging
import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from small_coco import SIZE, draw, small_coco, write_set

from semipose.config.sources import SOURCE
from semipose.data.check import Finding, find_faults, note, reader_messages
from semipose.data.check_annotations import detection_notes, document_notes, person_notes
from semipose.data.check_files import check_detections, check_file
from semipose.data.check_images import check_images, image_faults, refused_files, shared_images, true_sizes
from semipose.data.readers import read_coco
from semipose.data.sources import Source, read_own, read_pool
from semipose.errors import DataError
from semipose.skeletons import COCO, get_skeleton


def source_of(root, name="train", **fields) -> Source:
    defaults = {field: SOURCE[field] for field in Source.__dataclass_fields__ if field in SOURCE}
    given = {"name": name, "format": "coco", "annotation": name, "skeleton": COCO, "root": str(root), "frames": ""}
    return Source(**(defaults | given | fields))


def read_as_pool(source: Source):
    return read_pool(source, COCO)


# ---- the search


@pytest.mark.parametrize("wrong", [[], [0], [4096], [0, 1, 2, 4096], [1023, 1024, 1025], list(range(0, 4097, 97))])
def test_every_wrong_item_is_found_with_few_reads(wrong):
    read_items = []

    def read(items):
        read_items.append(len(items))
        for item in items:
            if item in set(wrong):
                raise DataError(f"item {item}")

    assert find_faults(range(4097), read) == [(item, f"item {item}") for item in wrong]
    assert sum(read_items) <= 4097 + 4 * 1024 * max(1, len(wrong))


def test_nothing_to_search():
    assert find_faults([], lambda items: pytest.fail("read")) == []


def test_what_readers_log_is_collected_and_not_shown(caplog):
    logger = logging.getLogger("semipose.data.readers.some")
    with reader_messages() as lines:
        logger.warning("odd: %d", 3)
        logger.info("not asked for")
    logger.warning("shown again")
    assert lines == [(logging.WARNING, "odd: 3")] and caplog.messages == ["shown again"]


def test_a_note_shows_the_first_ids():
    assert note("f", "odd", []) == []
    assert note("f", "odd", [3, 4]) == [Finding("f: odd: 2 (ids 3, 4)", False, (3, 4))]
    assert note("f", "odd", range(7))[0].text == "f: odd: 7 (ids 0, 1, 2, 3, 4, ...)"


# ---- annotation files

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
    assert str(labels) in fault


# ---- detections


def detections() -> list[dict]:
    boxes = [{"image_id": n, "category_id": 1, "bbox": [5, 5, 30, 40], "score": 0.9} for n in (1, 2, 3)]
    return boxes * 2


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


def test_odd_detections():
    rows, images = detections(), small_coco(4)["images"]
    assert [n.text for n in detection_notes("f", rows, images[:3], 0.5)] == []
    rows[0] = rows[0] | {"score": 1.5}
    rows[1] = rows[1] | {"image_id": 9}
    rows[2] = rows[2] | {"category_id": 3}
    notes = detection_notes("f", rows, images, 0.95)
    assert [(n.text.split(":")[1].strip(), n.ids) for n in notes] == [
        ("images with detections that the annotation does not list", (9,)),
        ("images with scores outside 0..1", (1,)),
        ("images with detections of other categories than 1 (person)", (3,)),
        ("images of the annotation without a person detected (score from 0.95)", (2, 3, 4)),
    ]


# ---- images


def with_exif(path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.open(path).save(path, exif=exif)


def break_images(folder) -> dict[int, str]:
    """Eight kinds of broken images, by id, with what has to be told."""
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
        1: "is truncated or damaged", 2: "cannot be read: No such file or directory", 3: "is empty",
        4: "is not an image", 5: "has 80 x 61 pixels, the annotation says 80 x 60",
        6: "has 60 x 80 pixels, the annotation says 80 x 60; labels must refer to the stored pixels, not to those"
           " turned by its EXIF orientation 6",
        7: "cannot be read: Is a directory", 8: "has more pixels than OPENCV_IO_MAX_IMAGE_PIXELS=100000000 allows",
    }  # fmt: skip


BOMB = pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")


@BOMB
@pytest.mark.promise("R9", trials=8)
def test_all_broken_images_are_told(tmp_path):
    folder = write_set(tmp_path, "train", small_coco(10))
    persons = check_file(source_of(tmp_path), read_own).persons
    annotated = dict.fromkeys(range(1, 11), SIZE)
    paths = [str(path) for path in persons.image_paths]
    assert image_faults(persons, check_images(paths), annotated) == []
    told = break_images(folder)
    seen = []
    checks = check_images(paths + paths, progress=lambda items, total: seen.append(total) or items)
    faults = image_faults(persons, checks, annotated)
    lines = [f"{folder / f'{n:03d}.jpg'}: {text} (image id {n}, persons: 2)" for n, text in told.items()]
    assert [finding.text for finding in faults] == lines and seen == [10]
    assert all(finding.broken for finding in faults)
    sizes = true_sizes(persons, checks)
    assert np.isnan(sizes[[0, 1, 2, 3, 6, 7]]).all() and sizes[[4, 5, 8]].tolist() == [[80, 61], [60, 80], [80, 60]]


@BOMB
def test_headers_tell_all_but_truncation(tmp_path):
    folder = write_set(tmp_path, "train", small_coco(10))
    persons = check_file(source_of(tmp_path), read_own).persons
    told = break_images(folder)
    faults = image_faults(
        persons,
        check_images([str(p) for p in persons.image_paths], headers_only=True),
        dict.fromkeys(range(1, 11), SIZE),
    )
    assert [finding.ids[0] for finding in faults] == sorted(told.keys() - {1})


def test_images_without_a_person_are_not_told(tmp_path):
    folder = write_set(tmp_path, "train", small_coco(3))
    persons = check_file(source_of(tmp_path), read_own).persons
    (folder / "002.jpg").unlink()
    persons = persons.take(persons.image_index != 1)
    checks = check_images([str(persons.image_paths[row]) for row in (0, 2)])
    assert image_faults(persons, checks, {}) == []


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


# ---- what is odd


def read_sound(tmp_path, document):
    file = tmp_path / "a.json"
    file.write_text(json.dumps(document))
    return read_coco(str(file), str(tmp_path), COCO)


def texts(findings) -> list[tuple]:
    return [(f.text.split(": ")[1], f.ids) for f in findings]


def test_nothing_is_odd_about_a_sound_set(tmp_path):
    document = small_coco(4)
    persons = read_sound(tmp_path, document)
    sizes = np.tile(SIZE, (4, 1))
    assert person_notes("f", persons, sizes, COCO) == [] and document_notes("f", document, persons) == []
    assert person_notes("f", persons, sizes * np.nan, COCO) == []


def test_odd_keypoints_and_boxes(tmp_path):
    document = small_coco(6)
    persons = {row["id"]: row for row in document["annotations"]}
    persons[10]["keypoints"][:2] = [0, 0]
    persons[20]["keypoints"][:2] = [SIZE[0] + 5, 3]
    persons[21]["keypoints"][:3] = [500, 500, 0]  # not labelled: nobody minds
    persons[30]["bbox"] = [1, 1, 4, 4]
    persons[41]["keypoints"] = list(persons[40]["keypoints"])
    persons[51]["keypoints"] = list(persons[50]["keypoints"])
    persons[51]["image_id"] = 6  # the same pose in another image: no copy
    persons[60]["bbox"] = list(persons[50]["bbox"])
    for row in persons.values():
        row["keypoints"][5] = 0
    found = read_sound(tmp_path, document)
    found = replace(found, boxes=found.boxes.copy())
    row_61 = found.ids.tolist().index(61)
    found.boxes[row_61, 2] = 0
    notes = texts(person_notes("f", found, np.tile(SIZE, (6, 1)), COCO))
    assert ("persons with labelled keypoints at (0, 0)", (10,)) in notes
    assert ("persons with labelled keypoints outside their image", (20,)) in notes
    assert ("persons whose box has no area", (61,)) in notes
    assert ("persons with the same keypoints as another one in their image", (41,)) in notes
    assert ("keypoints that nobody has", ()) in notes
    far = dict(notes)["persons with labelled keypoints far outside their box"]
    assert 30 in far and not set(far) & {10, 20, 21, 40, 61}


def test_boxes_outside_the_image_and_keypoints_in_parts_of_it(make_persons):
    persons = make_persons([("a.png", (1, 1, 20, 20)), ("a.png", (90, 1, 20, 20))])
    persons = replace(persons, keypoints=persons.keypoints * np.float32([0.01, 0.01, 1]))
    skeleton = replace_names(3)
    notes = person_notes("f", persons, np.array([SIZE]), skeleton)
    assert ("persons whose box lies outside their image", (1001,)) in texts(notes)
    assert [n.broken for n in notes if "pixels are expected" in n.text] == [True]


def replace_names(count: int):
    class Names:
        keypoints = tuple("abc"[:count])

    return Names()


def test_odd_documents(tmp_path):
    document = small_coco(8)
    rows = {row["id"]: row for row in document["annotations"]}
    rows[10]["id"] = 0
    rows[11]["iscrowd"] = 1
    rows[20]["keypoints"] = [0] * 51
    rows[21]["bbox"] = [100, 5, 10, 10]
    rows[30]["area"] = None
    rows[31]["area"] = 0
    rows[40]["num_keypoints"] = 0
    rows[41]["num_keypoints"] = 3
    rows[50]["category_id"] = 5
    del rows[51]["num_keypoints"]
    document["images"][7]["file_name"] = document["images"][6]["file_name"]
    notes = document_notes("f", document, read_sound(tmp_path, document))
    start = "annotations with id 0, which other tools count as not matched (here ids are counted anew)"
    assert texts(notes) == [
        (start, (0,)), ("crowds, left out", (11,)), ("persons without a labelled keypoint, left out", (20,)),
        ("persons whose box is empty inside the image, left out", (21,)),
        ("persons without area (taken from the box in training; 0.53 w h in OKS)", (30,)),
        ("persons with area 0", (31,)),
        ("persons whose num_keypoints is 0 though keypoints are labelled", (40,)),
        ("persons whose num_keypoints is not the number of labelled keypoints", (41,)),
        ("annotations whose category_id is not in 'categories'", (50,)), ("several categories have keypoints", ()),
        ("images whose file has another image id too", (8,)),
    ]  # fmt: skip
    assert not any(n.broken for n in notes)


@pytest.mark.parametrize(
    "factor, told", [(1 / (SIZE[0] * SIZE[1]), "square pixels are expected"), (1, ""), (None, "has no areas")]
)
def test_areas_in_another_unit(tmp_path, factor, told):
    document = small_coco(4)
    for row in document["annotations"]:
        row["area"] = row["area"] * factor if factor else None
    notes = document_notes("f", document, read_sound(tmp_path, document))
    assert len(notes) == bool(told) and told in "".join(n.text for n in notes)


def test_boxes_that_are_corners(tmp_path):
    document = small_coco(6)
    for row in document["annotations"]:
        x, y, width, height = row["bbox"]
        row["bbox"] = [x + 30, y + 10, x + 30 + width, y + 10 + height]
    wrong = document_notes("f", document, read_sound(tmp_path, document))
    assert [n.broken for n in wrong if "look like x1, y1, x2, y2" in n.text] == [True]
    boxes = [{"image_id": 1, "category_id": 1, "bbox": row["bbox"], "score": 1} for row in document["annotations"]]
    assert any("look like" in n.text for n in detection_notes("f", boxes, document["images"], 0))


def test_categories_that_name_no_keypoints(tmp_path):
    document = small_coco(2)
    del document["categories"][0]["keypoints"]
    (odd,) = document_notes("f", document, read_sound(tmp_path, document))
    assert "no category names its keypoints" in odd.text


def test_a_document_of_images_only(tmp_path):
    document = {"images": small_coco(2)["images"]}
    persons = read_sound(tmp_path, small_coco(2)).take([])
    assert document_notes("f", document, persons) == []
