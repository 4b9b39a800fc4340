"""Mocap files in MMPose's layout, and 2D tracks from a csv."""

from pathlib import Path

import numpy as np
import pytest
from refusals import refused

from semipose.lifting.cameras import Camera
from semipose.lifting.mocap import MocapSource, read_mocap
from semipose.lifting.track_csv import read_tracks
from semipose.skeletons import get_skeleton

TURN = np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]])
CAMERAS = {
    "54138969": Camera(np.eye(3), np.zeros(3), np.arange(11, dtype=np.float32)),
    "55011271": Camera(TURN, np.array([1.0, 2, 3]), np.arange(11, 22, dtype=np.float32)),
}
NAMES = [
    "S1_Directions_1.54138969_000006.jpg", "S1_Directions_1.54138969_000001.jpg", "S5_Eating.55011271_000001.jpg",
    "S1/x/S1_Directions_1.54138969_000011.jpg", "S5_Eating.55011271_000010.jpg",
]  # fmt: skip


@pytest.fixture
def write(tmp_path):
    """Writes a file of five frames and three keypoints, with changes; returns its path."""

    def make(**arrays) -> str:
        part = np.arange(45, dtype=np.float64).reshape(5, 3, 3)
        pose = np.arange(60, dtype=np.float64).reshape(5, 3, 4) * 1000
        given = {"imgname": np.array(NAMES), "part": part, "S": pose, "center": part[:, 0, :2], "scale": part[:, 0, 0]}
        file = tmp_path / "mocap.npz"
        np.savez(file, **{name: value for name, value in (given | arrays).items() if value is not None})
        return str(file)

    return make


def test_sequences_are_those_of_subject_action_and_camera_in_order_of_their_frames(write):
    motion = read_mocap(MocapSource(write(), CAMERAS, 3, unit=0.001))
    assert [str(r) for r in motion.recordings] == ["S1/Directions_1/54138969", "S5/Eating/55011271"]
    assert motion.sequence.tolist() == [0, 0, 0, 1, 1]
    rows = [1, 0, 3, 2, 4]
    assert motion.keypoints[:, 0, 0].tolist() == [9 * row for row in rows]
    assert motion.poses[:, 0, 0].tolist() == [0 if row == 0 else 12 * row for row in rows]  # metres
    assert motion.seen[0].tolist() == [11, 14, 17] and motion.intrinsics[:, 0].tolist() == [0, 11]
    assert (motion.weights == 1).all()


def test_a_joint_that_is_not_visible_is_no_label(write):
    pose = np.ones((5, 3, 4))
    pose[0, 1, 3] = 0
    motion = read_mocap(MocapSource(write(S=pose), CAMERAS, 3))
    assert motion.weights[1].tolist() == [1, 0, 1] and not motion.poses[1, 1].any() and motion.poses[1, 0].all()


def test_world_poses_are_turned_into_camera_space(write):
    pose = np.ones((5, 3, 4)) * [2, 5, 7, 1]
    motion = read_mocap(MocapSource(write(S=pose), CAMERAS, 3, world=True))
    assert motion.poses[0, 0].tolist() == [2, 5, 7] and motion.poses[3, 0].tolist() == [3, -1, 4]


def test_2d_from_a_detector_and_no_labels(write, tmp_path):
    np.save(tmp_path / "det.npy", np.full((5, 3, 2), 7.0))
    source = MocapSource(write(S=None, part=None), CAMERAS, 3, keypoints_2d=str(tmp_path / "det.npy"))
    motion = read_mocap(source)
    assert (motion.keypoints == 7).all() and (motion.seen == 1).all() and not motion.weights.any()


