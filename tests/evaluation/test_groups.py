"""AP of each group: by hand, and against a slow loop that follows the rules of the COCO protocol."""

import numpy as np
import pytest

from semipose.errors import DataError
from semipose.evaluation import KeypointPredictions, evaluate_groups, with_groups
from semipose.evaluation.coco_protocol import evaluate_oks, evaluate_selected
from semipose.evaluation.ground_truth import prepare_ground_truth
from semipose.evaluation.oks import oks_matrix

SIGMAS = np.array([0.05, 0.08, 0.1, 0.06])
AREA = 3000.0


def annotation_of(people):
    """People: (image id, annotation id, (4, 3) keypoints, more keys)."""
    persons = [
        {
            "image_id": i,
            "id": n,
            "category_id": 1,
            "area": AREA,
            "bbox": [0, 0, 50, 60],
            "keypoints": k.ravel().tolist(),
        }
        | more
        for i, n, k, more in people
    ]
    return {"images": [{"id": i} for i in sorted({p[0] for p in people})], "annotations": persons}


def detections_of(found):
    """Found: (image id, (4, 2) keypoints, score)."""
    ids, xy, scores = (np.array(values) for values in zip(*found))
    return KeypointPredictions(ids, xy, np.ones(xy.shape[:2]), scores.astype(float), np.full(len(ids), AREA))


def person(x, y=0.0):
    return np.array([[x, y, 2], [x + 20, y, 2], [x, y + 30, 2], [x + 20, y + 30, 2]], float)


def random_case(seed, groups=3):
    rng = np.random.default_rng(seed)
    people, found = [], []
    for image_id in range(1, 9):
        for _ in range(rng.integers(1, 5)):
            pose = person(*rng.uniform(0, 60, 2))
            pose[:, 2] = rng.choice([0, 1, 2], 4) * (rng.random() > 0.1)
            more = {"group_id": int(rng.integers(groups)), "iscrowd": int(rng.random() < 0.1)}
            people.append((image_id, len(people) + 50, pose, more))
            for _ in range(rng.integers(0, 3)):
                noise = rng.normal(0, rng.choice([1, 4, 9]), (4, 2))
                found.append((image_id, pose[:, :2] + noise, rng.integers(1, 8) / 8))
        found.append((image_id, rng.uniform(0, 100, (4, 2)), 0.3))
    return prepare_ground_truth(annotation_of(people), SIGMAS), detections_of(found)


def slow_ap(ground_truth, detections, group):
    """AP of one group in plain loops: nearest persons own the detections, then COCO's greedy matching."""
    people = ground_truth.dataset["annotations"]
    similarity = np.zeros((len(detections), len(people)))
    for d in range(len(detections)):
        for g, a in enumerate(people):
            if a["image_id"] != detections.image_ids[d]:
                continue
            k = np.array(a["keypoints"]).reshape(-1, 3)
            target = k[:, :2].copy()
            if not a["num_keypoints"]:
                x, y, w, h = a["bbox"]
                target = np.clip(detections.keypoints[d], [x - w, y - h], [x + 2 * w, y + 2 * h])
            seen = k[None, :, 2] if a["num_keypoints"] else None
            similarity[d, g] = oks_matrix(detections.keypoints[d : d + 1], target[None], [a["area"]], SIGMAS, seen)[
                0, 0
            ]
    counts = [bool(a["num_keypoints"]) and not a["iscrowd"] for a in people]
    precisions = []
    for threshold in np.linspace(0.5, 0.95, 10):
        outcome, total = [], sum(c and a["group_id"] == group for c, a in zip(counts, people))
        for image_id in ground_truth.image_ids:
            here = [g for g, a in enumerate(people) if a["image_id"] == image_id]
            real = [g for g in here if counts[g] and people[g]["group_id"] == group]
            ignored = [g for g in here if g not in real]
            owners = [g for g in here if counts[g]]
            rows = [d for d in range(len(detections)) if detections.image_ids[d] == image_id]
            kept = []
            for d in sorted(rows, key=lambda d: -detections.box_scores[d]):
                nearest = max(owners, key=lambda g: similarity[d, g], default=None)
                if nearest is None or not similarity[d, nearest] or people[nearest]["group_id"] == group:
                    kept.append(d)
            taken = set()
            for d in kept[:20]:
                match = None
                for candidates in (real, ignored):
                    free = [g for g in candidates if g not in taken or people[g]["iscrowd"]]
                    free = [g for g in free if similarity[d, g] >= threshold]
                    if free and match is None:
                        match = max(reversed(free), key=lambda g: similarity[d, g])
                taken.add(match)
                if match is None or match in real:
                    outcome.append((detections.box_scores[d], match is not None))
        outcome.sort(key=lambda o: -o[0])
        right = np.cumsum([hit for _, hit in outcome])
        precision, recall = right / np.arange(1, len(right) + 1), right / total
        precisions += [max(precision[recall >= r], default=0) for r in np.linspace(0, 1, 101)]
    return np.mean(precisions)


