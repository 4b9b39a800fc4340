import math

import numpy as np
import pytest

from semipose.pseudo_labels import statistics

NAMES = ("nose", "left_wrist", "right_wrist")
N, K = 80, 3


def bank(seed=0):
    """Keypoints, peaks, hidden keypoints, visible, norm, fresh, easy: random, with empty and odd rows among them."""
    rng = np.random.default_rng(seed)
    hidden = rng.uniform(0, 100, (N, K, 2)).astype(np.float32)
    keypoints = hidden + rng.normal(0, 4, (N, K, 2)).astype(np.float32)
    keypoints[2, 1] = np.nan
    norm = rng.uniform(20, 60, N)
    norm[5] = 0
    peaks = rng.uniform(0, 1, (N, K)).astype(np.float32)
    peaks[3, 0] = np.nan
    return keypoints, peaks, hidden, rng.integers(0, 2, (N, K)), norm, rng.random(N) < 0.7, rng.random(N) < 0.5


def test_rows_of_this_epoch():
    assert statistics.fresh_rows([-1, 0, 9, 10, 11], 10).tolist() == [False, False, False, True, True]
    assert statistics.fresh_rows([-1, 0], 0).tolist() == [False, True]
    assert statistics.fresh_rows([-1, 0], -5).tolist() == [False, True]


def test_peak_health_is_that_of_a_loop():
    _, peaks, _, _, _, fresh, _ = bank()
    fresh[3] = True
    found = statistics.peak_health(peaks, fresh, 0.4, NAMES)
    rows = [peaks[i] for i in range(N) if fresh[i]]
    for k, name in enumerate(NAMES):
        finite = [row[k] for row in rows if not math.isnan(row[k])]
        assert found[f"health_kept/{name}"] == pytest.approx(sum(p >= 0.4 for p in finite) / len(rows))
        assert found[f"health_peak/{name}"] == pytest.approx(sum(finite) / len(finite))
    every = [p for row in rows for p in row if not math.isnan(p)]
    assert found["health_kept"] == pytest.approx(sum(p >= 0.4 for p in every) / (K * len(rows)))
    assert found["health_peak"] == pytest.approx(sum(every) / len(every))
    assert found["health_persons"] == len(rows)
    assert len(found) == 3 + 2 * K and all(type(value) is float for value in found.values())


def test_bank_agreement_is_that_of_a_loop():
    first, peaks, second, _, _, fresh, _ = bank()
    kept = peaks > 0.3
    kept[2], fresh[2] = True, True  # a NaN keypoint has no distance
    found = statistics.bank_agreement(first, second, kept, fresh, 4.0)
    distances = [
        math.dist(first[i, k], second[i, k]) / 4
        for i in range(N) for k in range(K)
        if fresh[i] and kept[i, k] and not np.isnan(first[i, k, 0])
    ]  # fmt: skip
    assert found == {
        "agreement_px": pytest.approx(float(np.median(distances))),
        "agreement_mean_px": pytest.approx(sum(distances) / len(distances)),
        "agreement_within_1px": pytest.approx(sum(d <= 1 for d in distances) / len(distances)),
    }
    assert 0 < found["agreement_within_1px"] < 1


def test_pseudo_pck_is_that_of_a_loop():
    keypoints, peaks, hidden, visible, norm, fresh, easy = bank()
    visible[2], fresh[2], fresh[5] = 1, True, True
    kept = statistics.kept_joints(peaks, 0.4)
    found = statistics.pseudo_pck(keypoints, kept, fresh, easy, hidden, visible, norm, 0.12)
    groups = {"": [True] * N, "_easy": easy, "_hard": [not e for e in easy]}
    assert found.keys() == {f"pseudo_PCK{k}{g}" for g in groups for k in ("", "_kept")}
    for group, members in groups.items():
        for label, only_kept in (("", False), ("_kept", True)):
            right = [
                math.dist(keypoints[i, k], hidden[i, k]) < 0.12 * norm[i]
                for i in range(N) for k in range(K)
                if fresh[i] and members[i] and norm[i] > 0 and visible[i, k] and (kept[i, k] or not only_kept)
            ]  # fmt: skip
            assert found[f"pseudo_PCK{label}{group}"] == pytest.approx(sum(right) / len(right))
            assert 0 < sum(right) < len(right)


def test_exactly_at_the_threshold_is_wrong():
    keypoints, hidden, one = np.array([[[3.0, 4.0]]]), np.zeros((1, 1, 2)), np.ones((1, 1))
    for norm, value in ((10.0, 0.0), (10.01, 1.0)):
        found = statistics.pseudo_pck(keypoints, one, [True], None, hidden, one, [norm], 0.5)
        assert found == {"pseudo_PCK": value, "pseudo_PCK_kept": value}


def test_where_nothing_is_counted_the_key_is_left_out():
    keypoints, peaks, hidden, visible, norm, fresh, easy = bank()
    nobody, none = np.zeros(N, bool), np.zeros((N, K), bool)
    assert statistics.peak_health(peaks, nobody, 0.4, NAMES) == {"health_persons": 0}
    assert statistics.bank_agreement(keypoints, hidden, none, fresh, 4.0) == {}
    assert statistics.easy_share(easy, nobody) == {}
    assert statistics.pseudo_pck(keypoints, ~none, fresh, easy, hidden, none, norm, 0.1) == {}
    only = statistics.pseudo_pck(keypoints, none, fresh, ~nobody, hidden, visible, norm, 0.1)
    assert only.keys() == {"pseudo_PCK", "pseudo_PCK_easy"}
