"""`semipose predict RUN VIDEO --lift LIFT_RUN`, `semipose valid` and `semipose export` of a lifter."""

import csv
import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from small_lift import finish, make_trainer

from semipose import assemble, cli
from semipose.assemble.lifting_checkpoint import build_track_lifter
from semipose.config import load_config, to_yaml
from semipose.engine.checkpoint import save_atomic
from semipose.jobs import export
from semipose.jobs import predict as job
from semipose.lifting.motion import Windows
from semipose.lifting.validator import lift_batch
from semipose.skeletons import get_skeleton

SKELETON = get_skeleton("h36m")
SMALL = "MODEL.IMAGE_SIZE [32,48] MODEL.HEATMAP_SIZE [8,12] GPUS cpu DATASET.SKELETON".split()
IMAGE = ["LIFT.INPUT", "image", "LIFT.CENTRED", "true"]  # no camera is needed
SIZE = (64, 48)


def write_2d_run(folder: Path, skeleton: str = "h36m") -> Path:
    """A 2D run that was never trained."""
    config = load_config("experiments/demo/supervised.yaml", {}, [*SMALL, skeleton])
    folder.mkdir()
    state = assemble.build_algorithm(config).state_dict()
    save_atomic({"config": to_yaml(config), "algorithm": state}, folder / "best.pth")
    return folder


@pytest.fixture(scope="module")
def runs(figures_root, tmp_path_factory):
    """A 2D run and a run that lifts."""
    root = tmp_path_factory.mktemp("runs")
    trainer = make_trainer(figures_root, root / "lifter", pairs=IMAGE)
    finish(trainer)
    return write_2d_run(root / "pose"), root / "lifter"


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("video") / "walk.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), 25, SIZE)
    for number in range(12):
        writer.write(np.full((SIZE[1], SIZE[0], 3), 20 * number, np.uint8))
    writer.release()
    return path


def predict(runs, source, out, *words) -> int:
    pose, lifter = runs
    return job.main([str(pose), str(source), "--out", str(out), "--device", "cpu", "--lift", str(lifter), *words])


def test_3d_files_lie_beside_the_2d_ones(runs, video, tmp_path):
    assert predict(runs, video, tmp_path) == 0
    names = {"walk.csv", "walk.times.csv", "walk.json", "walk.3d.csv", "walk.3d.npz", "walk.3d.mp4"}
    assert {path.name for path in tmp_path.iterdir()} == names
    with np.load(tmp_path / "walk.3d.npz") as archive:
        found = dict(archive)
    assert found["poses"].shape == (12, 17, 3) and found["roots"].shape == (12, 3)
    assert found["frame"].tolist() == list(range(12)) and found["keypoints"].tolist() == list(SKELETON.keypoints)
    assert not found["poses"][:, 0].any() and found["poses"][:, 1:].std() > 0
    rows = list(csv.reader((tmp_path / "walk.3d.csv").read_text().splitlines()))
    assert rows[1][-3:] == ["root_in_camera"] * 3 and rows[2][:4] == ["coords", "x", "y", "z"] and len(rows) == 15
    np.testing.assert_allclose(np.array(rows[7][1:52], float).reshape(17, 3), found["poses"][4], atol=1e-5)
    np.testing.assert_allclose(np.array(rows[7][52:], float), found["roots"][4], atol=1e-5)
    capture = cv2.VideoCapture(str(tmp_path / "walk.3d.mp4"))
    frames = [capture.read()[1] for _ in range(12)]
    assert frames[-1].shape == (480, 640 + 480, 3)
    drawn = [frame[:, 640:].astype(int) for frame in frames]
    assert np.abs(drawn[0] - drawn[11]).mean() > 1  # it turns


def test_pictures_are_lifted_one_by_one(runs, tmp_path):
    for name in ("a", "b"):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.full((*SIZE[::-1], 3), 90, np.uint8))
    boxes = tmp_path / "boxes.csv"
    boxes.write_text("name,x,y,width,height\na.png,0,0,60,40\na.png,5,5,20,30\nb.png,0,0,30,30\n")
    pictures = [str(tmp_path / f"{name}.png") for name in ("a", "b")]
    assert predict(runs, pictures[0], tmp_path / "out", pictures[1], "--boxes", str(boxes), "--nms", "0") == 0
    with np.load(tmp_path / "out" / "pictures.3d.npz") as archive:
        assert archive["frame"].tolist() == [0, 0, 1] and archive["individual"].tolist() == [0, 1, 0]
    pictures = sorted(path.name for path in (tmp_path / "out" / "pictures.3d").iterdir())
    assert pictures == ["a.png.png", "b.png.png"]


def test_a_track_is_lifted_as_its_windows_are(runs, figures_root, tmp_path):
    """The dilated form over a whole track gives what validation computes window by window."""
    trainer = make_trainer(figures_root, tmp_path, pairs=IMAGE)
    state = torch.load(runs[1] / "best.pth", weights_only=True)
    trainer.algorithm.load_state_dict(state["algorithm"])
    windows: Windows = trainer.validate.sets["val"].windows
    rows = np.flatnonzero(windows.motion.sequence == 1)
    (name,) = trainer.algorithm.main_predictors()
    network = trainer.algorithm.predictors()[name]
    expected = lift_batch(network, trainer.algorithm.recipe.codec, windows.batch(rows)).numpy()
    lifter = build_track_lifter(str(runs[1]), SKELETON, "cpu")
    sizes = np.tile([1000, 1000], (len(rows), 1))
    poses, roots = lifter.lift_track(windows.motion.keypoints[rows], np.arange(len(rows)), sizes)
    np.testing.assert_allclose(poses, expected, atol=1e-5)
    assert roots.shape == (len(rows), 3)


