"""OKS AP/AR: the published check case, equality with plain pycocotools, and what users get wrong."""

import contextlib
import io
import json
import logging
import sys
from importlib.util import find_spec

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from semipose.errors import ConfigError, DataError
from semipose.evaluation import KeypointPredictions, coco_results, select_detections
from semipose.evaluation.coco_protocol import OKS_METRICS, evaluate_oks, evaluate_selected
from semipose.evaluation.ground_truth import prepare_ground_truth
from semipose.evaluation.ground_truth_edits import restrict
from semipose.skeletons import get_skeleton

SIGMAS = get_skeleton("coco").sigmas
no_faster = pytest.mark.skipif(find_spec("faster_coco_eval") is None, reason="faster-coco-eval is not installed")
BACKENDS = (pytest.param("faster", marks=no_faster), "pycocotools", "auto")


def moved(predictions):
    """The published perturbation; the COCO visibilities 0, 1, 2 are the keypoint scores, and all is float32."""
    return KeypointPredictions(
        predictions.image_ids,
        predictions.keypoints * np.float32([0.98, 1.02]),
        predictions.keypoint_scores * np.float32(0.8),
        predictions.box_scores * np.float32(0.98),
        predictions.areas,
    )


def doubled(predictions):
    """Person i once i % to the left and below, and once i % to the right and above, there with less score."""
    step = np.arange(len(predictions), dtype=np.float32) / np.float32(100)
    parts = []
    for side, lost in ((1, 0), (-1, 1)):
        shift = np.stack([1 - side * step, 1 + side * step], axis=1)[:, None]
        fading = (1 - (1 + lost) * step)[:, None]
        parts.append((predictions.keypoints * shift, predictions.keypoint_scores * fading, 1 - 2 * lost * step))
    points, scores, boxes = (np.concatenate(column) for column in zip(*parts))
    return KeypointPredictions(
        np.tile(predictions.image_ids, 2), points, scores, boxes.astype(np.float32), np.tile(predictions.areas, 2)
    )


def random_case(seed, num_keypoints=17, images=6):
    """Persons, crowd and unlabelled persons of all sizes; detections that hit, miss, repeat and tie in score."""
    rng = np.random.default_rng(seed)
    annotations, detections = [], []
    for image_id in (rng.permutation(50)[:images] * 7).tolist():
        for _ in range(rng.integers(0, 5)):
            size = rng.choice([20, 60, 200]) * rng.uniform(0.5, 1.5)
            xy = rng.uniform(0, 300, 2) + rng.uniform(0, size, (num_keypoints, 2))
            seen = rng.choice([0, 1, 2], num_keypoints) * (rng.random() > 0.15)
            box = [*xy.min(0).tolist(), *np.ptp(xy, axis=0).tolist()]
            annotation = {"id": len(annotations) + 1, "image_id": image_id, "category_id": 1, "bbox": box}
            annotation |= {"area": float(size**2 * rng.uniform(0.3, 0.8)), "iscrowd": int(rng.random() < 0.15)}
            annotation["keypoints"] = np.column_stack([xy, seen]).ravel().tolist()
            annotations.append(annotation | {"num_keypoints": int((seen > 0).sum())})
            for _ in range(rng.choice([0, 1, 1, 1, 2, 12])):
                guess = xy + rng.normal(0, size * rng.choice([0.01, 0.04, 0.1]), xy.shape)
                detections.append((image_id, guess, rng.random(num_keypoints), rng.integers(1, 6) / 5, size**2))
        detections.append((image_id, rng.uniform(0, 300, (num_keypoints, 2)), rng.random(num_keypoints), 0.4, 900.0))
    ids = sorted({d[0] for d in detections} | {999})
    annotation = {"images": [{"id": i} for i in ids], "annotations": annotations}
    annotation["categories"] = [{"id": 1, "name": "person"}]
    shuffled = [detections[i] for i in rng.permutation(len(detections))]
    return annotation, KeypointPredictions(*(np.array(column) for column in zip(*shuffled)))


def plain_pycocotools(annotation, predictions, sigmas):
    """The reference: nothing but pycocotools, scores as they are."""
    triples = np.concatenate([predictions.keypoints, predictions.keypoint_scores[..., None]], axis=-1)
    results = [
        {"image_id": int(i), "category_id": 1, "keypoints": k.ravel().tolist(), "score": float(s)}
        for i, k, s in zip(predictions.image_ids, triples, predictions.box_scores)
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = json.loads(json.dumps(annotation))
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(results), "keypoints")
        evaluation.params.kpt_oks_sigmas = np.array(sigmas)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats


