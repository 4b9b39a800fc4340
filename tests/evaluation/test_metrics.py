"""Metrics by name: each gives what its function gives, and what cannot be computed is refused by set and need."""

from dataclasses import replace

import numpy as np
import pytest
from refusals import refused

from semipose.errors import DataError
from semipose.evaluation import (
    LOWER_IS_BETTER,
    METRICS,
    KeypointPredictions,
    LabelledSet,
    MetricOptions,
    check_metrics,
    ground_truth_from_persons,
    missing_need,
    score,
    select_detections,
)
from semipose.evaluation.coco_protocol import evaluate_oks
from semipose.evaluation.crowdpose import evaluate_crowdpose
from semipose.evaluation.epe import nme, pixel_errors
from semipose.evaluation.jhmdb import jhmdb_pck
from semipose.evaluation.pck import auc, pck
from semipose.evaluation.pckh import pckh
from semipose.skeletons import Skeleton, get_skeleton
from semipose.structures import Persons

# a skeleton with all the names that any metric asks for
BODY = Skeleton("body", (*get_skeleton("mpii").keypoints, "head"), (0.08,) * 17, torso=("left_shoulder", "right_hip"))
OPTIONS = MetricOptions(
    pixels=5.0, pck_norm="torso", nme_norm="head_size", jhmdb_threshold=0.1, auc_pixels=20, auc_steps=8
)


def labelled(count=12, crowd_index=0.5):
    rng = np.random.default_rng(0)
    keypoints = np.concatenate([rng.uniform(0, 100, (count, 17, 2)), rng.integers(0, 2, (count, 17, 1))], -1)
    persons = Persons(
        np.array([f"{i}.jpg" for i in range(count)]), np.arange(count) + 1, np.arange(count, dtype=np.int32),
        np.arange(count), np.tile(np.float32([0, 0, 90, 120]), (count, 1)), keypoints.astype(np.float32),
        np.full(count, 0.53 * 90 * 120, np.float32), np.ones(count, np.float32), head_sizes=rng.uniform(10, 20, count),
    )  # fmt: skip
    truth = ground_truth_from_persons(persons, BODY.sigmas, dict.fromkeys(range(1, count + 1), crowd_index))
    return LabelledSet("val", truth, persons, BODY)


def predicted(labels):
    rng = np.random.default_rng(1)
    points = labels.persons.keypoints[..., :2] + rng.normal(0, 5, (len(labels.persons), 17, 2))
    n = len(points)
    return KeypointPredictions(labels.persons.image_ids, points, rng.random((n, 17)), np.ones(n), np.full(n, 1e4))


def test_every_name_gives_what_its_function_gives():
    labels = labelled()
    people, persons = predicted(labels), labels.persons
    arrays = people.keypoints, persons.keypoints[..., :2], persons.keypoints[..., 2]
    ends = persons.keypoints[:, [13, 2]]
    torso = np.where(ends[..., 2].all(1), np.linalg.norm(ends[:, 0, :2] - ends[:, 1, :2], axis=1), 0)
    errors = pixel_errors(*arrays, 5)
    expected = {
        "oks": evaluate_oks(labels.ground_truth, people),
        "crowdpose": evaluate_crowdpose(labels.ground_truth, select_detections(people, BODY.sigmas)),
        "pck": {"PCK": pck(*arrays, torso, 0.1).mean},
        "pckh": pckh(*arrays, persons.head_sizes, BODY).metrics,
        "jhmdb": jhmdb_pck(*arrays, persons.boxes, BODY, 0.1),
        "auc": {"AUC": auc(*arrays, 20, 8)},
        "epe": {"EPE": errors.mean, "PCK_px": errors.within},
        "nme": {"NME": nme(*arrays, persons.head_sizes)},
    }
    assert list(METRICS) == list(expected)
    for name, metric in METRICS.items():
        found = score([name], labels, people, OPTIONS)
        assert found == pytest.approx(expected[name], abs=1e-6), name
        assert tuple(found) == metric.keys and metric.main in metric.keys
    assert {name for name in METRICS if METRICS[name].main in LOWER_IS_BETTER} == {"epe", "nme"}


