"""Preparing the ground truth: what is copied, what is filled in, and which annotations are refused."""

import copy
import json

import numpy as np
import pytest

from semipose.data.formats.json_rows import WrongRows
from semipose.errors import DataError
from semipose.evaluation import KeypointPredictions, ground_truth_from_persons, load_ground_truth
from semipose.evaluation.coco_protocol import evaluate_oks
from semipose.evaluation.ground_truth import prepare_ground_truth
from semipose.structures import Persons

SIGMAS = (0.05, 0.1, 0.1)


def small_annotation():
    """Two persons on images 7 and 5 with ids 0 and 9 in category 4, and a box of category 1 without keypoints."""
    person = {"image_id": 7, "category_id": 4, "id": 0, "bbox": [10, 20, 30, 40], "iscrowd": 0, "area": 700.0}
    person |= {"keypoints": [10, 20, 2, 40, 60, 1, 0, 0, 0], "num_keypoints": 2}
    other = person | {"image_id": 5, "id": 9}
    box = {"image_id": 7, "category_id": 1, "id": 9, "bbox": [0, 0, 9, 9]}
    return {"images": [{"id": 7}, {"id": 5}, {"id": 6}], "annotations": [person, box, other]}


def test_ids_run_from_one_and_only_the_category_with_keypoints_is_kept():
    annotation = small_annotation()
    before = copy.deepcopy(annotation)
    truth = prepare_ground_truth(annotation, SIGMAS)
    persons = truth.dataset["annotations"]
    assert [(p["id"], p["image_id"], p["category_id"]) for p in persons] == [(1, 7, 4), (2, 5, 4)]
    assert persons[0] == annotation["annotations"][0] | {"id": 1, "annotation_id": 0, "group_id": -1}
    assert (truth.image_ids, truth.category_id) == ([5, 6, 7], 4)
    assert annotation == before


def test_missing_optional_keys_are_filled_in():
    annotation = small_annotation()
    for key in ("area", "num_keypoints", "iscrowd"):
        del annotation["annotations"][0][key]
    annotation["annotations"].append({"id": 3, "image_id": 5, "category_id": 4, "bbox": [0, 0, 1, 1]})
    first, _, last = prepare_ground_truth(annotation, SIGMAS).dataset["annotations"]
    assert (first["area"], first["num_keypoints"], first["iscrowd"]) == (0.53 * 30 * 40, 2, 0)
    assert (last["area"], last["num_keypoints"], last["keypoints"]) == (1, 0, [0] * 9)


def test_all_categories_with_keypoints_are_one_class():
    annotation = small_annotation()
    annotation["annotations"][1]["keypoints"] = [0] * 9
    truth = prepare_ground_truth(annotation, SIGMAS)
    assert [(a["annotation_id"], a["category_id"]) for a in truth.dataset["annotations"]] == [(0, 4), (9, 4), (9, 4)]
    with pytest.raises(DataError, match="keypoints"):
        prepare_ground_truth({"images": [], "annotations": []}, SIGMAS)


def test_groups_ids_and_crowd_index_are_kept():
    annotation = small_annotation()
    annotation["annotations"][0]["group_id"] = 3
    annotation["annotations"][2]["group_id"] = None
    annotation["images"][1]["crowdIndex"] = 0.25
    truth = prepare_ground_truth(annotation, SIGMAS)
    assert [(a["annotation_id"], a["group_id"]) for a in truth.dataset["annotations"]] == [(0, 3), (9, -1)]
    assert truth.dataset["images"] == [{"id": 5, "crowdIndex": 0.25}, {"id": 6}, {"id": 7}]


@pytest.mark.parametrize("value", [None, "0.2", float("nan"), [1]])
def test_a_wrong_crowd_index_is_named(value):
    annotation = small_annotation()
    annotation["images"][2]["crowdIndex"] = value
    with pytest.raises(DataError, match="val.json.*image id 6"):
        prepare_ground_truth(annotation, SIGMAS, source="val.json")


def some_persons(image_ids=(7, 5, 6)):
    """The two persons of `small_annotation`, as a reader gives them."""
    keypoints = np.array([[[10, 20, 1], [40, 60, 1], [0, 0, 0]]] * 2, np.float32)
    return Persons(
        image_paths=np.array(["a.jpg", "b.jpg", "c.jpg"]),
        image_ids=np.array(image_ids),
        image_index=np.array([0, 1], np.int32),
        ids=np.array([0, 9]),
        boxes=np.array([[10, 20, 30, 40]] * 2, np.float32),
        keypoints=keypoints,
        areas=np.array([700, 700], np.float32),
        scores=np.ones(2, np.float32),
        group_ids=np.array([-1, 4]),
    )