@pytest.mark.parametrize("backend", BACKENDS)
def test_published_check_case(coco_case, backend):
    """MMPose 1.3.2's numbers for top-down, box score x keypoint score, oks_nms."""
    annotation, predictions = coco_case
    got = evaluate_oks(prepare_ground_truth(annotation, SIGMAS), moved(predictions), backend=backend)
    expected = {"AP": 0.5287458746, "AP50": 0.9042904290, "AP75": 0.5009900990, "AP_M": 0.4247524752}
    expected |= {"AP_L": 0.6219554455, "AR": 0.5833333333}
    assert {key: got[key] for key in expected} == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("nms", "expected"),
    [
        ("soft", {"AP": 0.1707370737, "AP50": 0.2505500550, "AP75": 0.1067106711, "AR": 0.2416667}),
        ("soft_rescored", {"AP": 0.1975954738, "AR": 0.2416667}),
    ],
)
def test_published_case_of_two_predictions_for_each_person(coco_case, nms, expected):
    """MMPose 1.3.2's numbers for soft_oks_nms at 0.9: the lowered scores choose, and do not rank."""
    annotation, predictions = coco_case
    got = evaluate_oks(prepare_ground_truth(annotation, SIGMAS), doubled(predictions), nms=nms)
    assert {key: got[key] for key in expected} == pytest.approx(expected, abs=1e-7)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("nms", ["hard", "soft", "soft_rescored", "none"])
