import io
import math
import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from semipose.pseudo_labels import Difficulty, image_scores
from semipose.pseudo_labels.difficulty import BINS, MIN_IMAGES

K = 5


def two_kinds(hard=600, easy=1400, sd_hard=0.02, sd_easy=0.02, seed=0):
    """Peaks (n, K) whose scores are near 1.5 and near 4; one row for each image, hard ones first."""
    rng = np.random.default_rng(seed)
    level = np.concatenate([rng.normal(0.3, sd_hard, hard), rng.normal(0.8, sd_easy, easy)])
    return (level[:, None] + np.linspace(-0.05, 0.05, K)).astype(np.float32)


def fitted(peaks):
    difficulty = Difficulty(peaks.shape[1])
    return difficulty, difficulty.refit(peaks)


def bits(difficulty):
    return {name: value.numpy().tobytes() for name, value in difficulty.state_dict().items()}


def loop_posterior(difficulty, score):
    """p_easy of one score, in plain Python."""
    low, high = difficulty.limits.tolist()
    means, variances, weights = (getattr(difficulty, n).tolist() for n in ("means", "variances", "weights"))
    x = (score - low) / (high - low)
    bend = 1 / variances[0] - 1 / variances[1]
    vertex = (means[0] / variances[0] - means[1] / variances[1]) / bend
    x = max(x, vertex) if bend > 0 else min(x, vertex)
    hard, easy = (
        w * math.exp(-((x - m) ** 2) / (2 * v)) / math.sqrt(2 * math.pi * v)
        for m, v, w in zip(means, variances, weights)
    )
    return easy / (hard + easy)


def test_a_hand_made_mixture_is_found():
    peaks = two_kinds()
    difficulty, report = fitted(peaks)
    assert difficulty.ready is True and report.reason == "" and report.converged
    assert report.count == 2000 and report.dropped == 0
    assert report.easy_share == pytest.approx(0.7)
    assert report.means == pytest.approx([1.5, 4.0], abs=0.02)
    # reg_covar widens each component a little
    assert report.sds == pytest.approx([0.12, 0.12], abs=0.03)
    assert report.weights == pytest.approx([0.3, 0.7], abs=1e-3)
    easy = difficulty.p_easy(image_scores(torch.from_numpy(peaks))) > 0.5
    assert easy.tolist() == [False] * 600 + [True] * 1400


def test_posterior_is_that_of_a_loop():
    difficulty, _ = fitted(two_kinds(sd_hard=0.12, sd_easy=0.06))
    scores = torch.linspace(0, 6, 121, dtype=torch.float64)
    expected = [loop_posterior(difficulty, s) for s in scores.tolist()]
    assert sum(0.01 < p < 0.99 for p in expected) > 10
    assert difficulty.p_easy(scores).tolist() == pytest.approx(expected, abs=1e-9)
    assert difficulty.p_easy(scores.float()).dtype == torch.float32


@pytest.mark.parametrize(("sd_hard", "sd_easy"), [(0.2, 0.03), (0.03, 0.15), (0.1, 0.1)])
def test_more_confident_is_never_harder(sd_hard, sd_easy):
    difficulty, report = fitted(two_kinds(sd_hard=sd_hard, sd_easy=sd_easy))
    p = difficulty.p_easy(torch.linspace(-50, 50, 20001, dtype=torch.float64))
    assert (p.diff() >= -1e-12).all()
    assert p[0] < 0.5 < p[-1] and 0 < report.easy_share < 1


def test_a_long_tail_of_hard_images_under_a_narrow_easy_hill_is_split():
    """At the mean of the wide component the narrow one is the likelier; the tail below is hard all the same."""
    generator = np.random.default_rng(0)
    scores = np.concatenate([generator.normal(12.0, 2.0, 400), generator.normal(12.8, 0.85, 1600)])
    difficulty, report = fitted(np.repeat(scores[:, None] / 17, 17, axis=1))
    assert report.reason == "" and 0.6 < report.easy_share < 0.95
    p = difficulty.p_easy(torch.tensor([8.0, float(report.means[0]), float(report.means[1]), 17.0]))
    assert p[0] < 0.1 and p[1] > 0.5 and (p[2:] > 0.8).all()


