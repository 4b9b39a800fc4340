"""Windows of hand-made sequences: padding, causal ones, steps, and whole sequences."""

import numpy as np
import pytest

from semipose.lifting.motion import Motion, Recording, WindowPlan, Windows, window_rows


@pytest.mark.parametrize(
    ("plan", "windows", "targets"),
    [
        (WindowPlan(3), [[0, 0, 1], [0, 1, 2], [1, 2, 3], [2, 3, 3]], [0, 1, 2, 3]),
        (WindowPlan(3, causal=True), [[0, 0, 0], [0, 0, 1], [0, 1, 2], [1, 2, 3]], [0, 1, 2, 3]),
        (WindowPlan(3, pad=False), [[0, 1, 2], [1, 2, 3]], [1, 2]),
        (WindowPlan(3, pad=False, causal=True), [[0, 1, 2], [1, 2, 3]], [2, 3]),
        (WindowPlan(3, step=2), [[0, 0, 2], [0, 1, 3], [0, 2, 3], [1, 3, 3]], [0, 1, 2, 3]),
        (WindowPlan(3, step=2, causal=True), [[0, 0, 0], [0, 0, 1], [0, 0, 2], [0, 1, 3]], [0, 1, 2, 3]),
        (WindowPlan(5, pad=False), np.empty((0, 5)), []),
        (WindowPlan(1), [[0], [1], [2], [3]], [0, 1, 2, 3]),
    ],
)
def test_windows_of_four_frames(plan, windows, targets):
    rows, found = window_rows(4, plan)
    np.testing.assert_array_equal(rows, windows)
    np.testing.assert_array_equal(found, targets)


def motion(lengths):
    """Sequences whose keypoints are the number of the frame, counted over all."""
    total = sum(lengths)
    keypoints = np.arange(total, dtype=np.float32)[:, None, None].repeat(2, 1).repeat(2, 2)
    poses = np.concatenate([keypoints, keypoints[..., :1]], -1)
    ones, recordings = np.ones((total, 2), np.float32), tuple(Recording("s", str(n), "c") for n in range(len(lengths)))
    sequence = np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)
    intrinsics = np.arange(len(lengths), dtype=np.float32)[:, None].repeat(11, 1)
    return Motion(keypoints, ones, poses, ones, sequence, intrinsics, recordings)


@pytest.mark.parametrize(
    "plan", [WindowPlan(5), WindowPlan(5, causal=True), WindowPlan(3, step=2), WindowPlan(3, pad=False)]
)
def test_no_window_reaches_into_another_sequence(plan):
    """Also not into the next one; a sequence shorter than a window without padding has none."""
    windows = Windows(motion([4, 7, 2]), plan)
    batch = windows.batch(range(len(windows)))
    owner = windows.motion.sequence
    assert (owner[batch.keypoints[..., 0, 0].int().numpy()] == owner[windows.targets][:, None]).all()
    assert (batch.points[:, 0, 0].int().numpy() == windows.targets).all()
    assert (batch.poses[:, 0, 2].int().numpy() == windows.targets).all()
    assert (batch.intrinsics[:, 0].int().numpy() == owner[windows.targets]).all()
    assert len(windows) == (13 if plan.pad else 2 + 5)


def test_sequences_are_taken_whole_and_joined_in_order():
    whole = motion([4, 7, 2])
    taken = whole.take([2, 0])
    assert [r.action for r in taken.recordings] == ["2", "0"] and taken.sequence.tolist() == [0, 0, 1, 1, 1, 1]
    assert taken.keypoints[:, 0, 0].tolist() == [11, 12, 0, 1, 2, 3] and taken.intrinsics[:, 0].tolist() == [2, 0]
    joined = Motion.concatenate([taken, whole.take([1])])
    assert joined.sequence.tolist() == [0] * 2 + [1] * 4 + [2] * 7 and [r.action for r in joined.recordings] == list(
        "201"
    )


def test_an_unlabelled_batch_has_no_pose():
    batch = Windows(motion([5]), WindowPlan(3)).batch([1, 2]).without_labels()
    assert not batch.poses.any() and not batch.weights.any() and batch.points.any()
