"""The real sample files of the MMPose tests; their folder is named by SEMIPOSE_SAMPLES."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from semipose.evaluation import KeypointPredictions, load_ground_truth, select_detections
from semipose.evaluation.coco_protocol import OKS_METRICS, evaluate_oks
from semipose.evaluation.crowdpose import CROWDPOSE_METRICS, evaluate_crowdpose
from semipose.evaluation.ground_truth import prepare_ground_truth
from semipose.evaluation.ground_truth_edits import with_box_areas
from semipose.skeletons import get_skeleton

ROOT = Path(os.environ.get("SEMIPOSE_SAMPLES", "."))
CROWDPOSE_SIGMAS = np.repeat([0.079, 0.072, 0.062, 0.107, 0.087, 0.089, 0.079], 2)
pytestmark = pytest.mark.skipif(
    "SEMIPOSE_SAMPLES" not in os.environ, reason="SEMIPOSE_SAMPLES does not name the folder of the sample files"
)


def labels_as_predictions(annotation, dtype=np.float32):
    """The labelled persons at their place; the visibilities 0, 1, 2 are the keypoint scores."""
    persons = [a for a in annotation["annotations"] if a["num_keypoints"]]
    keypoints = np.array([a["keypoints"] for a in persons], dtype).reshape(len(persons), -1, 3)
    boxes = np.array([a["bbox"] for a in persons])
    return KeypointPredictions(
        image_ids=np.array([a["image_id"] for a in persons]),
        keypoints=keypoints[..., :2],
        keypoint_scores=keypoints[..., 2],
        box_scores=np.ones(len(persons), dtype),
        areas=1.25 * boxes[:, 2] * 1.25 * boxes[:, 3],
    )


@pytest.fixture
def coco():
    return json.loads((ROOT / "coco" / "test_coco.json").read_text())


@pytest.mark.parametrize("backend", ["auto", "pycocotools"])
def test_coco_check_case(coco, backend):
    at_labels = labels_as_predictions(coco | {"annotations": [a | {"num_keypoints": 1} for a in coco["annotations"]]})
    moved = KeypointPredictions(
        at_labels.image_ids,
        at_labels.keypoints * np.float32([0.98, 1.02]),
        at_labels.keypoint_scores * np.float32(0.8),
        at_labels.box_scores * np.float32(0.98),
        at_labels.areas,
    )
    truth = load_ground_truth(ROOT / "coco" / "test_coco.json", get_skeleton("coco").sigmas)
    got = evaluate_oks(truth, moved, backend=backend)
    expected = {"AP": 0.5287458746, "AP50": 0.9042904290, "AP75": 0.5009900990, "AP_M": 0.4247524752}
    expected |= {"AP_L": 0.6219554455, "AR": 0.5833333333}
    assert {key: got[key] for key in expected} == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("nms", ["hard", "soft"])
def test_coco_labels_are_perfect(coco, nms):
    truth = prepare_ground_truth(coco, get_skeleton("coco").sigmas)
    got = evaluate_oks(truth, labels_as_predictions(coco), nms=nms)
    assert got == pytest.approx(dict.fromkeys(OKS_METRICS, 1.0), abs=1e-12)


@pytest.mark.parametrize("nms", ["hard", "soft"])
def test_crowdpose_labels_are_perfect(nms):
    """The two images have the crowd indices .33 and .39, so there is no easy and no hard one."""
    annotation = json.loads((ROOT / "crowdpose" / "test_crowdpose.json").read_text())
    truth = prepare_ground_truth(annotation, CROWDPOSE_SIGMAS)
    detections = select_detections(labels_as_predictions(annotation), CROWDPOSE_SIGMAS, nms)
    assert len(detections) == 4
    expected = dict.fromkeys(CROWDPOSE_METRICS, 1.0) | {"AP_E": -1, "AP_H": -1}
    assert evaluate_crowdpose(truth, detections) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("name", ["aic", "ochuman", "jhmdb"])
def test_other_labels_are_perfect(name):
    path = ROOT / name / {"jhmdb": "test_jhmdb_sub1.json"}.get(name, f"test_{name}.json")
    annotation = json.loads(path.read_text())
    for person in annotation["annotations"]:
        person.setdefault("num_keypoints", sum(v > 0 for v in person["keypoints"][2::3]))
    sigmas = np.full(len(annotation["annotations"][0]["keypoints"]) // 3, 0.05)
    truth = with_box_areas(prepare_ground_truth(annotation, sigmas, source=str(path)))
    got = evaluate_oks(truth, labels_as_predictions(annotation))
    assert (got["AP"], got["AR"]) == pytest.approx((1, 1), abs=1e-12)
