"""SimpleBaseline3D and VideoPose3D; the strided form is the dilated one."""

import pytest
import torch

from semipose.errors import ConfigError
from semipose.lifting.codec import LiftCodec
from semipose.lifting.motion import WindowPlan, window_rows
from semipose.lifting.networks import Lifter, SimpleBaseline3D, VideoPose3D


def used(network):
    """In eval mode, after a batch has moved its BatchNorm away from the start."""
    network.train()
    points = network.expand[0].weight.shape[1] // 2
    for _ in range(3):
        network(torch.randn(16, network.frames, points, 2) * 2 + 1)
    return network.eval()


@pytest.mark.parametrize("frames", [3, 27, 81])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("step", [1, 2])
def test_the_strided_form_equals_the_dilated_form(frames, causal, step):
    network = used(VideoPose3D(5, 4, frames, causal, channels=8))
    plan, length = WindowPlan(frames, step, causal, pad=False), frames * step + 9
    track = torch.randn(1, length, 5, 2)
    rows, _ = window_rows(length, plan)
    with torch.no_grad():
        strided, dilated = network(track[0, rows]), network.over_time(track, step)[0]
    assert strided.shape == (len(rows), 4, 3) and len(rows) == length - (frames - 1) * step
    torch.testing.assert_close(strided, dilated)
    assert strided.std() > 1e-3


@pytest.mark.parametrize("causal", [False, True])
def test_a_pose_depends_on_its_window_and_most_on_no_later_frame_where_it_is_causal(causal):
    network = used(VideoPose3D(5, 4, 9, causal, channels=8))
    track = torch.randn(1, 30, 5, 2, requires_grad=True)
    network.over_time(track)[0, 7].sum().backward()
    touched = track.grad.abs().sum((0, 2, 3)).nonzero().flatten().tolist()
    assert touched == list(range(7, 16))


def test_the_baseline_has_two_blocks_and_sees_frames_alone():
    network = used(SimpleBaseline3D(5, 4, channels=16))
    assert len(network.blocks) == 2 and [type(layer).__name__ for layer in network.blocks[0][0]] == [
        "Linear", "BatchNorm1d", "ReLU", "Dropout",
    ]  # fmt: skip
    track = torch.randn(2, 6, 5, 2)
    with torch.no_grad():
        torch.testing.assert_close(network.over_time(track)[:, 3], network(track[:, 3:4]))
    published = SimpleBaseline3D(16, 16)
    assert sum(p.numel() for p in published.parameters()) == pytest.approx(4.29e6, rel=0.01)


def test_published_size_of_videopose3d():
    network = VideoPose3D(17, 17, 243)
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(16.95e6, rel=0.01)


def test_frames_that_are_no_power_of_three_are_refused():
    with pytest.raises(ConfigError, match=r"LIFT.FRAMES is 10.*27"):
        VideoPose3D(5, 4, 10)


@pytest.mark.parametrize("removed", [False, True])
def test_a_lifter_gives_poses_around_a_root_at_zero_and_where_that_is(removed):
    codec = LiftCodec(5, (2,), remove_root=removed)
    pose = used(VideoPose3D(5, codec.outputs, 9, channels=8))
    lifter = Lifter(codec, pose, used(VideoPose3D(5, 1, 9, channels=8))).eval()
    lifted = lifter(torch.randn(3, 9, 5, 2))
    assert lifted.poses.shape == (3, 5, 3) and lifted.roots.shape == (3, 3)
    assert not lifted.poses[:, 2].any() and lifted.poses[:, 3].any()
    assert Lifter(codec, pose)(torch.randn(3, 9, 5, 2)).roots is None
    track = lifter.over_time(torch.randn(1, 12, 5, 2))
    assert track.poses.shape == (1, 4, 5, 3) and track.roots.shape == (1, 4, 3)


def test_a_pose_does_not_depend_on_the_place_where_joints_are_centred():
    codec = LiftCodec(5, (2,), centred=True)
    lifter = Lifter(codec, used(VideoPose3D(5, 5, 9, channels=8)), used(VideoPose3D(6, 1, 9, channels=8))).eval()
    windows = torch.randn(3, 9, codec.inputs, 2)
    moved = windows.clone()
    moved[:, :, -1] += 1
    one, two = lifter(windows), lifter(moved)
    assert torch.equal(one.poses, two.poses) and not torch.equal(one.roots, two.roots)
    tracks = lifter.over_time(windows)
    torch.testing.assert_close(tracks.poses[:, 0], one.poses)
    torch.testing.assert_close(tracks.roots[:, 0], one.roots)