def test_the_report_draws_what_was_fitted():
    peaks = two_kinds(sd_hard=0.08, sd_easy=0.04)
    _, report = fitted(peaks)
    scores = peaks.astype(np.float64).sum(1)
    assert report.edges.shape == (BINS + 1,) and report.counts.shape == (BINS,) and report.curves.shape == (2, BINS)
    assert report.edges[[0, -1]] == pytest.approx([scores.min(), scores.max()])
    assert report.counts.tolist() == np.histogram(scores, report.edges)[0].tolist()
    middle, width = (report.edges[7] + report.edges[8]) / 2, report.edges[1] - report.edges[0]
    for i in (0, 1):
        density = math.exp(-((middle - report.means[i]) ** 2) / (2 * report.sds[i] ** 2))
        density /= math.sqrt(2 * math.pi) * report.sds[i]
        assert report.curves[i, 7] == pytest.approx(2000 * width * report.weights[i] * density)
    assert report.curves.sum() == pytest.approx(2000, rel=0.05)
    assert report.curves.sum(0) == pytest.approx(report.counts, abs=60)
    metrics = report.to_metrics()
    assert metrics.keys() == {"easy_share", "mean_easy", "mean_hard", "sd_easy", "sd_hard", "weight_easy"}
    assert all(type(value) is float for value in metrics.values())
    assert (metrics["mean_hard"], metrics["mean_easy"]) == tuple(report.means)
    assert metrics["weight_easy"] == report.weights[1]


NO_SPLIT = {
    "no image": (np.zeros((0, K)), "0 images"),
    "too few": (two_kinds(4, MIN_IMAGES - 5), "9 images"),
    "all equal": (np.full((50, K), 0.3), "all scores are 1.5"),
    "all zero": (np.zeros((50, K)), "all scores are 0"),
    "equal but for rounding": (np.full((50, K), 0.3) + 1e-6 * np.arange(50)[:, None], "all scores are 1.5"),
    "one pile": (np.repeat([0.0, *[0.5] * 200, 1.0], K).reshape(-1, K), "alone"),
    "one outlier": (np.concatenate([two_kinds(0, 500), np.full((1, K), 1e6)]), "alone"),
    "only non-finite": (np.full((50, K), np.nan), "0 images"),
}


@pytest.mark.parametrize("case", NO_SPLIT)
def test_no_split_is_said_and_why(case):
    peaks, reason = NO_SPLIT[case]
    difficulty, good = fitted(two_kinds())
    assert difficulty.ready and good.to_metrics()
    report = difficulty.refit(peaks)
    # an earlier split belonged to other scores: it is dropped
    assert difficulty.ready is False
    assert torch.equal(difficulty.p_easy(torch.tensor([-9.0, 0.0, 4.0, 99.0])), torch.full((4,), 0.5))
    assert re.search(reason, report.reason), report.reason
    assert report.to_metrics() == {} and report.curves is None and report.means is None
    assert report.counts.sum() == report.count and len(report.edges) == BINS + 1
    # and the next good refit is the one of a new module
    difficulty.refit(two_kinds())
    assert difficulty.ready and bits(difficulty) == bits(fitted(two_kinds())[0])


def test_rows_that_are_not_finite_are_dropped_and_counted():
    clean = two_kinds()
    broken = clean.copy()
    broken[3, 2], broken[1700, 0], broken[20, 1] = np.nan, np.inf, -np.inf
    difficulty, report = fitted(broken)
    assert (report.count, report.dropped) == (1997, 3)
    assert bits(difficulty) == bits(fitted(np.delete(clean, [3, 20, 1700], 0))[0])


def test_a_fit_that_does_not_converge_is_used_and_noted(monkeypatch, recwarn):
    monkeypatch.setattr("semipose.pseudo_labels.difficulty.FIT", {"max_iter": 1, "tol": 1e-12})
    difficulty, report = fitted(two_kinds(sd_hard=0.12, sd_easy=0.1))
    assert difficulty.ready and report.converged is False
    assert not [w for w in recwarn if "onverge" in str(w.message)]


def test_refits_are_equal_bit_for_bit_and_leave_the_random_state_alone():
    np.random.seed(3)
    before, torch_before = np.random.get_state()[1].copy(), torch.get_rng_state()
    peaks = two_kinds(sd_hard=0.12, sd_easy=0.1)
    first, second = fitted(peaks)[0], fitted(torch.from_numpy(peaks))[0]
    assert bits(first) == bits(second)
    assert (np.random.get_state()[1] == before).all() and torch.equal(torch.get_rng_state(), torch_before)


