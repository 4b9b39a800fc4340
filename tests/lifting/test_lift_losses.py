"""Each loss is zero where it should be, and counts what it says."""

import pytest
import torch

from semipose.lifting import losses
from semipose.lifting.cameras import project
from semipose.lifting.codec import LiftCodec
from semipose.lifting.motion import LiftBatch
from semipose.lifting.networks import Lifted
from semipose.skeletons import get_skeleton

SKELETON = get_skeleton("h36m")
BONES = losses.as_bones(SKELETON.link_indices)
CAMERA = torch.tensor([1100.0, 1150, 510, 480, -0.2, 0.1, 0, 0.002, -0.001, 1000, 800])


def test_mean_distance_weighs_each_joint():
    found, wanted = torch.zeros(1, 3, 3), torch.tensor([[[3.0, 4, 0], [1, 0, 0], [9, 9, 9]]])
    assert losses.mean_distance(found, wanted, torch.tensor([[1.0, 1, 0]])) == pytest.approx(3)
    assert losses.mean_distance(found, wanted, torch.tensor([[3.0, 1, 0]])) == pytest.approx(4)
    assert losses.mean_distance(found, wanted, torch.zeros(1, 3)) == 0


def test_far_roots_count_less():
    wanted = torch.tensor([[0.0, 0, 2], [0, 0, 8]])
    found = wanted + torch.tensor([[1.0, 0, 0], [5, 0, 0]])
    assert losses.trajectory_loss(found, wanted, torch.ones(2)) == pytest.approx((1 / 2 + 5 / 8) / (1 / 2 + 1 / 8))


def test_the_projection_of_the_true_pose_costs_nothing_and_moves_both_networks():
    codec, poses = LiftCodec(17, (0,)), torch.randn(3, 17, 3) * 0.4 + torch.tensor([0, 0, 5.0])
    intrinsics = CAMERA.repeat(3, 1)
    points = project(poses, intrinsics)
    seen = torch.ones(3, 17)
    batch = LiftBatch(points.unsqueeze(1), seen, points, poses, seen, intrinsics, torch.arange(3))
    lifted = Lifted(codec.relative(poses).requires_grad_(), codec.root_of(poses)[:, 0].clone().requires_grad_())
    assert losses.projection_loss(lifted, batch).item() == pytest.approx(0, abs=1e-6)
    off = Lifted(lifted.poses, lifted.roots + torch.tensor([0.1, 0, 0]))
    loss = losses.projection_loss(off, batch)
    assert loss.item() == pytest.approx(0.1 / 5 * 1100 / 500, rel=0.3)
    loss.backward()
    assert lifted.poses.grad.any() and lifted.roots.grad.any()


def test_unseen_keypoints_are_not_projected():
    lifted = Lifted(torch.zeros(1, 2, 3), torch.tensor([[0.0, 0, 5]]))
    points = torch.tensor([[[510.0, 480], [900, 900]]])
    seen = torch.tensor([[1.0, 0]])
    batch = LiftBatch(points.unsqueeze(1), seen, points, torch.zeros(1, 2, 3), seen, CAMERA[None], torch.arange(1))
    assert losses.projection_loss(lifted, batch).item() == pytest.approx(0, abs=1e-6)


def test_bones_are_held_to_the_mean_of_the_labels():
    bones = losses.as_bones([(0, 1), (1, 2)])
    labels = torch.tensor([[[0.0, 0, 0], [1, 0, 0], [1, 2, 0]], [[0, 0, 0], [3, 0, 0], [3, 9, 0]]])
    weights = torch.tensor([[1.0, 1, 1], [1, 1, 0]])  # the second long bone of 9 is not labelled
    lengths, known = losses.mean_lengths(labels, weights, bones)
    assert lengths.tolist() == [2, 2] and known.tolist() == [1, 1]
    assert losses.bone_loss(labels[:1], bones, lengths, known) == pytest.approx(0.5)  # 1 for 2, and 2 for 2
    both = torch.cat([labels[:1], labels[:1] * 1.5])  # 1 and 1.5 for 2, 2 and 3 for 2
    assert losses.bone_loss(both, bones, lengths, known) == pytest.approx((1 + 0.5 + 0 + 1) / 4)
    assert losses.bone_loss(labels[:1], bones, lengths, torch.tensor([0.0, 1])) == 0


def test_left_and_right_bones_are_partners():
    partners = losses.bone_partners(SKELETON.link_indices, SKELETON.flip_order)
    names = [tuple(SKELETON.keypoints[joint] for joint in link) for link in SKELETON.link_indices]
    for number, partner in enumerate(partners):
        swapped = tuple(
            name.replace("left", "~").replace("right", "left").replace("~", "right") for name in names[number]
        )
        assert names[partner] == swapped
    poses = torch.randn(4, 17, 3)
    assert losses.side_loss(poses, BONES, torch.tensor(partners)) > 0.1
    even = torch.zeros(1, 17, 3)
    even[:, SKELETON.index("left_wrist"), 0], even[:, SKELETON.index("right_wrist"), 0] = 1, -1
    assert losses.side_loss(even, BONES, torch.tensor(partners)) == 0