def test_ground_truth_as_prediction_is_perfect(coco_case, backend, nms):
    """The annotation ids run from 0 here, which the COCO tools alone would score below 1."""
    annotation, predictions = coco_case
    got = evaluate_oks(prepare_ground_truth(annotation, SIGMAS), predictions, nms=nms, backend=backend)
    assert got == pytest.approx(dict.fromkeys(OKS_METRICS, 1.0), abs=1e-12)
    assert annotation["annotations"][0]["id"] == 0
    assert plain_pycocotools(annotation, predictions, SIGMAS)[0] < 1


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("seed", range(20))
@pytest.mark.promise("R19")
def test_equals_plain_pycocotools(seed, backend):
    annotation, predictions = random_case(seed)
    expected = plain_pycocotools(annotation, predictions, SIGMAS)
    truth = prepare_ground_truth(annotation, SIGMAS)
    assert 0 < expected[0] < 1
    got = evaluate_selected(truth, predictions, backend)
    np.testing.assert_allclose([got[key] for key in OKS_METRICS], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("nms", ["hard", "soft_rescored"])
def test_suppression_and_rescoring_come_before_the_coco_tools(nms):
    annotation, predictions = random_case(seed=3)
    selected = select_detections(predictions, SIGMAS, nms=nms, nms_threshold=0.7)
    expected = plain_pycocotools(annotation, selected, SIGMAS)
    truth = prepare_ground_truth(annotation, SIGMAS)
    got = evaluate_oks(truth, predictions, nms=nms, nms_threshold=0.7, backend="pycocotools")
    np.testing.assert_allclose(list(got.values()), expected, rtol=0, atol=1e-12)
    assert abs(expected[0] - plain_pycocotools(annotation, predictions, SIGMAS)[0]) > 1e-6


@pytest.mark.parametrize("backend", BACKENDS)
def test_fourteen_keypoints_with_their_own_sigmas(backend):
    sigmas = get_skeleton("lsp").sigmas
    annotation, predictions = random_case(seed=1, num_keypoints=14)
    expected = plain_pycocotools(annotation, predictions, sigmas)
    truth, wider = (prepare_ground_truth(annotation, s) for s in (sigmas, np.multiply(sigmas, 2)))
    got = evaluate_selected(truth, predictions, backend)
    np.testing.assert_allclose(list(got.values()), expected, rtol=0, atol=1e-12)
    assert evaluate_selected(wider, predictions, backend)["AP"] > got["AP"] + 0.01


def test_select_detections_keeps_images_apart_and_rows_together():
    pose = np.zeros((1, 17, 2))
    poses = np.concatenate([pose, pose + 0.1, pose, pose + 500])
    scores = np.repeat(np.array([[0.5], [0.9], [0.7], [0.1]]), 17, axis=1)
    given = KeypointPredictions(np.array([8, 8, 3, 8]), poses, scores, np.ones(4), np.full(4, 1e4))
    hard = select_detections(given, SIGMAS)
    assert hard.image_ids.tolist() == [3, 8, 8]
    np.testing.assert_allclose(hard.box_scores, [0.7, 0.9, 0.0], atol=1e-7)
    np.testing.assert_allclose(hard.keypoint_scores[:, 0], [0.7, 0.9, 0.1])
    np.testing.assert_array_equal(hard.keypoints[:, 0, 0], [0, 0.1, 500])
    soft = select_detections(given, SIGMAS, nms="soft")
    np.testing.assert_allclose(soft.box_scores, [0.7, 0.9, 0.5, 0.0], atol=1e-7)
    rescored = select_detections(given, SIGMAS, nms="soft_rescored")
    np.testing.assert_allclose(rescored.box_scores, [0.7, 0.9, 0.5 * np.exp(-1 / 0.9), 0.0], atol=1e-3)
    unchanged = select_detections(given, SIGMAS, nms="none")
    np.testing.assert_allclose(unchanged.box_scores, [0.5, 0.9, 0.7, 0], atol=1e-7)


@pytest.mark.parametrize("nms", ["soft", "soft_rescored"])
def test_soft_nms_keeps_twenty_of_an_image(nms):
    """A copy of the best person, at .9 lowered to .9 exp(-1 / .9) = .30, makes room for the 20th one at .5."""
    places = np.array([0, *range(20)])[:, None, None] * np.full((1, 17, 2), 500.0)
    scores = np.repeat([0.9, 0.95, *[0.5] * 19], 17).reshape(21, 17)
    given = KeypointPredictions(np.full(21, 8), places, scores, np.ones(21), np.full(21, 1e4))
    kept = select_detections(given, SIGMAS, nms=nms)
    assert sorted(kept.keypoints[:, 0, 0].tolist()) == [500.0 * n for n in range(20)]
    np.testing.assert_allclose(np.sort(kept.box_scores)[[0, -1]], [0.5, 0.95], atol=1e-7)


@pytest.mark.parametrize("backend", BACKENDS)
def test_images_without_predictions_and_no_prediction_at_all(coco_case, backend):
    annotation, predictions = coco_case
    truth = prepare_ground_truth(annotation, SIGMAS)
    one_image = predictions.take(predictions.image_ids == 785)
    assert evaluate_oks(truth, one_image, backend=backend)["AR"] == pytest.approx(1 / 12)
    none = predictions.take(np.zeros(len(predictions), bool))
    assert evaluate_oks(truth, none, backend=backend) == dict.fromkeys(OKS_METRICS, 0.0)
    assert coco_results(none) == []


@pytest.mark.parametrize("backend", BACKENDS)
def test_restricted_to_some_images(coco_case, backend):
    annotation, predictions = coco_case
    only = restrict(prepare_ground_truth(annotation, SIGMAS), [785])
    assert only.image_ids == [785]
    got = evaluate_oks(only, predictions.take(predictions.image_ids == 785), backend=backend)
    assert (got["AP"], got["AP_L"], got["AP_M"]) == pytest.approx((1, 1, -1), abs=1e-12)
    with pytest.raises(DataError, match="image id 40083"):
        evaluate_oks(only, predictions, backend=backend)


def test_results_survive_json(coco_case):
    _, predictions = coco_case
    results = json.loads(json.dumps(coco_results(predictions, category_id=2)))
    assert len(results) == 14
    assert [results[0][key] for key in ("image_id", "category_id", "score")] == [785, 2, 1.0]
    assert results[0]["keypoints"][:6] == [367.0, 81.0, 2.0, 374.0, 73.0, 2.0]


@pytest.mark.parametrize("backend", BACKENDS)
def test_nothing_is_printed_or_logged(coco_case, backend, capfd, caplog):
    annotation, predictions = coco_case
    with caplog.at_level(logging.INFO):
        evaluate_oks(prepare_ground_truth(annotation, SIGMAS), predictions, backend=backend)
    assert (capfd.readouterr(), caplog.messages) == (("", ""), [])


def test_auto_falls_back_when_the_fast_package_is_missing(coco_case, monkeypatch):
    annotation, predictions = coco_case
    truth = prepare_ground_truth(annotation, SIGMAS)
    monkeypatch.setitem(sys.modules, "faster_coco_eval", None)
    assert evaluate_oks(truth, predictions) == evaluate_oks(truth, predictions, backend="pycocotools")
    with pytest.raises(ConfigError, match="needs the package faster-coco-eval"):
        evaluate_oks(truth, predictions, backend="faster")


def test_wrong_predictions_are_refused(coco_case):
    annotation, predictions = coco_case
    truth = prepare_ground_truth(annotation, get_skeleton("lsp").sigmas[:1] * 17)
    arrays = [getattr(predictions, n) for n in ("image_ids", "keypoints", "keypoint_scores", "box_scores", "areas")]
    with pytest.raises(DataError, match="keypoints has shape"):
        KeypointPredictions(arrays[0], arrays[1][:, :5], *arrays[2:])
    broken = arrays[1].copy()
    broken[-1, 3, 0] = np.nan
    with pytest.raises(DataError, match="197388"):
        KeypointPredictions(arrays[0], broken, *arrays[2:])
    fewer = KeypointPredictions(arrays[0], arrays[1][:, :14], arrays[2][:, :14], *arrays[3:])
    with pytest.raises(DataError, match="14 keypoints.*17"):
        evaluate_oks(truth, fewer)
    with pytest.raises(ConfigError, match="hard, soft, soft_rescored, none"):
        evaluate_oks(truth, predictions, nms="off")
    with pytest.raises(ConfigError, match="auto, faster, pycocotools"):
        evaluate_oks(truth, predictions, backend="matlab")
    with pytest.raises(ConfigError, match="nms_threshold.*0"):
        evaluate_oks(truth, predictions, nms_threshold=0)
