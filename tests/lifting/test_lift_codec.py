"""What networks take and give, and flips."""

import pytest
import torch

from semipose.lifting.cameras import project
from semipose.lifting.codec import USUAL_DEPTH, LiftCodec
from semipose.lifting.motion import LiftBatch
from semipose.skeletons import get_skeleton

SKELETON = get_skeleton("h36m")
CAMERA = torch.tensor([1100.0, 1150, 510, 480, -0.2, 0.1, 0, 0.002, -0.001, 1000, 800])


def codec(**values) -> LiftCodec:
    return LiftCodec(len(SKELETON), (0,), flip_order=tuple(SKELETON.flip_order), **values)


def batch(count=4) -> LiftBatch:
    """Poses and their exact projections, over three frames."""
    poses = torch.randn(count, 3, 17, 3) * 0.4 + torch.tensor([0.3, 0.1, 5.0])
    intrinsics = CAMERA.repeat(count, 1)
    pixels = project(poses, intrinsics.unsqueeze(1))
    weights = torch.rand(count, 17)
    return LiftBatch(pixels, weights, pixels[:, 1], poses[:, 1], weights.round(), intrinsics, torch.arange(count))


def test_2d_counts_from_the_image_centre_in_half_widths():
    points = torch.tensor([[0.0, 0], [500, 400], [1000, 800]])
    expected = torch.tensor([[-1, -0.8], [0, 0], [1, 0.8]])
    torch.testing.assert_close(codec().encode_points(points, CAMERA), expected)


def test_2d_by_the_camera_is_the_same_for_every_focal_length():
    pose = torch.randn(17, 3) + torch.tensor([0, 0, 6.0])
    near, far = CAMERA.clone(), CAMERA.clone()
    far[:2] *= 3
    far[4:9] = 0
    found = [codec(by_camera=True).encode_points(project(pose, camera), camera) for camera in (near, far)]
    torch.testing.assert_close(*found, atol=1e-4, rtol=1e-4)


def test_a_root_by_the_camera_is_where_it_is_seen_and_as_deep_as_said():
    own, poses = codec(by_camera=True), torch.randn(4, 17, 3) * 0.3 + torch.tensor([0.5, 0, 4.0])
    points = own.encode_points(project(poses, CAMERA), CAMERA)
    said = torch.tensor([0.0, 0, 1]) * (poses[:, :1, 2] / USUAL_DEPTH).log()
    torch.testing.assert_close(own.decode_root(said, points), poses[:, 0], atol=1e-4, rtol=1e-4)
    assert codec().decode_root(said, points) is said


@pytest.mark.parametrize("root", [(0,), (1, 4)])
def test_centred_joints_do_not_depend_on_the_place_which_comes_last(root):
    own = LiftCodec(17, root, by_camera=True, centred=True)
    points = own.encode_points(torch.rand(17, 2) * 800, CAMERA)
    plain = LiftCodec(17, root, by_camera=True).encode_points(torch.zeros(17, 2), CAMERA)
    assert points.shape == (own.inputs, 2) == (18, 2) and plain.shape == (17, 2)
    torch.testing.assert_close(points[list(root)].mean(0), torch.zeros(2), atol=1e-6, rtol=0)
    still = LiftCodec(17, root, centred=True)
    one, two = (still.encode_points(torch.arange(34.0).view(17, 2) + shift, CAMERA) for shift in (0, 100))
    torch.testing.assert_close(one[:-1], two[:-1], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(two[-1] - one[-1], torch.tensor([0.2, 0.2]))
    assert own.decode_root(torch.zeros(3), points)[:2].tolist() == (USUAL_DEPTH * points[-1]).tolist()


@pytest.mark.parametrize("by_camera", [False, True])
def test_flip_twice_is_nothing_and_once_changes_everything(by_camera):
    before, chosen = batch(), torch.tensor([True, True, False, True])
    once = codec().flip(before, chosen)
    twice = codec().flip(once, chosen)
    for name in ("keypoints", "seen", "points", "poses", "weights", "intrinsics"):
        torch.testing.assert_close(getattr(twice, name), getattr(before, name), atol=1e-4, rtol=1e-5)
        same = [torch.equal(a, b) for a, b in zip(getattr(once, name), getattr(before, name))]
        assert same == [False, False, True, False], name


def test_a_flipped_pose_is_seen_where_its_flipped_keypoints_are():
    once = codec().flip(batch(), torch.ones(4, dtype=torch.bool))
    torch.testing.assert_close(project(once.poses, once.intrinsics), once.points)
    torch.testing.assert_close(once.keypoints[:, 1], once.points)
    left, right = SKELETON.index("left_wrist"), SKELETON.index("right_wrist")
    before = batch(4)
    torch.testing.assert_close(codec().flip_poses(before.poses)[:, left, 1:], before.poses[:, right, 1:])


def test_3d_is_relative_to_the_root_which_can_be_removed():
    poses = torch.randn(2, 17, 3)
    relative = codec().relative(poses)
    assert not relative[:, 0].any()
    torch.testing.assert_close(codec().decode(poses), relative)
    removed = codec(remove_root=True)
    assert removed.outputs == 16
    torch.testing.assert_close(removed.decode(relative[:, 1:]), relative)
    inner = LiftCodec(17, (5,), remove_root=True)
    wanted = inner.relative(poses)
    torch.testing.assert_close(inner.decode(torch.cat([wanted[:, :5], wanted[:, 6:]], 1)), wanted)


def test_the_root_may_be_between_two_joints():
    own = LiftCodec(17, (1, 4))
    poses, weights = torch.randn(2, 17, 3), torch.ones(2, 17)
    torch.testing.assert_close(own.root_of(poses)[:, 0], (poses[:, 1] + poses[:, 4]) / 2)
    weights[1, 4] = 0
    assert own.root_weight(weights).tolist() == [1, 0]