def test_options_reach_the_metrics():
    labels = labelled()
    people = predicted(labels)
    double = KeypointPredictions(*(np.concatenate([a, a]) for a in vars(people).values()))
    twice = replace(labels, persons=Persons.concatenate([labels.persons, labels.persons]))
    kept = score(["oks"], twice, double, replace(OPTIONS, nms="none"))["AP"]
    assert kept < score(["oks"], twice, double, OPTIONS)["AP"]
    assert score(["crowdpose"], twice, double, replace(OPTIONS, nms="none"))["AP"] == pytest.approx(kept)
    for change in ({"pck_threshold": 0.3}, {"pck_norm": "box"}, {"nme_norm": ("head", "pelvis")}, {"auc_steps": 3}):
        names = ("pck", "nme", "auc")
        assert score(names, labels, people, replace(OPTIONS, **change)) != score(names, labels, people, OPTIONS)
    assert "PCK_px" not in score(["epe"], labels, people, MetricOptions())


def test_several_names_in_one_result():
    labels = labelled()
    found = score(["pckh", "oks", "epe"], labels, predicted(labels), OPTIONS)
    assert tuple(found) == METRICS["pckh"].keys + METRICS["oks"].keys + METRICS["epe"].keys
    assert score([], labels, predicted(labels), OPTIONS) == {}


def test_a_part_of_the_persons():
    """The ground truth stays whole, so a person who was not predicted is missed."""
    labels = labelled()
    rows = np.array([4, 0, 7])
    found = score(["oks", "auc"], labels.take(rows), predicted(labels).take(rows), OPTIONS)
    assert found["AR50"] == pytest.approx(3 / 12)
    with pytest.raises(DataError, match="'val'.*12.*3"):
        score(["auc"], labels.take(rows), predicted(labels), OPTIONS)


def test_nobody_is_predicted():
    labels = labelled().take(np.zeros(12, bool))
    found = score(["oks", "pckh", "auc", "epe", "nme"], labels, predicted(labelled()).take(np.zeros(12, bool)), OPTIONS)
    assert (found["AP"], found["PCKh"], found["AUC"], found["EPE"], found["NME"]) == (0, -1, -1, -1, -1)


def unlabelled(labels):
    return replace(labels, persons=replace(labels.persons, keypoints=0 * labels.persons.keypoints))


def headless(labels):
    return replace(labels, persons=replace(labels.persons, head_sizes=0 * labels.persons.head_sizes))


COCO = get_skeleton("coco")


@pytest.mark.parametrize(
    ("names", "change", "words"),
    [
        (["oks", "ap"], lambda s: s, ("'ap'", "oks, crowdpose, pck, pckh, jhmdb, auc, epe, nme")),
        (["oks"], lambda s: replace(s, ground_truth=None), ("'oks'", "ground truth")),
        (["crowdpose"], lambda s: replace(s, ground_truth=None), ("'crowdpose'", "ground truth")),
        (["pck"], unlabelled, ("'pck'", "labels")),
        (["epe"], unlabelled, ("'epe'", "labels")),
        (["pckh"], headless, ("'pckh'", "head boxes")),
        (["nme"], headless, ("'nme'", "head sizes")),
        (["pckh"], lambda s: replace(s, skeleton=COCO), ("'pckh'", "'head_top'", "'coco'")),
        (["jhmdb"], lambda s: replace(s, skeleton=COCO), ("'jhmdb'", "'head'", "'coco'")),
        (["pck"], lambda s: replace(s, skeleton=replace(BODY, torso=())), ("'pck'", "'body'", "torso")),
        (["oks", "crowdpose"], lambda s: s, ("'oks'", "'crowdpose'", "AP")),
        (["pck", "jhmdb"], lambda s: s, ("'pck'", "'jhmdb'", "PCK")),
    ],
)
def test_what_cannot_be_computed_is_refused(names, change, words):
    labels = change(labelled())
    refused(lambda: check_metrics(names, labels, OPTIONS), "'val'", *words)
    refused(lambda: score(names, labels, predicted(labels), OPTIONS), "'val'", *words)


def test_a_set_without_crowd_index():
    labels = labelled()
    labels.ground_truth.dataset["images"][3].pop("crowdIndex")
    refused(lambda: check_metrics(["crowdpose"], labels, OPTIONS), "'crowdpose'", "image 4")
    assert "crowdIndex" in missing_need("crowdpose", labels, OPTIONS)
    assert missing_need("oks", labels, OPTIONS) == ""


def test_predictions_of_another_skeleton_are_refused():
    labels = labelled()
    people = predicted(labels)
    short = replace(people, keypoints=people.keypoints[:, :9], keypoint_scores=people.keypoint_scores[:, :9])
    for name in METRICS:
        with pytest.raises(DataError):
            score([name], labels, short, OPTIONS)
