"""Health of pseudo-labels: the numbers of the banks by network, against the annotations that training never sees."""

import numpy as np
import pytest
import torch

from semipose.data.context_crops import ContextCrops
from semipose.pseudo_labels import TeacherRecord
from semipose.pseudo_labels.health import HiddenAnnotations, PseudoLabelHealth, hidden_annotations
from semipose.structures import Persons

NAMES = ("nose", "left_wrist", "right_wrist")
N, K, STRIDE = 60, 3, 4.0


def hidden(seed=0) -> HiddenAnnotations:
    rng = np.random.default_rng(seed)
    keypoints = rng.uniform(0, 90, (N, K, 2)).astype(np.float32)
    return HiddenAnnotations(keypoints, rng.random((N, K)) < 0.8, rng.uniform(30, 60, N))


def record(truth: HiddenAnnotations, seed: int, split: bool = True) -> TeacherRecord:
    """Every second person is seen with confidence and about right; three are of an earlier epoch, two never seen."""
    rng = np.random.default_rng(seed)
    sure = np.arange(N) % 2 == 0
    keypoints = truth.keypoints + rng.normal(0, np.where(sure, 1.5, 8)[:, None, None], (N, K, 2))
    peaks = rng.normal(np.where(sure, 0.8, 0.3)[:, None], 0.05, (N, K)).clip(0, 1)
    filled = TeacherRecord(N, K)
    for rows, step in ((np.arange(3), 7), (np.arange(3, N - 2), 12)):
        filled.fill(torch.tensor(rows), torch.tensor(keypoints[rows]), torch.tensor(peaks[rows]), step)
    assert not split or not filled.refit().reason
    return filled


@pytest.fixture
def two():
    truth = hidden()
    return truth, {"first": record(truth, 1), "second": record(truth, 2)}


def test_one_network_by_a_loop(two):
    truth, records = two
    filled, difficulty = records["first"], records["first"].difficulty
    found = PseudoLabelHealth(NAMES, 0.5, STRIDE, truth, 0.1).report({"ema": filled}, 10)
    right, kept = {"easy": [], "hard": []}, []
    for n in range(3, N - 2):
        easy = float(difficulty.p_easy(filled.peaks[n].sum().view(1))) > 0.5
        assert easy == (n % 2 == 0)
        for k in range(K):
            kept.append(float(filled.peaks[n, k]) >= 0.5)
            if truth.visible[n, k]:
                distance = np.linalg.norm(filled.keypoints[n, k].numpy() - truth.keypoints[n, k])
                right["easy" if easy else "hard"].append(distance < 0.1 * truth.norm[n])
    assert found["pseudo_PCK_easy"] == pytest.approx(np.mean(right["easy"]))
    assert found["pseudo_PCK_hard"] == pytest.approx(np.mean(right["hard"]))
    assert found["pseudo_PCK"] == pytest.approx(np.mean(right["easy"] + right["hard"]))
    assert 0 < found["pseudo_PCK_hard"] < found["pseudo_PCK_easy"]
    assert found["health_kept"] == pytest.approx(np.mean(kept)) and 0 < np.mean(kept) < 1
    assert found["health_persons"] == N - 5
    assert found["easy_share"] == pytest.approx(len(range(4, N - 2, 2)) / (N - 5))
    assert {f"health_{number}/{name}" for number in ("kept", "peak") for name in NAMES} <= found.keys()
    assert not any("agreement" in key or "ema" in key for key in found)
    assert all(type(value) is float for value in found.values())


def test_two_networks_are_told_apart(two):
    truth, records = two
    health = PseudoLabelHealth(NAMES, 0.5, STRIDE, truth)
    found = health.report(records, 10)
    for name in records:
        alone = health.report({name: records[name]}, 10)
        assert alone["pseudo_PCK_easy"] == found[f"pseudo_PCK_easy_{name}"]
        assert alone["health_peak/nose"] == found[f"health_peak_{name}/nose"]
        assert {key.replace(f"_{name}", "") for key in found if f"_{name}" in key} == alone.keys()
    assert {key for key in found if "_first" not in key and "_second" not in key} == {
        "agreement_px", "agreement_mean_px", "agreement_within_1px"
    }  # fmt: skip