@pytest.mark.parametrize("seed", range(6))
def test_equals_the_slow_loop(seed):
    truth, found = random_case(seed)
    metrics = evaluate_groups(truth, found)
    assert list(metrics) == [0, 1, 2]
    expected = {group: slow_ap(truth, found, group) for group in metrics}
    assert {group: m["AP"] for group, m in metrics.items()} == pytest.approx(expected, abs=1e-9)
    assert len(set(expected.values())) == 3


@pytest.mark.parametrize("seed", range(3))
def test_one_group_is_the_plain_evaluation(seed):
    truth, found = random_case(seed, groups=1)
    plain = evaluate_selected(truth, found)
    assert 0 < plain["AP"] < 1
    assert evaluate_groups(truth, found) == {0: plain}


def test_errors_of_a_group_are_its_own():
    """Group 1 is found exactly. Group 2 is missed by far, with better scores, and that is wrong in group 2 alone."""
    people = [(i, i, person(0), {"group_id": 1}) for i in (1, 2)]
    people += [(i, i + 10, person(100), {"group_id": 2}) for i in (1, 2, 3)]
    found = [(i, person(0)[:, :2], 0.5) for i in (1, 2)] + [(i, person(112)[:, :2], 0.9) for i in (1, 2, 3)]
    truth = prepare_ground_truth(annotation_of(people), SIGMAS)
    metrics = evaluate_groups(truth, detections_of(found))
    assert (metrics[1]["AP"], metrics[1]["AR"]) == pytest.approx((1, 1))
    assert (metrics[2]["AP"], metrics[2]["AR"]) == (0, 0)
    assert evaluate_oks(truth, detections_of(found))["AP"] < 0.5


def test_a_detection_of_nobody_counts_in_every_group():
    """In an image without persons, and so far off that its similarity is 0; both with the best scores."""
    people = [(1, 1, person(0), {"group_id": 1}), (1, 2, person(100), {"group_id": 2})]
    annotation = annotation_of(people)
    annotation["images"].append({"id": 2})
    truth = prepare_ground_truth(annotation, SIGMAS)
    right = [(1, person(0)[:, :2], 0.5), (1, person(100)[:, :2], 0.5)]
    for image_id, x in ((2, 0), (1, 9e5)):
        found = detections_of([*right, (image_id, person(x)[:, :2], 0.9)])
        metrics = evaluate_groups(truth, found)
        assert [metrics[g]["AP"] for g in (1, 2)] == pytest.approx([0.5, 0.5])


def test_a_second_detection_that_fits_a_person_of_another_group_is_not_wrong():
    """Two persons stand so close that either detection fits both; the second one is nearer to group 1 as well."""
    people = [(1, 1, person(0), {"group_id": 1}), (1, 2, person(1), {"group_id": 2})]
    found = detections_of([(1, person(0)[:, :2], 0.9), (1, person(0.1)[:, :2], 0.95)])
    metrics = evaluate_groups(prepare_ground_truth(annotation_of(people), SIGMAS), found)
    assert (metrics[1]["AP"], metrics[2]["AP"]) == pytest.approx((1, 0))


def test_mapping_and_persons_without_a_group():
    """The annotation's own group wins; crowds and persons without keypoints make no group."""
    people = [(1, 7, person(0), {"group_id": 3}), (1, 8, person(100), {}), (1, 9, person(200), {})]
    people += [(1, 10, person(300), {"iscrowd": 1}), (1, 11, 0 * person(0), {})]
    truth = prepare_ground_truth(annotation_of(people), SIGMAS)
    found = detections_of([(1, person(x)[:, :2], 0.9) for x in (0, 100, 209)])
    metrics = evaluate_groups(with_groups(truth, {7: 1, 8: 4, 10: 5, 11: 6}), found)
    assert list(metrics) == [-1, 3, 4]
    assert [metrics[g]["AP"] for g in (3, 4)] == pytest.approx([1, 1])
    assert metrics[-1]["AP"] < 0.5
    assert list(evaluate_groups(truth, found)) == [-1, 3]


def test_no_detection_and_wrong_detections():
    truth, found = random_case(0)
    nothing = evaluate_groups(truth, found.take(np.zeros(len(found), bool)))
    assert [m["AP"] for m in nothing.values()] == [0, 0, 0]
    with pytest.raises(DataError, match="3 keypoints.*4"):
        evaluate_groups(
            truth,
            KeypointPredictions(
                found.image_ids, found.keypoints[:, :3], found.keypoint_scores[:, :3], found.box_scores, found.areas
            ),
        )