@pytest.mark.parametrize("peaks", [two_kinds(), np.zeros((50, K), np.float32)], ids=["split", "no split"])
def test_a_checkpoint_keeps_every_bit(peaks):
    difficulty, _ = fitted(peaks)
    file = io.BytesIO()
    torch.save(difficulty.state_dict(), file)
    file.seek(0)
    other, _ = fitted(two_kinds(sd_hard=0.1, seed=9))
    assert bits(other) != bits(difficulty)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert bits(other) == bits(difficulty) and other.ready is difficulty.ready
    scores = torch.linspace(0, 5, 50)
    assert torch.equal(other.p_easy(scores), difficulty.p_easy(scores))


def test_moving_to_a_device_moves_all_of_it():
    difficulty = Difficulty(K).to("meta")
    assert {buffer.device.type for buffer in difficulty.buffers()} == {"meta"}
    assert difficulty.p_easy(torch.zeros(3, device="meta")).device.type == "meta"
    assert difficulty.joint_trust(torch.zeros(3, K, device="meta")).device.type == "meta"


def test_joint_trust_is_that_of_a_loop():
    rng = np.random.default_rng(5)
    seen = (rng.normal(0.5, 0.1, (300, K)) + np.linspace(-0.2, 0.2, K)).astype(np.float32)
    difficulty, _ = fitted(seen)
    peaks = torch.from_numpy(rng.uniform(-0.1, 1, (40, K)))
    trust = difficulty.joint_trust(peaks)
    for b in range(40):
        for k in range(K):
            mean = sum(float(x) for x in seen[:, k]) / 300
            variance = sum((float(x) - mean) ** 2 for x in seen[:, k]) / 300
            low = min(0.0, peaks[b, k].item() - mean)
            assert trust[b, k].item() == pytest.approx(math.exp(-(low**2) / (2 * variance / 4)), abs=1e-9)
    assert 0 < (trust == 1).sum() < trust.numel() and trust.min() < 0.1


def test_all_joints_are_trusted_before_the_first_refit_and_after_one_of_too_few_images():
    difficulty = Difficulty(K)
    assert (difficulty.joint_trust(torch.linspace(-5, 5, 4 * K).view(4, K)) == 1).all()
    difficulty.refit(two_kinds())
    assert (difficulty.joint_trust(torch.zeros(2, K)) < 1).all()
    difficulty.refit(two_kinds(3, 3))
    assert (difficulty.joint_trust(torch.zeros(2, K)) == 1).all()


def test_joints_of_equal_peaks_are_safe():
    difficulty, _ = fitted(np.full((20, K), 0.3, np.float32))
    trust = difficulty.joint_trust(torch.tensor([[0.3, 0.2, 0.4, 0.3, 0.0]]))
    assert trust.tolist() == [pytest.approx([1, 0, 1, 1, 0], abs=1e-6)]


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(
        np.float32,
        st.tuples(st.integers(0, 40), st.integers(1, 3)),
        elements=st.floats(width=32, allow_nan=False, allow_infinity=False) | st.sampled_from([0.0, 0.5, 1.0]),
    )
)
def test_any_finite_peaks_give_a_usable_state(peaks):
    difficulty, report = fitted(peaks)
    assert difficulty.ready is (report.reason == "") and report.count == len(peaks)
    assert report.counts.sum() == len(peaks) and np.isfinite(report.edges).all()
    assert all(math.isfinite(value) for value in report.to_metrics().values())
    scores = torch.cat([torch.from_numpy(peaks).double().sum(1), torch.tensor([-1e38, 0.0, 1e38])]).sort().values
    p = difficulty.p_easy(scores)
    assert ((p >= 0) & (p <= 1)).all() and (p.diff() >= -1e-9).all()
    trust = difficulty.joint_trust(torch.from_numpy(peaks))
    assert ((trust >= 0) & (trust <= 1)).all()
    if difficulty.ready:
        assert 0.01 <= report.easy_share <= 0.99


def test_easy_is_the_component_of_the_higher_mean_whichever_is_larger():
    for hard, easy in ((1400, 600), (600, 1400)):
        difficulty, report = fitted(two_kinds(hard, easy))
        assert report.means[0] < report.means[1] and report.easy_share == pytest.approx(easy / 2000)
        assert difficulty.p_easy(torch.tensor([1.5, 4.0])).tolist() == pytest.approx([0, 1], abs=1e-4)
