"""CrowdPose AP: levels by hand, and equality with the CrowdPose mode of faster-coco-eval."""

import json
from importlib.util import find_spec

import numpy as np
import pytest

from semipose.errors import DataError
from semipose.evaluation import KeypointPredictions, coco_results
from semipose.evaluation.coco_protocol import evaluate_selected
from semipose.evaluation.crowdpose import CROWDPOSE_METRICS, evaluate_crowdpose
from semipose.evaluation.ground_truth import prepare_ground_truth
from semipose.evaluation.ground_truth_edits import restrict

SIGMAS = np.array([0.079] * 2 + [0.072] * 2 + [0.062] * 2 + [0.107] * 2 + [0.087] * 2 + [0.089] * 2 + [0.079] * 2)
no_faster = pytest.mark.skipif(find_spec("faster_coco_eval") is None, reason="faster-coco-eval is not installed")


def case(crowd_index, seed=0, noise=0.02):
    """Two persons on each image, found with some error; areas in the file are absent, as in CrowdPose."""
    rng = np.random.default_rng(seed)
    persons, poses = [], []
    for image_id in range(1, len(crowd_index) + 1):
        for _ in range(2):
            xy = rng.uniform(0, 60, 2) + rng.uniform(0, 200, (14, 2))
            seen = rng.choice([0, 1, 2], 14)
            person = {"image_id": image_id, "category_id": 1, "id": len(persons), "iscrowd": 0}
            person |= {
                "bbox": [*xy.min(0).tolist(), *np.ptp(xy, axis=0).tolist()],
                "num_keypoints": int((seen > 0).sum()),
            }
            persons.append(person | {"keypoints": np.column_stack([xy, seen]).ravel().tolist()})
            poses.append((image_id, xy + rng.normal(0, noise * 200, xy.shape), rng.random()))
    images = [{"id": i, "crowdIndex": c} for i, c in enumerate(crowd_index, 1)]
    ids, xy, scores = (np.array(values) for values in zip(*poses))
    found = KeypointPredictions(ids, xy, np.ones(xy.shape[:2]), scores, np.full(len(ids), 1e4))
    categories = [{"id": 1, "name": "person"}]
    return {"images": images, "annotations": persons, "categories": categories}, found


def test_levels():
    """One image of each level is found, the bounds are .2 and .8; a level is blind to the images of the others."""
    annotation, found = case([0.0, 0.199, 0.2, 0.799, 0.8, 1.0], noise=0)
    found.keypoints[[1, 6, 7, 8]] += 900
    metrics = evaluate_crowdpose(prepare_ground_truth(annotation, SIGMAS), found)
    assert tuple(metrics) == CROWDPOSE_METRICS

    def level(first, last):
        chosen = {first, last}
        part = annotation | {"annotations": [a for a in annotation["annotations"] if a["image_id"] in chosen]}
        rows = np.isin(found.image_ids, [first, last])
        return evaluate_selected(restrict(prepare_ground_truth(part, SIGMAS), chosen), found.take(rows))["AP"]

    assert [metrics[f"AP_{k}"] for k in "EMH"] == pytest.approx([level(1, 2), level(3, 4), level(5, 6)], abs=1e-12)
    assert len({metrics[k] for k in ("AP", "AP_E", "AP_M", "AP_H")}) >= 3
    assert metrics["AR"] == pytest.approx(8 / 12)


def test_areas_come_from_the_boxes():
    annotation, found = case([0.1, 0.5, 0.9])
    plain = evaluate_crowdpose(prepare_ground_truth(annotation, SIGMAS), found)
    for person in annotation["annotations"]:
        person["area"] = 1.0
    assert evaluate_crowdpose(prepare_ground_truth(annotation, SIGMAS), found) == plain
    assert 0 < plain["AP"] < 1


def test_levels_without_images_or_detections():
    annotation, found = case([0.5, 0.9], noise=0)
    truth = prepare_ground_truth(annotation, SIGMAS)
    metrics = evaluate_crowdpose(truth, found.take(found.image_ids == 1))
    assert [metrics[f"AP_{k}"] for k in "EMH"] == pytest.approx([-1, 1, 0])
    nothing = evaluate_crowdpose(truth, found.take(np.zeros(len(found), bool)))
    assert [nothing[k] for k in ("AP", "AP_E", "AP_H")] == [0, -1, 0]


def test_an_image_without_crowd_index_is_named():
    annotation, found = case([0.5, 0.9])
    del annotation["images"][1]["crowdIndex"]
    with pytest.raises(DataError, match="image 2 .*crowdIndex"):
        evaluate_crowdpose(prepare_ground_truth(annotation, SIGMAS), found)


@no_faster
@pytest.mark.parametrize("seed", range(3))
def test_equals_the_crowdpose_mode_of_faster_coco_eval(tmp_path, seed):
    from faster_coco_eval import COCO, COCOeval_faster

    annotation, found = case(np.linspace(0, 1, 11).tolist(), seed)
    path = tmp_path / "crowdpose.json"
    path.write_text(
        json.dumps(annotation | {"annotations": [a | {"id": a["id"] + 1} for a in annotation["annotations"]]})
    )
    truth = COCO(str(path))
    reference = COCOeval_faster(truth, truth.loadRes(coco_results(found)), "keypoints_crowd", use_area=False)
    reference.print_function = lambda *_: None
    reference.params.kpt_oks_sigmas = SIGMAS
    reference.run()
    expected = dict(zip(("AP", "AP50", "AP75", "AR", "AR50", "AR75", "AP_E", "AP_M", "AP_H"), reference.stats))
    metrics = evaluate_crowdpose(prepare_ground_truth(annotation, SIGMAS), found)
    rounded_there = {k: expected.pop(k) for k in ("AP_E", "AP_M", "AP_H")}
    assert {k: metrics[k] for k in expected} == pytest.approx(expected, abs=1e-9)
    assert {k: metrics[k] for k in rounded_there} == pytest.approx(rounded_there, abs=5.1e-5)
    assert 0 < metrics["AP"] < 1