def test_other_names_are_sequences_by_folder_and_need_a_camera(write):
    names = np.array(["walk/002.png", "run/001.png", "walk/001.png", "jump_7.png", "jump_6.png"])
    motion = read_mocap(MocapSource(write(imgname=names), CAMERAS, 3, camera="54138969"))
    assert [str(r) for r in motion.recordings] == ["walk/54138969", "run/54138969", "jump/54138969"]
    assert motion.keypoints[:, 0, 0].tolist() == [18, 0, 9, 36, 27]
    refused(lambda: read_mocap(MocapSource(write(imgname=names), CAMERAS, 3)), "mocap.npz", "walk", "54138969")


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"imgname": np.array([*NAMES[:4], NAMES[2]])}, ["S5_Eating.55011271_000001", "twice"]),
        ({"part": None}, ["part"]),
        ({"part": np.ones((5, 4, 3))}, ["part", "(5, 4, 3)", "(5, 3, 3)"]),
        ({"S": np.ones((4, 3, 4))}, ["S", "(4, 3, 4)"]),
        ({"part": np.full((5, 3, 3), np.nan)}, ["part", "frame 0"]),
        ({"part": np.full((5, 3, 3), "x")}, ["part"]),
        ({"imgname": np.array(["a.jpg"] * 5)}, ["a.jpg"]),
        ({"imgname": np.array([])}, ["imgname"]),
        ({"imgname": np.array([name.replace("54138969", "7") for name in NAMES])}, ["'7'"]),
        ({"imgname": np.array(NAMES, dtype=object)}, ["mocap.npz"]),
    ],
)
def test_a_wrong_file_is_named(write, arrays, words):
    refused(lambda: read_mocap(MocapSource(write(**arrays), CAMERAS, 3)), "mocap.npz", *words)


def test_a_file_that_is_none_is_refused(tmp_path):
    (tmp_path / "x.npz").write_bytes(b"PK no")
    refused(lambda: read_mocap(MocapSource(str(tmp_path / "x.npz"), CAMERAS, 3)), "x.npz")
    refused(lambda: read_mocap(MocapSource(str(tmp_path / "none.npz"), CAMERAS, 3)), "none.npz")


SKELETON = get_skeleton("h36m")


def write_csv(tmp_path, rows, names=SKELETON.keypoints, individuals=("",)) -> str:
    columns = [(person, name, coord) for person in individuals for name in names for coord in ("x", "y", "likelihood")]
    lines = [["scorer"] + ["me"] * len(columns)]
    if individuals != ("",):
        lines.append(["individuals"] + [person for person, _, _ in columns])
    lines += [["bodyparts"] + [name for _, name, _ in columns], ["coords"] + [coord for *_, coord in columns]]
    lines += [[frame, *[cell for cells in row for cell in cells * len(names)]] for frame, *row in rows]
    file = tmp_path / "walk.csv"
    file.write_text("\n".join(",".join(map(str, line)) for line in lines))
    return str(file)


def test_tracks_of_a_csv_are_sequences_without_gaps(tmp_path):
    rows = [(number, [number, 5, 0.5], ["", "", ""] if number < 3 else [9, number, 1.0]) for number in (0, 1, 3, 4)]
    motion = read_tracks(write_csv(tmp_path, rows, individuals=("a", "b")), SKELETON, CAMERAS, "55011271")
    assert [str(r) for r in motion.recordings] == ["a/walk/55011271", "a/walk 2/55011271", "b/walk/55011271"]
    assert motion.sequence.tolist() == [0, 0, 1, 1, 2, 2]
    assert motion.keypoints[:, 3].tolist() == [[0, 5], [1, 5], [3, 5], [4, 5], [9, 3], [9, 4]]
    assert motion.seen[:, 0].tolist() == [0.5] * 4 + [1] * 2 and not motion.weights.any()
    assert (motion.intrinsics[:, 0] == 11).all()


def test_a_keypoint_that_is_missing_is_filled_in_and_not_trusted(tmp_path):
    rows = [(number, [2 * number, 5, 0.5]) for number in range(3)]
    file = Path(write_csv(tmp_path, rows))
    lines = [line.split(",") for line in file.read_text().split("\n")]
    lines[4][1:3] = ["", ""]  # the pelvis of frame 1
    file.write_text("\n".join(map(",".join, lines)))
    motion = read_tracks(str(file), SKELETON, {"only": CAMERAS["54138969"]}, "")
    assert motion.keypoints[1, 0].tolist() == [2, 5] and motion.seen[1, :2].tolist() == [0, 0.5]


def test_a_csv_without_its_camera_is_refused(tmp_path):
    file = write_csv(tmp_path, [(0, [1, 2, 1])])
    refused(lambda: read_tracks(file, SKELETON, CAMERAS, ""), "walk.csv", "camera", "54138969")
    empty = write_csv(tmp_path, [(0, ["", "", ""])])
    refused(lambda: read_tracks(empty, SKELETON, CAMERAS, "54138969"), "walk.csv")