def test_agreement_counts_what_both_keep_and_have_seen_in_this_epoch(two):
    truth, records = two
    first, second = records["first"], records["second"]
    second.stamp[4] = 9
    second.peaks[6] = 0.0
    distances = [
        float(torch.dist(first.keypoints[n, k], second.keypoints[n, k])) / STRIDE
        for n in range(3, N - 2) for k in range(K)
        if n not in (4, 6) and first.peaks[n, k] >= 0.5 and second.peaks[n, k] >= 0.5
    ]  # fmt: skip
    found = PseudoLabelHealth(NAMES, 0.5, STRIDE, truth).report(records, 10)
    assert found["agreement_px"] == pytest.approx(np.median(distances))


def test_no_teacher_has_said_anything_yet(two):
    truth, _ = two
    found = PseudoLabelHealth(NAMES, 0.5, STRIDE, truth).report({"ema": TeacherRecord(N, K)}, 0)
    assert found == {"health_persons": 0.0}
    assert PseudoLabelHealth(NAMES, 0.5, STRIDE, truth).report({}, 0) == {}


def test_records_and_random_numbers_are_left_alone(two):
    truth, records = two
    parts = list(records.values())
    before = [{key: value.clone() for key, value in part.state_dict().items()} for part in parts]
    random = torch.get_rng_state(), np.random.get_state()[1].copy()
    PseudoLabelHealth(NAMES, 0.5, STRIDE, truth).report(records, 10)
    for part, old in zip(parts, before):
        assert all(torch.equal(value, old[key]) for key, value in part.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random[0]) and (np.random.get_state()[1] == random[1]).all()


# Annotations in base crops


def persons(seed=3, count=6) -> Persons:
    rng = np.random.default_rng(seed)
    boxes = np.stack([rng.uniform(0, 50, count), rng.uniform(0, 50, count), *rng.uniform(20, 90, (2, count))], 1)
    places = boxes[:, None, :2] + rng.uniform(0, 1, (count, K, 2)) * boxes[:, None, 2:]
    keypoints = np.concatenate([places, rng.integers(0, 2, (count, K, 1))], -1).astype(np.float32)
    keypoints[0, :, 2] = 1
    return Persons(
        np.array(["a.jpg", "b.jpg"]), np.array([1, 2]), (np.arange(count) % 2).astype(np.int32),
        np.arange(count, dtype=np.int64), boxes.astype(np.float32), keypoints, np.ones(count, np.float32),
        np.ones(count, np.float32),
    )  # fmt: skip


NOBODY = persons().take(slice(0, 0))


def test_annotations_are_where_the_crop_shows_them():
    people = persons()
    crops = ContextCrops(people, (48, 64), 1.25, 1.25)
    found = hidden_annotations(people, crops.to_image, people.boxes[:, 3], NOBODY)
    for n, matrix in enumerate(crops.to_image):
        back = found.keypoints[n] @ matrix[:, :2].T + matrix[:, 2]
        assert back == pytest.approx(people.keypoints[n, :, :2], abs=1e-3)
        assert found.norm[n] == pytest.approx(people.boxes[n, 3] / matrix[0, 0], rel=1e-5)
    assert (found.visible == (people.keypoints[..., 2] > 0)).all()


def test_persons_that_are_labelled_do_not_count():
    people = persons()
    to_image = ContextCrops(people, (48, 64), 1.25, 1.25).to_image
    found = hidden_annotations(people, to_image, np.ones(6), people.take([0, 3]))
    assert not found.visible[[0, 3]].any()
    assert (found.visible[[1, 2, 4, 5]] == (people.keypoints[[1, 2, 4, 5], :, 2] > 0)).all()
    namesake = people.take([0])  # the same id on another image is somebody else
    object.__setattr__(namesake, "image_paths", np.array(["c.jpg", "d.jpg"]))
    assert hidden_annotations(people, to_image, np.ones(6), namesake).visible[0].all()


def test_nothing_to_compare_with():
    people = persons()
    to_image = ContextCrops(people, (48, 64), 1.25, 1.25).to_image
    assert hidden_annotations(people, to_image, np.ones(6), people) is None
    people.keypoints[..., 2] = 0
    assert hidden_annotations(people, to_image, np.ones(6), NOBODY) is None


def test_without_split_and_without_annotations(two):
    truth, _ = two
    records = {"first": record(truth, 1, split=False), "second": record(truth, 2, split=False)}
    found = PseudoLabelHealth(NAMES, 0.5, STRIDE).report(records, 10)
    assert not any(key.startswith(("easy_share", "pseudo_PCK")) for key in found)
    assert {"health_kept_first", "health_peak_second", "agreement_px"} <= found.keys()
