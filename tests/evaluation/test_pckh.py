"""PCKh, by hand and against a slow loop."""

import numpy as np
import pytest

from semipose.errors import ConfigError
from semipose.evaluation.pckh import PCKH_METRICS, pckh
from semipose.skeletons import get_skeleton

MPII = get_skeleton("mpii")


def test_by_hand():
    """Two persons with heads of 10 and 20 px; pelvis, thorax and neck are wrong, the neck alone counts."""
    predictions, visible = np.zeros((2, 16, 2)), np.zeros((2, 16))
    errors = {
        "head_top": (4.9, 10.1), "left_wrist": (0.9, 2.1), "right_wrist": (5.1, None),
        "pelvis": (99, 99), "thorax": (99, 99), "upper_neck": (99, None),
    }  # fmt: skip
    for name, found in errors.items():
        for person, error in enumerate(found):
            if error is not None:
                visible[person, MPII.index(name)], predictions[person, MPII.index(name), 1] = 1, error
    result = pckh(predictions, np.zeros((2, 16, 2)), visible, np.array([10, 20]))
    assert result.per_part["Head"] == 0.5
    assert result.per_part["Wrist"] == pytest.approx((1 + 0) / 2)
    assert {p: v for p, v in result.per_part.items() if p not in ("Head", "Wrist")} == dict.fromkeys(
        ("Shoulder", "Elbow", "Hip", "Knee", "Ankle"), -1.0
    )
    # counted: head 2, left wrist 2, right wrist 1, neck 1
    assert result.mean == pytest.approx((1 + 2 + 0 + 0) / 6, abs=1e-15)
    assert result.fine == pytest.approx((0 + 1 + 0 + 0) / 6, abs=1e-15)
    assert result.left_out == 0


def test_keys_are_in_the_order_of_the_table():
    nobody = np.zeros((0, 16, 2)), np.zeros((0, 16, 2)), np.zeros((0, 16)), np.zeros(0)
    assert tuple(pckh(*nobody).metrics) == PCKH_METRICS
    assert " ".join(PCKH_METRICS) == "Head Shoulder Elbow Wrist Hip Knee Ankle PCKh PCKh@0.1"
    assert set(pckh(*nobody).metrics.values()) == {-1.0}


def test_the_threshold_itself_is_wrong():
    predictions = np.zeros((1, 16, 2))
    predictions[..., 0] = 5
    for head, expected in ((10, 0), (10.001, 1)):
        result = pckh(predictions, np.zeros((1, 16, 2)), np.ones((1, 16)), np.array([head]))
        assert (result.mean, result.fine) == (expected, 0)
    predictions[..., 0] = 1
    assert pckh(predictions, np.zeros((1, 16, 2)), np.ones((1, 16)), np.array([10.0])).fine == 0
    assert pckh(predictions, np.zeros((1, 16, 2)), np.ones((1, 16)), np.array([10.1])).fine == 1


def test_persons_without_a_head_size_are_left_out():
    predictions = np.zeros((3, 16, 2))
    predictions[1] = 99
    result = pckh(predictions, np.zeros((3, 16, 2)), np.ones((3, 16)), np.array([10, 0, np.nan]))
    assert (result.mean, result.fine, result.left_out) == (1, 1, 2)


def test_equals_the_slow_loop():
    """Left and right are averaged without regard to their counts, the total is over all keypoints counted."""
    rng = np.random.default_rng(0)
    predictions, targets = rng.uniform(0, 12, (2, 25, 16, 2))
    visible, heads = rng.integers(0, 2, (25, 16)), rng.choice([0, 8, 15], 25)
    result = pckh(predictions, targets, visible, heads)
    hits = {t: [[] for _ in range(16)] for t in (0.5, 0.1)}
    for n in range(25):
        for k in range(16):
            for t, found in hits.items():
                if visible[n, k] and heads[n]:
                    found[k].append(np.hypot(*(predictions[n, k] - targets[n, k])) < t * heads[n])
    pairs = {"Shoulder": (13, 12), "Elbow": (14, 11), "Wrist": (15, 10), "Hip": (3, 2), "Knee": (4, 1), "Ankle": (5, 0)}
    for part, (left, right) in (pairs | {"Head": (9, 9)}).items():
        assert result.per_part[part] == pytest.approx((np.mean(hits[0.5][left]) + np.mean(hits[0.5][right])) / 2)
    for t, value in ((0.5, result.mean), (0.1, result.fine)):
        assert value == pytest.approx(np.mean([h for k in range(16) if k not in (6, 7) for h in hits[t][k]]))
    assert 0 < result.fine < result.mean < 1


def test_any_skeleton_with_the_names():
    lsp = get_skeleton("lsp")
    predictions, visible = np.zeros((1, 14, 2)), np.ones((1, 14))
    predictions[0, lsp.index("head_top")] = 50
    result = pckh(predictions, np.zeros((1, 14, 2)), visible, np.array([10.0]), lsp)
    assert result.per_part["Head"] == 0 and result.per_part["Ankle"] == 1
    assert result.mean == pytest.approx(13 / 14)
    with pytest.raises(ConfigError, match="'head_top'"):
        pckh(np.zeros((1, 17, 2)), np.zeros((1, 17, 2)), np.ones((1, 17)), np.ones(1), get_skeleton("coco"))
