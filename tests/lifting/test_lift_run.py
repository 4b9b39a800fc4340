"""A run that lifts: the trainer, checkpoints and record are those of 2D."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from run_folder import rows, same_state
from small_lift import CFG, SMALL, finish, go_on, make_trainer, small_config, stop

from semipose import assemble, cli
from semipose.assemble.lifting import build_lifting
from semipose.errors import ConfigError, DataError
from semipose.lifting.algorithms import LIFT_ALGORITHMS
from semipose.skeletons import get_skeleton

LABELLED = {"loss_pose", "loss_trajectory"}
POOL = {"loss_projection", "loss_bones", "loss_sides"}


def losses(folder):
    """Names of the losses in the record, without those of networks."""
    names = {key for row in rows(folder) for key in row if key.startswith("loss_")}
    return {name.removesuffix("_first").removesuffix("_second") for name in names}


@pytest.mark.parametrize("algorithm", LIFT_ALGORITHMS)
def test_each_algorithm_learns_and_records_what_it_is_made_of(figures_root, tmp_path, algorithm):
    trainer = make_trainer(figures_root, tmp_path, algorithm)
    before = {name: value.clone() for name, value in trainer.algorithm.named_parameters() if value.requires_grad}
    metrics = finish(trainer)
    assert {"MPJPE", "P-MPJPE", "N-MPJPE", "3DPCK", "3DAUC"} <= metrics.keys()
    after = dict(trainer.algorithm.named_parameters())
    assert not [name for name, value in before.items() if torch.equal(value, after[name])]
    entry = LIFT_ALGORITHMS[algorithm]
    expected = LABELLED | (POOL if entry.takes_unlabeled else set()) | ({"loss_cons"} if entry.teaches else set())
    assert losses(tmp_path) == expected
    assert ("MPJPE_ensemble" in metrics) == (entry.students == 2)
    assert trainer.best == min(row["MPJPE"] for row in rows(tmp_path) if "MPJPE" in row)


@pytest.mark.parametrize(("algorithm", "looks"), [("mean_teacher", 3), ("mean_teacher", 7), ("cotrain", 6)])
def test_a_stopped_run_goes_on_as_if_it_had_not_been(figures_root, tmp_path, algorithm, looks):
    whole = make_trainer(figures_root, tmp_path / "whole", algorithm)
    expected = finish(whole)
    stop(figures_root, tmp_path / "stopped", looks, algorithm)
    resumed = go_on(figures_root, tmp_path / "stopped", algorithm)
    assert finish(resumed) == expected
    assert same_state(whole.state_dict(), resumed.state_dict())
    assert rows(tmp_path / "stopped") == rows(tmp_path / "whole")


def test_hidden_poses_change_no_bit_of_the_training(figures_root, tmp_path):
    """The pool gets 3D labels that are wrong: training must not see them."""
    root = tmp_path / "data"
    root.mkdir()
    for file in figures_root.iterdir():
        (root / file.name).write_bytes(file.read_bytes())
    with np.load(root / "unlabeled.npz") as archive:
        arrays = dict(archive)
    np.savez(root / "unlabeled.npz", **arrays, S=np.ones((*arrays["part"].shape[:2], 4), np.float32))
    states = []
    for name, place in (("without", figures_root), ("with", root)):
        trainer = make_trainer(place, tmp_path / name)
        finish(trainer)
        states.append(trainer.state_dict())
    assert same_state(states[0]["algorithm"], states[1]["algorithm"])


def test_labels_are_the_first_sequences_and_all_others_are_the_pool(figures_root):
    config = small_config(figures_root, pairs=["DATASET.TRAIN_LEN", "1", "DATASET.TRAIN_UNSUP_SET", "[]"])
    data = assemble.find_task(config).build_data(config)
    assert [str(recording) for recording in data.labeled.recordings] == ["L1/walk/cam1"]
    assert [str(recording) for recording in data.unlabeled.recordings] == ["L1/walk/cam1", "L2/reach/cam2"]
    written = assemble.find_task(config).labelled(config, data)
    assert json.loads(json.dumps(written))["sequences"] == [["labeled", "L1/walk/cam1"]]


def test_tracks_of_predict_are_learned_from(figures_root, tmp_path):
    """The csv of `semipose predict` is an unlabelled source, beside a mocap file."""
    names = get_skeleton("h36m").keypoints
    with np.load(figures_root / "unlabeled.npz") as archive:
        points = archive["part"][:20]
    lines = [["scorer"] + ["me"] * 51, ["bodyparts"] + [name for name in names for _ in "xyl"]]
    lines += [["coords"] + ["x", "y", "likelihood"] * 17]
    lines += [[number, *pose.ravel().tolist()] for number, pose in enumerate(points)]
    (tmp_path / "walk.csv").write_text("\n".join(",".join(map(str, line)) for line in lines))
    source = f"{{annotation: {tmp_path / 'walk.csv'}, camera: cam1}}"
    pairs = ["DATASET.TRAIN_UNSUP_SET", f"[unlabeled.npz, {source}]"]
    trainer = make_trainer(figures_root, tmp_path / "run", "back_projection", pairs=pairs)
    motion = trainer.loader._windows[1].motion
    assert [str(r) for r in motion.recordings[-1:]] == ["walk/cam1"] and len(motion) == 4 * 30 + 20
    np.testing.assert_allclose(motion.keypoints[-20:], points[..., :2], atol=1e-3)
    finish(trainer)


@pytest.mark.parametrize("side", ["DATASET.TRAIN_SET", "DATASET.TRAIN_UNSUP_SET"])
def test_validation_is_known_by_its_poses_where_a_detector_gives_the_2d(figures_root, tmp_path, side):
    with np.load(figures_root / "val.npz") as archive:
        np.save(tmp_path / "det.npy", archive["part"][..., :2] + 1)
    source = f"[{{name: other, annotation: val.npz, keypoints_2d: {tmp_path / 'det.npy'}}}]"
    with pytest.raises(DataError, match="V1/walk/cam5"):
        make_trainer(figures_root, tmp_path, pairs=[side, source])


@pytest.mark.parametrize(
    ("pairs", "words"),
    [
        (["DATASET.TEST_SET", "labeled.npz"], ["L1/walk/cam1"]),
        (["DATASET.TRAIN_SET", "unlabeled.npz"], ["S"]),
        (["DATASET.TEST_SET", "[{annotation: val.npz, exclude: [V*]}]"], ["exclude"]),
        (["DATASET.TRAIN_SET", "none.npz"], ["none.npz"]),
        (["LIFT.ROOT", "nose"], ["LIFT.ROOT", "pelvis"]),
        (["LIFT.FRAMES", "10"], ["LIFT.FRAMES", "27"]),
        (["LIFT.NETWORK", "simplebaseline3d"], ["LIFT.FRAMES", "1"]),
        (["LIFT.TRAJECTORY", "false"], ["WEIGHT.LOSS_PROJECTION"]),
        (["LIFT.REMOVE_ROOT", "true", "LIFT.ROOT", "left_hip right_hip"], ["LIFT.REMOVE_ROOT"]),
        (["TEST.BEST", "AP"], ["TEST.BEST", "MPJPE"]),
        (["ALGORITHM", "pose_dual"], ["ALGORITHM", "back_projection"]),
        (["WEIGHT.LOSS_MIX", "0.5"], ["WEIGHT.LOSS_MIX", "0.0"]),
        (["TRAIN.JOINT_FORWARD", "false"], ["TRAIN.JOINT_FORWARD", "True"]),
        (["ALGORITHM", "supervised", *"TRAIN.BATCH_SIZE 59 TRAIN.STEPS_PER_EPOCH 0".split()], ["BATCH_SIZE is 59"]),
        (["TRAIN.BATCH_SIZE", "1", "TRAIN.WARM_EPOCH", "1"], ["TRAIN.BATCH_SIZE"]),
        (["LABELS.TRIM", "0.1"], ["LABELS.TRIM", "0.0"]),
        (["PSEUDO.TEMPORAL", "track"], ["PSEUDO.TEMPORAL", "none"]),
        (["LIFT.FRAMES", "81", "LIFT.PAD", "false"], ["81 frames", "LIFT.PAD"]),
        (["TRAIN.AMP", "bf16"], ["TRAIN.AMP", "off"]),
        (["LIFT.CAMERAS", "no.json"], ["no.json"]),
    ],
)
def test_what_does_not_fit_is_refused_by_name(figures_root, tmp_path, pairs, words):
    with pytest.raises((ConfigError, DataError)) as error:
        make_trainer(figures_root, tmp_path, pairs=pairs)
    message = str(error.value)
    assert "\n" not in message and all(word in message for word in words), message


def test_a_skeleton_without_links_has_no_bones_to_hold(figures_root):
    bare = replace(get_skeleton("h36m"), links=())
    with pytest.raises(ConfigError, match="LOSS_SIDES"):
        build_lifting(small_config(figures_root), bare)
    build_lifting(small_config(figures_root, "supervised"), bare)
    build_lifting(small_config(figures_root, pairs=["WEIGHT.LOSS_BONES", "0", "WEIGHT.LOSS_SIDES", "0"]), bare)


def test_the_command_trains_and_looks_without_training(figures_root, tmp_path, monkeypatch, capsys):
    words = ["--cfg", CFG, "--name", "r", "--output-dir", str(tmp_path), "DATASET.ROOT", str(figures_root), *SMALL]
    for command, more, code in (
        (cli.train, ["--dry-run"], 0),
        (cli.cotrain1, [], 0),
        (cli.cotrain1, ["--mix", "1"], 2),
    ):
        monkeypatch.setattr(sys, "argv", ["semipose", *words, *more])
        with pytest.raises(SystemExit) as end:
            command()
        assert end.value.code == code
        assert (tmp_path / "r").exists() == (command is cli.cotrain1)
        out, err = capsys.readouterr()
        assert code or "2 sequences" in out + err
    written = json.loads((tmp_path / "r" / "labeled.json").read_text())
    assert len(written["sequences"]) == 2 and (tmp_path / "r" / "best.pth").exists()
