"""Moving figures: bones that keep their length, angles within limits, smooth, seeded; and the files of them."""

import json

import numpy as np
import pytest
import torch
from refusals import refused

from semipose.jobs.make_demo_data import main as demo_data
from semipose.lifting.cameras import project, read_cameras
from semipose.lifting.figure_data import write_figures
from semipose.lifting.figures import ACTIONS, LIMITS, draw_angles, draw_figure, joints, moving_figure
from semipose.skeletons import get_skeleton

SKELETON = get_skeleton("h36m")


def poses(action, seed=0, frames=80):
    rng = np.random.default_rng(seed)
    return moving_figure(rng, draw_figure(rng), action, frames, SKELETON.keypoints)


@pytest.mark.parametrize("action", ACTIONS)
def test_bones_keep_their_length_and_left_ones_equal_right_ones(action):
    found = poses(action)
    names = {(SKELETON.keypoints[a], SKELETON.keypoints[b]): (a, b) for a, b in SKELETON.link_indices}
    rigid = [pair for pair in names if pair not in (("pelvis", "spine"), ("spine", "thorax"))]
    lengths = {pair: np.linalg.norm(found[:, names[pair][0]] - found[:, names[pair][1]], axis=-1) for pair in names}
    assert all(np.ptp(lengths[pair]) < 1e-9 for pair in rigid)
    for (a, b), values in lengths.items():
        if "left" in b:
            assert np.allclose(values, lengths[a.replace("left", "right"), b.replace("left", "right")])
    others = np.linalg.norm(np.diff(poses(action, 1)[0, [1, 2]], axis=0))
    assert abs(others - lengths["right_hip", "right_knee"][0]) > 1e-3


@pytest.mark.parametrize("action", ACTIONS)
def test_angles_stay_in_their_limits_and_are_smooth(action):
    for seed in range(5):
        angles = draw_angles(np.random.default_rng(seed), action, 200)
        for name, values in angles.items():
            low, high = LIMITS[name.removeprefix("left ").removeprefix("right ")]
            assert low <= values.min() and values.max() <= high and np.abs(np.diff(values)).max() < 0.2 * (high - low)
    found = poses(action, 3, 200)
    assert np.linalg.norm(np.diff(found, axis=0), axis=-1).max() < 0.3  # metres in a frame
    ankles = found[:, [SKELETON.index("left_ankle"), SKELETON.index("right_ankle")], 2]
    assert np.allclose(ankles.min(1), 0.06)


def test_knees_bend_back_and_left_is_left():
    rng = np.random.default_rng(0)
    names = ("left_hip", "left_knee", "left_ankle", "right_hip", "nose", "head_top", "pelvis")
    angles = {key: values * 0 for key, values in draw_angles(rng, "walk", 1).items()}
    angles["left knee bend"] += 90
    found = {name: joints(draw_figure(rng), angles)[name][0] for name in names}
    assert found["left_hip"][1] > 0 > found["right_hip"][1]
    assert found["left_ankle"][0] < found["left_knee"][0] - 0.3 and found["nose"][0] > found["pelvis"][0]


def test_a_seed_gives_the_same_files_and_another_one_others(tmp_path):
    arrays = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        assert write_figures(tmp_path / name, SKELETON, 1, 1, 1, 10, seed=seed)
        arrays.append(np.load(tmp_path / name / "labeled.npz")["S"])
    assert np.array_equal(arrays[0], arrays[1]) and not np.allclose(arrays[0], arrays[2])
    assert not write_figures(tmp_path / "a", SKELETON, 1, 1, 1, 10, seed=0)
    assert write_figures(tmp_path / "a", SKELETON, 1, 1, 1, 11, seed=0)


def test_2d_is_the_projection_of_3d_by_cameras_of_validation_alone(figures_root):
    cameras = read_cameras(figures_root / "cameras.json")
    for name in ("labeled", "val"):
        with np.load(figures_root / f"{name}.npz") as archive:
            arrays = dict(archive)
        for row in (0, 45):
            camera = cameras[str(arrays["imgname"][row]).split(".")[1].split("_")[0]]
            points = project(torch.from_numpy(arrays["S"][row, :, :3]), torch.from_numpy(camera.intrinsics))
            np.testing.assert_allclose(points.numpy(), arrays["part"][row, :, :2], atol=0.01)
        views = {str(image).split(".")[1].split("_")[0] for image in arrays["imgname"]}
        assert (views <= {"cam5", "cam6"}) == (name == "val")
    with np.load(figures_root / "unlabeled.npz") as archive:
        assert "S" not in archive.files


def test_the_command_makes_them_and_says_what_does_not_fit(tmp_path, capsys):
    words = ["--out", str(tmp_path / "f"), "--labeled", "1", "--unlabeled", "1", "--val", "1"]
    assert demo_data([*words, "--moving", "--frames", "5", "--skeleton", "coco", "--noise", "2"]) == 0
    assert np.load(tmp_path / "f" / "labeled.npz")["part"].shape == (5, 17, 3)
    assert json.loads((tmp_path / "f" / "manifest.json").read_text())["noise"] == 2
    assert demo_data([*words, "--moving", "--skeleton", "mirror_mouse"]) == 2
    assert "nose_bot" in capsys.readouterr().err
    for wrong in (["--frames", "5"], ["--moving", "--size", "64"]):
        with pytest.raises(SystemExit):
            demo_data([*words, *wrong])


def test_another_folder_is_left_as_it_is(tmp_path):
    (tmp_path / "mine.txt").write_text("x")
    refused(lambda: write_figures(tmp_path, SKELETON, 1, 1, 1, 5), str(tmp_path))
    refused(lambda: write_figures(tmp_path / "new", SKELETON, 1, 1, 1, 1), "frames")
    assert (tmp_path / "mine.txt").read_text() == "x"