def test_from_persons_is_what_the_file_gives():
    annotation = small_annotation()
    annotation["annotations"][2]["group_id"] = 4
    annotation["images"][0]["crowdIndex"] = 0.5
    expected = prepare_ground_truth(annotation, SIGMAS)
    for person in expected.dataset["annotations"]:
        person |= {"category_id": 1, "keypoints": [10, 20, 1, 40, 60, 1, 0, 0, 0]}
    expected.dataset["categories"][0]["id"] = 1
    truth = ground_truth_from_persons(some_persons(), SIGMAS, {7: 0.5})
    assert truth.dataset == expected.dataset
    assert json.loads(json.dumps(truth.dataset)) == truth.dataset
    np.testing.assert_array_equal(truth.sigmas, SIGMAS)


def test_from_nobody():
    truth = ground_truth_from_persons(some_persons().take(np.zeros(2, bool)), SIGMAS)
    assert (truth.image_ids, truth.dataset["annotations"], truth.category_id) == ([5, 6, 7], [], 1)


def test_persons_that_are_not_one_set_in_one_skeleton_are_refused():
    with pytest.raises(DataError, match=r"2.*3.*3.*2.*3"):
        ground_truth_from_persons(some_persons(), SIGMAS[:2])
    with pytest.raises(DataError, match="id 7"):
        ground_truth_from_persons(some_persons((7, 5, 7)), SIGMAS)
    with pytest.raises(DataError, match="7.*crowdIndex"):
        ground_truth_from_persons(some_persons(), SIGMAS, {7: float("inf")})


@pytest.mark.parametrize("backend", ["auto", "pycocotools"])
def test_evaluating_does_not_change_it(backend):
    truth = prepare_ground_truth(small_annotation(), SIGMAS)
    before = copy.deepcopy(truth.dataset)
    keypoints = np.array([[[10.0, 20], [40, 60], [3, 3]]])
    prediction = KeypointPredictions(np.array([7]), keypoints, np.ones((1, 3)), np.ones(1), np.ones(1))
    first = evaluate_oks(truth, prediction, backend=backend)
    assert first["AR"] == 0.5
    assert truth.dataset == before
    assert evaluate_oks(truth, prediction, backend=backend) == first


WRONG = [
    ("annotations", 0, {"keypoints": [1, 2, 2]}, "annotation id 0: keypoints"),
    ("annotations", 0, {"keypoints": [float("nan")] * 9}, "annotation id 0: keypoints"),
    ("annotations", 0, {"bbox": [1, 2, "3", 4]}, "annotation id 0: bbox"),
    ("annotations", 0, {"area": float("nan")}, "annotation id 0: area"),
    ("annotations", 0, {"area": -1}, "annotation id 0: area"),
    ("annotations", 0, {"group_id": "a"}, "annotation id 0: group_id"),
    ("annotations", 0, {"group_id": True}, "annotation id 0: group_id"),
    ("annotations", 1, {"image_id": [7]}, "annotation id 9: image_id"),
    ("annotations", 1, {"category_id": "a"}, "annotation id 9: category_id"),
    ("images", 1, {"id": {}}, "image number 1: id"),
]


@pytest.mark.parametrize(("key", "row", "change", "message"), WRONG)
def test_a_wrong_row_is_named(tmp_path, key, row, change, message):
    annotation = small_annotation()
    annotation[key][row].update(change)
    (tmp_path / "val.json").write_text(json.dumps(annotation))
    with pytest.raises(DataError, match=f"val.json.*{message}"):
        load_ground_truth(tmp_path / "val.json", SIGMAS)


def test_all_wrong_rows_are_in_the_error():
    annotation = small_annotation()
    annotation["annotations"][0]["bbox"] = annotation["annotations"][2]["area"] = "big"
    annotation["images"][2] = 5
    with pytest.raises(WrongRows) as error:
        prepare_ground_truth(annotation, SIGMAS)
    assert {kind: list(rows) for kind, rows in error.value.rows.items()} == {"image": [2], "annotation": [0, 2]}


@pytest.mark.parametrize("text", ["{", "[]", '{"images": []}'])
def test_files_that_are_no_annotation(tmp_path, text):
    path = tmp_path / "val.json"
    with pytest.raises(DataError, match="val.json"):
        load_ground_truth(path, SIGMAS)
    path.write_text(text)
    with pytest.raises(DataError, match="val.json"):
        load_ground_truth(path, SIGMAS)


def test_a_file_is_read_as_its_content(tmp_path):
    (tmp_path / "val.json").write_text(json.dumps(small_annotation()))
    expected = prepare_ground_truth(small_annotation(), SIGMAS)
    assert load_ground_truth(tmp_path / "val.json", SIGMAS).dataset == expected.dataset
