"""Projection as OpenCV does it, and camera files."""

import json
import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from refusals import refused

from semipose.lifting.cameras import camera_of, directions, mirrored, project, read_cameras
from semipose.lifting.losses import as_bones, bone_lengths
from semipose.skeletons import get_skeleton

ENTRY = {
    "f": [1145, 1144],
    "c": [512.5, 515.5],
    "k": [-0.207, 0.248, -0.003],
    "p": [-0.001, -0.0014],
    "w": 1000,
    "h": 1002,
}
TURN = cv2.Rodrigues(np.array([0.3, -0.8, 0.4]))[0]


@pytest.fixture
def camera(tmp_path):
    file = tmp_path / "cameras.json"
    file.write_text(json.dumps({"a": ENTRY | {"R": TURN.tolist(), "T": [1000.0, 2000, 500]}}))
    return read_cameras(file, 0.001)["a"]


def points_before(camera, count=40):
    """World points that the camera sees."""
    rng = np.random.default_rng(0)
    seen = np.column_stack([rng.uniform(-1.5, 1.5, (count, 2)), rng.uniform(3, 6, count)])
    return seen @ camera.rotation + camera.centre


def test_projection_is_that_of_opencv_with_distortion(camera):
    world = points_before(camera)
    matrix = np.array([[1145, 0, 512.5], [0, 1144, 515.5], [0, 0, 1]])
    k, p = ENTRY["k"], ENTRY["p"]
    shift = -camera.rotation @ camera.centre
    expected, _ = cv2.projectPoints(world, camera.rotation, shift, matrix, np.array([*k[:2], *p, k[2]]))
    found = project(torch.from_numpy(camera.from_world(world)), torch.from_numpy(camera.intrinsics).double())
    np.testing.assert_allclose(found.numpy(), expected[:, 0], atol=1e-3)  # intrinsics are float32


def test_directions_undo_the_projection(camera):
    points, intrinsics = torch.from_numpy(camera.from_world(points_before(camera))), torch.from_numpy(camera.intrinsics)
    found = directions(project(points, intrinsics.double()), intrinsics.double())
    torch.testing.assert_close(found, points[:, :2] / points[:, 2:], atol=1e-5, rtol=1e-5)


def test_a_batch_of_cameras_projects_as_each_alone(camera):
    poses = torch.randn(3, 17, 3) + torch.tensor([0, 0, 5.0])
    intrinsics = torch.from_numpy(camera.intrinsics).repeat(3, 1)
    intrinsics[1, 0] *= 2
    each = [project(pose, own) for pose, own in zip(poses, intrinsics)]
    torch.testing.assert_close(project(poses, intrinsics), torch.stack(each))


def test_a_mirrored_camera_sees_the_mirrored_picture(camera):
    pose, intrinsics = torch.randn(17, 3) + torch.tensor([0, 0, 6.0]), torch.from_numpy(camera.intrinsics)
    seen = project(pose, intrinsics)
    mirror = project(pose * torch.tensor([-1.0, 1, 1]), mirrored(intrinsics))
    torch.testing.assert_close(mirror, torch.stack([1000 - seen[:, 0], seen[:, 1]], -1))
    torch.testing.assert_close(mirrored(mirrored(intrinsics)), intrinsics)


def test_points_behind_the_camera_stay_finite(camera):
    intrinsics = torch.from_numpy(camera.intrinsics)
    assert project(torch.tensor([[1.0, 1, -3], [0, 0, 0]]), intrinsics, limit=1).abs().max() < 1e5


def test_a_figure_turned_by_the_camera_keeps_its_bones(camera):
    bones = as_bones(get_skeleton("h36m").link_indices)
    world = np.random.default_rng(0).normal(size=(5, 17, 3))
    before, after = (bone_lengths(torch.from_numpy(poses), bones) for poses in (world, camera.from_world(world)))
    torch.testing.assert_close(before, after)
    assert np.abs(world - camera.from_world(world)).max() > 0.5


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"f": [1]}, ["f is [1]", "2 numbers"]),
        ({"k": [0, 0]}, ["k is", "3 numbers"]),
        ({"R": np.ones((3, 3)).tolist()}, ["R"]),
        ({"w": 0}, ["w"]),
        ({"c": ["x", "y"]}, ["c is"]),
        ({"T": [0, 0, float("nan")]}, ["T is"]),
    ],
)
def test_a_wrong_camera_is_named(tmp_path, change, words):
    file = tmp_path / "cameras.json"
    file.write_text(json.dumps({"cam7": ENTRY | change}))
    refused(lambda: read_cameras(file), str(file), "cam7", *words)


def test_directions_stay_small_where_a_lens_cannot_see():
    """With k1 alone the picture of a lens ends; a detector may put a joint beyond it."""
    camera = torch.tensor([1000.0, 1000, 500, 500, -0.3, 0, 0, 1e-3, 1e-3, 1000, 1000])
    pixels = 500 + 1000 * torch.linspace(0, 2, 2001).unsqueeze(-1) * torch.tensor([0.8, 0.6])
    assert directions(pixels, camera).norm(dim=-1).max() < 12


def test_the_pickle_of_human36m_is_read(tmp_path):
    arrays = {name: np.array(value, np.float64).reshape(-1, 1) for name, value in ENTRY.items() if name in "fckp"}
    entry = {**arrays, "R": TURN, "T": np.ones((3, 1)), "w": 1000, "h": np.int64(1002), "name": "x", "id": "54138969"}
    file = tmp_path / "cameras.pkl"
    file.write_bytes(pickle.dumps({("S1", "54138969"): entry}))
    camera = read_cameras(file, 0.001)["S1.54138969"]
    np.testing.assert_allclose(camera.intrinsics[:2], ENTRY["f"])
    np.testing.assert_allclose(camera.centre, 0.001)
    np.testing.assert_array_equal(camera.rotation, TURN.T)  # MMPose writes R from camera to world


@pytest.mark.promise("R13")
def test_a_pickle_runs_nothing(tmp_path):
    marker, file = tmp_path / "marker", tmp_path / "cameras.pkl"
    file.write_bytes(b"cos\nsystem\n(S'touch " + str(marker).encode() + b"'\ntR.")
    refused(lambda: read_cameras(file), "cameras.pkl", "system")
    assert not marker.exists()
    for content in (b"", b"\x80\x05]\x94.", pickle.dumps(Path("x"))):
        file.write_bytes(content)
        refused(lambda: read_cameras(file), "cameras.pkl")


@pytest.mark.parametrize("content", ["[]", "{", "{}", '{"a": 3}', "\0"])
def test_a_file_that_is_none_is_refused(tmp_path, content):
    for name in ("cameras.json", "cameras.yaml"):
        (tmp_path / name).write_text(content)
        refused(lambda name=name: read_cameras(tmp_path / name), name)


def test_a_recording_finds_its_own_camera_before_that_of_all(tmp_path):
    file = tmp_path / "cameras.yaml"
    text = "".join(f"{name}: {json.dumps(ENTRY | {'w': width})}\n" for name, width in (("S1.a", 10), ("a", 20)))
    file.write_text(text)
    cameras = read_cameras(file)
    assert camera_of(cameras, "S1", "a", "x") is cameras["S1.a"]
    assert camera_of(cameras, "S9", "a", "x") is cameras["a"]
    refused(lambda: camera_of(cameras, "S1", "b", "train.npz"), "train.npz", "'b'", "S1.a")
    refused(lambda: camera_of(cameras, "", "", "train.npz"), "train.npz")
    assert camera_of({"a": cameras["a"]}, "", "", "x") is cameras["a"]
