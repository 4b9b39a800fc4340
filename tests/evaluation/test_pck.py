"""PCK, by hand and against a slow loop."""

import numpy as np
import pytest

from semipose.errors import ConfigError, DataError
from semipose.evaluation.pck import auc, box_norm, pair_norm, part_shares, pck, segment_norm
from semipose.skeletons import get_skeleton


def test_by_hand():
    """Two persons, norms 10 and 20, three keypoints; the third is shown by nobody."""
    targets = np.zeros((2, 3, 2))
    predictions = np.array([[[3, 4], [0, 4.9], [0, 0]], [[6, 8], [9.9, 0], [0, 0]]], float)
    visible = np.array([[1, 1, 0], [1, 1, 0]])
    result = pck(predictions, targets, visible, np.array([10, 20]), 0.5)
    assert result.per_keypoint.tolist() == [0.0, 1.0, -1.0]
    assert result.mean == 0.5
    assert result.counts.tolist() == [2, 2, 0]


def test_a_distance_of_exactly_the_threshold_is_wrong():
    inputs = np.array([[[5.0, 0.0]]]), np.zeros((1, 1, 2)), np.ones((1, 1)), np.array([10.0])
    assert pck(*inputs, 0.5).mean == 0
    assert pck(*inputs, 0.5000001).mean == 1


def test_the_mean_is_over_keypoints_not_over_persons():
    """Keypoint 0: 1 of 3 right, keypoint 1: 1 of 1; the mean is 2/3, not 2/4."""
    predictions = np.array([[[0, 0], [0, 0]], [[9, 0], [9, 0]], [[9, 0], [9, 0]]], float)
    visible = np.array([[1, 1], [2, 0], [1, 0]])
    result = pck(predictions, np.zeros((3, 2, 2)), visible, np.ones(3), 0.5)
    assert result.mean == pytest.approx(2 / 3, abs=1e-15)


def test_nothing_visible_and_nobody():
    arrays = np.zeros((2, 3, 2)), np.zeros((2, 3, 2)), np.zeros((2, 3)), np.ones(2)
    for result in (pck(*arrays, 0.5), pck(*(a[:0] for a in arrays), 0.5)):
        assert result.per_keypoint.tolist() == [-1, -1, -1]
        assert result.mean == -1


def test_persons_of_unknown_size_are_left_out_and_nan_is_wrong():
    predictions = np.zeros((4, 1, 2))
    predictions[3] = np.nan
    result = pck(predictions, np.zeros((4, 1, 2)), np.ones((4, 1)), np.array([0, np.nan, 5, 5]), 0.5)
    assert result.mean == 0.5


def test_equals_the_slow_loop():
    rng = np.random.default_rng(0)
    predictions, targets = rng.uniform(0, 10, (2, 30, 7, 2))
    visible, norm = rng.integers(0, 2, (30, 7)), rng.uniform(5, 20, 30)
    result = pck(predictions.astype(np.float32), targets.astype(np.float32), visible, norm, 0.4)
    for k in range(7):
        hits = [np.hypot(*(predictions[n, k] - targets[n, k])) / norm[n] < 0.4 for n in range(30) if visible[n, k]]
        assert result.per_keypoint[k] == pytest.approx(np.mean(hits), abs=1e-12)
    assert result.mean == pytest.approx(result.per_keypoint.mean(), abs=1e-12)


def test_norms():
    lsp = get_skeleton("lsp")
    keypoints = np.zeros((2, 14, 3))
    keypoints[0, lsp.index("neck")] = [10, 10, 1]
    keypoints[0, lsp.index("head_top")] = [13, 6, 1]
    keypoints[:, lsp.index("left_shoulder")] = [0, 0, 1]
    keypoints[:, lsp.index("right_hip")] = [[6, 8, 1], [6, 8, 0]]
    assert segment_norm(keypoints, lsp, "head").tolist() == [5, 0]
    assert segment_norm(keypoints, lsp, "torso").tolist() == [10, 0]
    assert box_norm(np.array([[1, 2, 30, 40], [0, 0, 7, 3]])).tolist() == [40, 7]


def test_wrong_input_is_refused():
    with pytest.raises(ConfigError, match="'coco'"):
        segment_norm(np.zeros((1, 17, 3)), get_skeleton("coco"), "head")
    with pytest.raises(ConfigError, match="known: head, torso"):
        segment_norm(np.zeros((1, 17, 3)), get_skeleton("coco"), "links")
    with pytest.raises(DataError, match="pck: .*shapes"):
        pck(np.zeros((2, 3, 2)), np.zeros((2, 3, 2)), np.ones((2, 4)), np.ones(2), 0.5)
    with pytest.raises(ConfigError, match="'foot'"):
        pair_norm(np.zeros((1, 17, 3)), get_skeleton("coco"), ("nose", "foot"))


def test_auc_by_hand():
    """MMPose's own example: distances 4, 8, (hidden), 14.1, 20 at a norm of 20; PCK 0, 1/4, 2/4, 3/4."""
    predictions = np.array([[[10, 4], [10, 18], [0, 0], [40, 40], [20, 10]]], float)
    targets = np.array([[[10, 0], [10, 10], [0, -1], [30, 30], [0, 10]]], float)
    visible = np.array([[1, 1, 0, 1, 1]])
    assert auc(predictions, targets, visible, pixels=20, steps=4) == 0.375
    assert auc(targets, targets, visible) == pytest.approx(19 / 20, abs=1e-15)
    assert auc(predictions, targets, 0 * visible) == -1


def test_auc_equals_the_slow_loop():
    rng = np.random.default_rng(1)
    predictions, targets = rng.uniform(0, 40, (2, 12, 5, 2))
    visible = rng.integers(0, 2, (12, 5))
    curve = []
    for i in range(20):
        shares = []
        for k in range(5):
            errors = [np.hypot(*(predictions[n, k] - targets[n, k])) for n in range(12) if visible[n, k]]
            shares.append(np.mean([e < 30 * i / 20 for e in errors]))
        curve.append(np.mean(shares))
    assert auc(predictions, targets, visible) == pytest.approx(np.mean(curve), abs=1e-12)


def test_parts_are_means_of_the_keypoints_that_are_shown():
    """Left hip 1 of 2, right hip 0 of 1; the right knee is shown by nobody, the ankles neither."""
    coco = get_skeleton("coco")
    predictions, visible = np.zeros((2, 17, 2)), np.zeros((2, 17))
    visible[:, coco.index("left_hip")] = 1
    visible[0, [coco.index("right_hip"), coco.index("left_knee")]] = 1
    predictions[0, [coco.index("left_hip"), coco.index("right_hip")]] = 9
    result = pck(predictions, np.zeros((2, 17, 2)), visible, np.ones(2), 0.5)
    parts = {name: (f"left_{name}", f"right_{name}") for name in ("hip", "knee", "ankle")}
    assert part_shares(result, coco, parts) == {"hip": 0.25, "knee": 1.0, "ankle": -1.0}
    with pytest.raises(ConfigError, match="'tail'"):
        part_shares(result, coco, {"tail": ("tail",)})