def test_frames_that_are_missing_are_filled_in_for_the_network_only(runs):
    lifter = build_track_lifter(str(runs[1]), SKELETON, "cpu")
    track = np.linspace(100, 400, 9)[:, None, None] + np.random.default_rng(0).uniform(0, 99, (1, 17, 2))
    sizes, every = np.tile([500, 400], (9, 1)), np.arange(9)
    whole, _ = lifter.lift_track(track, every, sizes)
    kept = every[[0, 1, 4, 5, 8]]
    part, _ = lifter.lift_track(track[kept], kept + 30, sizes[kept])
    np.testing.assert_allclose(part, whole[kept], atol=1e-5)


def refused(capsys, code, *words):
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error:")]
    assert code == 2 and len(lines) == 1 and all(word in lines[0] for word in words), lines


def test_what_does_not_go_together_is_refused(runs, video, tmp_path, capsys, figures_root):
    pose, lifter = runs
    refused(capsys, job.main([str(lifter), str(video), "--out", str(tmp_path)]), str(lifter), "--lift")
    refused(capsys, predict((pose, pose), video, tmp_path), str(pose), "TASK lift")
    coco = write_2d_run(tmp_path / "coco", "coco")
    refused(capsys, predict((coco, lifter), video, tmp_path), "coco", "pelvis")
    camera = f"{figures_root / 'cameras.json'}"
    refused(capsys, predict(runs, video, tmp_path, "--camera", camera), "cameras.json@cam1")
    refused(capsys, predict(runs, video, tmp_path, "--camera", f"{camera}@x"), "'x'", "cam1")
    refused(capsys, predict(runs, video, tmp_path, "--camera", f"{camera}@cam1"), "1000x1000", "64x48")
    boxes = tmp_path / "boxes.csv"
    boxes.write_text("frame,x,y,width,height\n0,0,0,60,40\n")
    refused(capsys, predict(runs, video, tmp_path, "--boxes", str(boxes)), "--lift", "--track")
    with pytest.raises(SystemExit):
        job.main([str(pose), str(video), "--out", str(tmp_path), "--camera", camera])


def test_valid_gives_the_numbers_of_the_run(runs, tmp_path, monkeypatch, capsys):
    out = tmp_path / "scores.json"
    monkeypatch.setattr(sys, "argv", ["semipose valid", "--checkpoint", str(runs[1]), "--out", str(out)])
    with pytest.raises(SystemExit) as end:
        cli.valid()
    assert end.value.code == 0 and " mm" in capsys.readouterr().out
    scores = json.loads(out.read_text())["val"]
    metrics = torch.load(runs[1] / "best.pth", weights_only=True)["metrics"]
    assert scores["ema"]["MPJPE"] == metrics["MPJPE"] and scores["student"]["P-MPJPE"] == metrics["P-MPJPE_student"]


def test_an_onnx_file_lifts_as_the_checkpoint_does(runs, tmp_path, capsys):
    onnxruntime = pytest.importorskip("onnxruntime")
    out = tmp_path / "lifter.onnx"
    assert export.main([str(runs[1]), "--out", str(out)]) == 0
    session = onnxruntime.InferenceSession(str(out), providers=["CPUExecutionProvider"])
    facts = json.loads(session.get_modelmeta().custom_metadata_map["semipose"])
    assert facts["names"] == list(SKELETON.keypoints) and facts["frames"] == 9 and facts["root"] == ["pelvis"]
    lifter = build_track_lifter(str(runs[1]), SKELETON, "cpu")
    windows = torch.randn(5, 9, 18, 2)
    poses, roots = session.run(None, {"windows": windows.numpy()})
    with torch.no_grad():
        expected = lifter.networks[0](windows)
    np.testing.assert_allclose(poses, expected.poses.numpy(), atol=1e-4)
    np.testing.assert_allclose(roots, expected.roots.numpy(), atol=1e-4)
    refused(capsys, export.main([str(runs[1]), "--out", str(out), "--decode"]), "--decode")
    refused(capsys, export.main([str(runs[1]), "--out", str(out), "--which", "x"]), "'x'", "student")


def test_a_lifter_of_directions_needs_the_camera_and_uses_it(runs, figures_root, tmp_path, video, capsys):
    trainer = make_trainer(figures_root, tmp_path / "lifter", pairs=["LIFT.INPUT", "camera"])
    finish(trainer)
    lifter = tmp_path / "lifter"
    refused(capsys, predict((runs[0], lifter), video, tmp_path), "--camera")
    cameras = figures_root / "cameras.json"
    track, size = trainer.validate.sets["val"].windows.motion.keypoints[:20], np.tile([1000, 1000], (20, 1))
    names = [build_track_lifter(str(lifter), SKELETON, "cpu", f"{cameras}@{name}") for name in ("cam5", "cam1")]
    poses = [one.lift_track(track, np.arange(20), size)[0] for one in names]
    assert np.abs(poses[0] - poses[1]).max() > 1e-3
    found, _ = names[0].lift_track(track, np.arange(20), size)
    trainer.algorithm.load_state_dict(torch.load(lifter / "best.pth", weights_only=True)["algorithm"])
    (name,) = trainer.algorithm.main_predictors()
    batch = trainer.validate.sets["val"].windows.batch(range(10))
    expected = lift_batch(trainer.algorithm.predictors()[name], trainer.algorithm.recipe.codec, batch)
    np.testing.assert_allclose(found[:10], expected.numpy(), atol=1e-4)
