"""The ground truth scored against itself: 1 for a sound set, and the reason where it is not."""

import json
from dataclasses import replace

import numpy as np
import pytest
from small_coco import small_coco

from semipose.data.formats import read_coco
from semipose.evaluation import LabelledSet, MetricOptions
from semipose.evaluation.dry_run import dry_run
from semipose.evaluation.ground_truth import prepare_ground_truth
from semipose.evaluation.ground_truth_edits import restrict
from semipose.skeletons import COCO

LARGE = 10  # times the size of the small pictures, so that persons are above 32 x 32 pixels


def large_coco(images: int = 4) -> dict:
    document = small_coco(images)
    for row in document["images"]:
        row["width"], row["height"] = row["width"] * LARGE, row["height"] * LARGE
    for row in document["annotations"]:
        row["bbox"] = [side * LARGE for side in row["bbox"]]
        row["area"] *= LARGE**2
        points = np.array(row["keypoints"]).reshape(-1, 3) * [LARGE, LARGE, 1]
        row["keypoints"] = points.ravel().tolist()
    return document


def labelled_set(folder, document: dict, truth: dict | None = None) -> LabelledSet:
    (folder / "a.json").write_text(json.dumps(document))
    persons = read_coco(str(folder / "a.json"), str(folder), COCO)
    return LabelledSet("set", prepare_ground_truth(truth or document, COCO.sigmas), persons, COCO)


def reasons(found) -> str:
    return "\n".join(found.reasons)


def test_a_sound_set_scores_one(tmp_path):
    found = dry_run(labelled_set(tmp_path, large_coco()), MetricOptions())
    assert {found.scores[key] for key in ("AP", "AP50", "AP75", "AP_L", "AR")} == {1.0}
    assert found.shifted > 0.99 and found.reasons == () and not found.broken


def test_detector_boxes_have_the_labels_of_the_ground_truth(tmp_path):
    labels = labelled_set(tmp_path, large_coco())
    boxes = replace(labels.persons, keypoints=labels.persons.keypoints * 0)
    found = dry_run(replace(labels, persons=boxes), MetricOptions())
    assert found.scores["AP"] == 1 and found.reasons == ()


@pytest.mark.parametrize(
    "field, value, told",
    [
        ("num_keypoints", 0, "no person is scored: all have num_keypoints 0 or are crowds"),
        ("iscrowd", 1, "no person is scored: all have num_keypoints 0 or are crowds"),
        ("area", 0, "areas (in the median 0 of the box area; 0: 8) or sigmas are too small"),
        ("area", 0.63, "areas (in the median 1e-05 of the box area; 0: 0) or sigmas are too small"),
    ],
)
def test_why_ap_would_be_zero(tmp_path, field, value, told):
    truth = large_coco()
    for row in truth["annotations"]:
        row[field] = value
        row["bbox"] = [0, 0, 300, 210]
    found = dry_run(labelled_set(tmp_path, large_coco(), truth), MetricOptions())
    assert found.broken and told in found.reasons


def test_sigmas_that_are_too_small(tmp_path):
    labels = labelled_set(tmp_path, large_coco())
    truth = replace(labels.ground_truth, sigmas=np.full(17, 1e-4))
    found = dry_run(replace(labels, ground_truth=truth), MetricOptions())
    assert found.scores["AP"] == 1 and found.shifted < 0.1 and "sigmas are too small" in reasons(found)


def test_keypoints_that_are_a_pixel_off(tmp_path):
    truth = large_coco()
    truth["annotations"][2]["keypoints"] = (np.array(truth["annotations"][2]["keypoints"]) + [1, 1, 0] * 17).tolist()
    found = dry_run(labelled_set(tmp_path, large_coco(), truth), MetricOptions())
    assert "(pixels counted from 1?)" not in reasons(found)  # nobody would see it at this size
    truth = small_coco(4)
    for row in truth["annotations"]:
        row["keypoints"] = (np.array(row["keypoints"]) + [1, 1, 0] * 17).tolist()
    found = dry_run(labelled_set(tmp_path, small_coco(4), truth), MetricOptions())
    assert "(pixels counted from 1?): ids 10, 11, 20, 21, 30, ... (8)" in reasons(found)


def test_persons_that_are_not_scored_or_not_predicted(tmp_path):
    document, truth = large_coco(), large_coco()
    document["annotations"][3] |= {"bbox": [5000, 5, 10, 10], "keypoints": [5000, 5, 2] * 17}  # left out by the reader
    truth["annotations"][4]["num_keypoints"] = 0
    found = dry_run(labelled_set(tmp_path, document, truth), MetricOptions())
    ids = [row["id"] for row in document["annotations"]]
    assert f"as the reader leaves them out: ids {ids[3]} (1)" in reasons(found)
    assert f"(num_keypoints 0, crowd or another category): ids {ids[4]} (1)" in reasons(found)
    assert found.scores["AP"] < 1


def test_small_persons_crowded_images_and_equal_poses(tmp_path):
    found = dry_run(labelled_set(tmp_path, small_coco(3)), MetricOptions())
    assert "all areas are below 1024 square pixels, so that AP_M and AP_L are -1" in found.reasons and not found.broken
    document = large_coco(11)
    for row in document["annotations"]:
        row["image_id"] = 1
    found = dry_run(labelled_set(tmp_path, document), MetricOptions())
    assert "images with more than the 20 persons that are scored: ids 1 (1)" in found.reasons
    document = large_coco(3)
    document["annotations"][1] |= {key: document["annotations"][0][key] for key in ("keypoints", "bbox", "area")}
    labels = labelled_set(tmp_path, document)
    assert dry_run(labels, MetricOptions()).reasons == (
        "persons that OKS-NMS at 0.9 takes for another one of nearly the same pose: 1",
    )
    assert dry_run(labels, MetricOptions(nms="none")).reasons == ()


def test_persons_with_few_labels_are_not_taken_for_each_other(tmp_path):
    document = large_coco(2)
    for row in document["annotations"]:
        row["keypoints"][3:] = [0] * 48
        row["num_keypoints"] = 1
    assert dry_run(labelled_set(tmp_path, document), MetricOptions()).reasons == ()


def test_a_set_without_any_person(tmp_path):
    labels = labelled_set(tmp_path, large_coco(2))
    nobody = restrict(prepare_ground_truth(large_coco(2), COCO.sigmas), [])
    found = dry_run(LabelledSet("set", nobody, labels.persons.take([]), COCO), MetricOptions())
    assert found.broken and "no person is scored" in reasons(found)
