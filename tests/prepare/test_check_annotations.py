"""What is odd about annotations that can be read: exactly the ids that were made odd."""

import json
from dataclasses import replace

import numpy as np
import pytest
from small_coco import SIZE, detections, small_coco

from semipose.data.formats import read_coco
from semipose.prepare.check_annotations import detection_notes, document_notes, person_notes
from semipose.skeletons import COCO


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
        ("images with detections of other categories than 1", (3,)),
        ("images of the annotation without a person detected (score from 0.95)", (2, 3, 4)),
    ]


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
    rows[21] |= {"bbox": [100, 5, 10, 10], "keypoints": [100, 5, 2] * 17}
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
        ("persons whose box and keypoints lie outside the image, left out", (21,)),
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


@pytest.mark.parametrize("number", [[], {}, [1], None, "1"])
def test_a_category_whose_id_is_no_number(tmp_path, number):
    document = small_coco(2)
    document["categories"].append({"id": number, "name": "other"})
    assert document_notes("f", document, read_sound(tmp_path, small_coco(2))) == []


def test_a_document_of_images_only(tmp_path):
    document = {"images": small_coco(2)["images"]}
    persons = read_sound(tmp_path, small_coco(2)).take([])
    assert document_notes("f", document, persons) == []
