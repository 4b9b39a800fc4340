"""Preparing the ground truth: what is copied, what is filled in, and which annotations are refused."""

import copy
import json

import numpy as np
import pytest

from semipose.errors import DataError
from semipose.evaluation import (
    KeypointPredictions,
    evaluate_oks,
    ground_truth_from_persons,
    load_ground_truth,
    prepare_ground_truth,
)
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


def test_restricted_to_some_images():
    truth = prepare_ground_truth(small_annotation(), SIGMAS, image_ids=np.array([5, 6, 5]))
    assert truth.image_ids == [5, 6]
    assert [(p["id"], p["image_id"]) for p in truth.dataset["annotations"]] == [(1, 5)]
    with pytest.raises(DataError, match="no image has the id 8"):
        prepare_ground_truth(small_annotation(), SIGMAS, image_ids=[5, 8])


def test_more_or_less_than_one_category_with_keypoints():
    annotation = small_annotation()
    annotation["annotations"][1]["keypoints"] = [0] * 9
    with pytest.raises(DataError, match=r"categories \[1, 4\] have keypoints; exactly one"):
        prepare_ground_truth(annotation, SIGMAS)
    assert len(prepare_ground_truth(annotation, SIGMAS, category_id=4).dataset["annotations"]) == 2
    with pytest.raises(DataError, match="category_id 2 is not one of them"):
        prepare_ground_truth(annotation, SIGMAS, category_id=2)
    with pytest.raises(DataError, match="none of them has keypoints"):
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
    with pytest.raises(DataError, match="val.json: image 6: crowdIndex: found"):
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
    with pytest.raises(DataError, match=r"keypoints have shape \(2, 3, 3\), expected \(N, 2, 3\)"):
        ground_truth_from_persons(some_persons(), SIGMAS[:2])
    with pytest.raises(DataError, match="2 images have the id 7; one set at a time"):
        ground_truth_from_persons(some_persons((7, 5, 7)), SIGMAS)
    with pytest.raises(DataError, match="persons: image 7: crowdIndex: found inf"):
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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"keypoints": [1, 2, 2]}, "annotation 0: keypoints: found 3 numbers, expected 9"),
        ({"keypoints": [float("nan")] * 9}, "annotation 0: keypoints: every value must be a finite number"),
        ({"bbox": None}, "annotation 0: bbox: found None, expected 4"),
        ({"bbox": [1, 2, "3", 4]}, "annotation 0: bbox: every value must be a finite number"),
        ({"area": float("nan")}, "annotation 0: area: found nan"),
        ({"area": "big"}, "annotation 0: area: found 'big'"),
        ({"group_id": "a"}, "annotation 0: group_id: found 'a', expected an integer"),
        ({"group_id": True}, "annotation 0: group_id: found True, expected an integer"),
    ],
)
def test_wrong_annotations_are_named(tmp_path, change, message):
    annotation = small_annotation()
    annotation["annotations"][0].update(change)
    path = tmp_path / "val.json"
    path.write_text(json.dumps(annotation))
    with pytest.raises(DataError) as error:
        load_ground_truth(path, SIGMAS)
    assert str(error.value).startswith(f"{path}: {message}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("key", "entry", "message"),
    [
        ("annotations", 5, "annotations: entry 1 is 5, expected a JSON object"),
        ("annotations", None, "annotations: entry 1 is None, expected a JSON object"),
        ("annotations", {"image_id": [7]}, "annotations: entry 1: image_id: found [7], expected an integer"),
        ("annotations", {"image_id": 7, "category_id": "a"}, "annotations: entry 1: category_id: found 'a', expected"),
        ("images", [7], "images: entry 1 is [7], expected a JSON object"),
        ("images", {"id": {}}, "images: entry 1: id: found {}, expected an integer"),
    ],
)
def test_entries_of_another_kind_are_named(key, entry, message):
    annotation = small_annotation()
    annotation[key][1] = entry
    with pytest.raises(DataError) as error:
        prepare_ground_truth(annotation, SIGMAS, source="val.json")
    assert str(error.value).startswith(f"val.json: {message}")


def test_annotation_files(tmp_path):
    path = tmp_path / "val.json"
    with pytest.raises(DataError, match="val.json: annotation file cannot be read"):
        load_ground_truth(path, SIGMAS)
    for text, message in (
        ("{", "is not JSON"),
        ("[]", "images: expected a COCO"),
        ('{"images": []}', "annotations: exp"),
    ):
        path.write_text(text)
        with pytest.raises(DataError, match=message):
            load_ground_truth(path, SIGMAS)
    path.write_text(json.dumps(small_annotation()))
    assert load_ground_truth(path, SIGMAS).dataset == prepare_ground_truth(small_annotation(), SIGMAS).dataset
