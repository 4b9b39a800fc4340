"""Poses that are like labelled ones keep their weight; a planted joint that no labelled pose has loses it."""

import numpy as np
import pytest
import torch

from semipose.errors import DataError
from semipose.pseudo_labels import fit_pose_space

JOINTS = 8
CASES = torch.arange(20)


def poses(count: int, seed: int = 0, noise: float = 0.01) -> np.ndarray:
    """(N, 8, 3): a body whose two limbs swing, of any size and at any place."""
    rng = np.random.default_rng(seed)
    body = np.array([[0, -2], [0, -1], [0, 0], [0, 1], [-1, -1], [-2, -1], [1, -1], [2, -1]], float)
    swing = np.zeros((2, JOINTS, 2))
    swing[0, [4, 5], 1], swing[1, [6, 7], 1] = (0.5, 1.0), (0.5, 1.0)
    shapes = body + np.einsum("nc,ckd->nkd", rng.uniform(-1, 1, (count, 2)), swing)
    shapes += noise * rng.normal(size=shapes.shape)
    placed = shapes * rng.uniform(5, 40, (count, 1, 1)) + rng.uniform(-100, 300, (count, 1, 2))
    return np.concatenate([placed, np.ones((count, JOINTS, 1))], axis=-1)


def weigh(space, keypoints, known=None):
    keypoints = torch.from_numpy(np.asarray(keypoints)).float()
    return space(keypoints[..., :2], torch.ones(keypoints.shape[:2], dtype=torch.bool) if known is None else known)


def planted(seed: int = 1) -> np.ndarray:
    """Joint 5 of each pose is where the limb never is: at the other side of the body."""
    found = poses(len(CASES), seed)
    found[:, 5, :2] = found[:, 7, :2]
    return found


def test_poses_like_labelled_ones_keep_their_weight_at_any_place_and_size():
    space = fit_pose_space(poses(40), 0.99)
    assert space.basis.shape == (2 * JOINTS, 3 + 2)  # what swings, and nothing else
    assert weigh(space, poses(len(CASES), 1)).mean() > 0.97
    moved = poses(len(CASES), 1)
    moved[..., :2] = 3 * moved[..., :2] + [500, -200]
    torch.testing.assert_close(weigh(space, moved), weigh(space, poses(len(CASES), 1)), rtol=0, atol=0.02)


def test_a_planted_implausible_joint_loses_its_weight_and_the_others_do_not():
    weights = weigh(fit_pose_space(poses(40), 0.99), planted())
    assert weights[:, 5].max() < 0.1
    assert weights[:, [0, 1, 2, 3, 6, 7]].mean() > 0.9


def test_joints_that_are_missing_neither_count_nor_change_the_others():
    space, known = fit_pose_space(poses(40), 0.99), torch.ones(len(CASES), JOINTS, dtype=torch.bool)
    known[:, 5] = False
    far = planted()
    far[:, 5, :2] = -1e4
    for found in (planted(), far):
        weights = weigh(space, found, known)
        assert (weights[:, 5] == 1).all() and weights.mean() > 0.97
    nothing = weigh(space, planted(), torch.zeros_like(known))
    assert (nothing == 1).all()


def test_labels_with_gaps_give_the_same_space():
    labels, rng = poses(60), np.random.default_rng(3)
    gaps = rng.uniform(size=labels.shape[:2]) < 0.2
    labels[gaps] = 0
    space = fit_pose_space(labels, 0.98)
    assert weigh(space, planted())[:, 5].max() < 0.2
    assert weigh(space, poses(len(CASES), 1)).mean() > 0.9


def test_a_joint_that_is_never_labelled_keeps_its_weight():
    labels = poses(40)
    labels[:, 5] = 0
    weights = weigh(fit_pose_space(labels, 0.99), planted())
    assert (weights[:, 5] == 1).all() and weights.isfinite().all()


def test_few_labels_only_doubt_what_they_know():
    """The limit is how far off labelled poses are that were left out, not those that were fitted."""
    space = fit_pose_space(poses(6), 0.99)
    assert weigh(space, poses(len(CASES), 1)).mean() > 0.9


def test_too_few_labels_are_refused():
    labels = poses(6)
    labels[:2, :6] = 0
    with pytest.raises(DataError, match="PSEUDO.PCA: 4"):
        fit_pose_space(labels, 0.99)


def test_the_order_of_a_batch_does_not_matter():
    space = fit_pose_space(poses(40), 0.99)
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(CASES)))
    torch.testing.assert_close(weigh(space, planted())[order], weigh(space, planted()[order.numpy()]))
