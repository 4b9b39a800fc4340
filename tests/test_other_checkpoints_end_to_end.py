"""Pose checkpoints of others through the commands and `load_model`, on the drawn people."""

import json
import logging
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from other_networks import PoseDual, PoseResNet, shuffled
from refusals import refused

from semipose import cli, load_model, runs
from semipose.config import load_config
from semipose.jobs import predict

ROOT = Path(__file__).resolve().parent.parent
CFG = str(ROOT / "experiments/demo/cotrain.yaml")  # its algorithm and weights do not matter
THEIRS = """MODEL.BACKBONE resnet18 MODEL.CODEC msra MODEL.IMAGE_SIZE [64,64] MODEL.HEATMAP_SIZE [0,0] GPUS cpu
WORKERS 0 DATASET.CACHE none""".split()


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("theirs")
    first, second = (shuffled(PoseResNet(17), seed) for seed in (1, 2))
    torch.save(first.state_dict(), folder / "pose_resnet.pth")
    torch.save({"state_dict": PoseDual(first, second).state_dict(), "perf": np.float64(1)}, folder / "dual.pth.tar")
    return folder


@pytest.fixture
def valid(monkeypatch, capsys, data_root):
    def call(*words: str):
        monkeypatch.setattr(
            sys, "argv", ["valid", "DATASET.ROOT", str(data_root), "GPUS", "cpu", "WORKERS", "0", *words]
        )
        monkeypatch.setattr(logging, "basicConfig", lambda **_: None)
        with pytest.raises(SystemExit) as stop:
            cli.valid()
        return stop.value.code, *capsys.readouterr()

    return call


def test_valid_and_load_model_score_them_as_they_are(files, valid, tmp_path, data_root):
    both = str(files / "dual.pth.tar")
    code, out, err = valid("--checkpoint", both, "--out", str(tmp_path / "s.json"), "--cfg", CFG, *THEIRS)
    assert code == 0, err
    (table,) = json.loads((tmp_path / "s.json").read_text()).values()
    assert {"first", "second", "ensemble"} == table.keys()
    code, out, err = valid("--checkpoint", str(files / "pose_resnet.pth"), "--cfg", CFG, *THEIRS)
    assert code == 0 and "student" in out, err

    picture = next((data_root / "images/val").iterdir())
    alone = load_model(files / "pose_resnet.pth", cfg=[CFG, *THEIRS], device="cpu")
    ensemble = load_model(both, cfg=[CFG, *THEIRS], device="cpu")
    first = load_model(both, "first", "cpu", cfg=[CFG, *THEIRS])
    assert (alone.which, ensemble.which) == ("student", "ensemble")
    assert np.array_equal(alone(picture).keypoints, first(picture).keypoints)
    assert not np.array_equal(alone(picture).keypoints, ensemble(picture).keypoints)


def test_predict_takes_cfg(files, tmp_path, data_root):
    arguments = [str(files / "pose_resnet.pth"), str(data_root / "images/val"), "--out", str(tmp_path)]
    assert predict.main([*arguments, "--device", "cpu", "--cfg", CFG, *THEIRS]) == 0
    assert list(tmp_path.glob("*.csv"))
    assert predict.main(arguments) == 2


def test_missing_and_wrong_configurations_are_named(files, valid, data_root, tmp_path):
    file = str(files / "pose_resnet.pth")
    code, _, err = valid("--checkpoint", file)
    assert code == 2 and "--cfg" in err and "MODEL.BACKBONE" in err
    code, _, err = valid("--checkpoint", file, "--cfg", CFG, *THEIRS, "MODEL.BACKBONE", "resnet34")
    assert code == 2 and "backbone.layer" in err and "MODEL.BACKBONE" in err
    refused(lambda: load_model(file), file, "cfg=")
    refused(lambda: load_model(file, cfg=[CFG, *THEIRS, "DATASET.SKELETON", "mpii"]), "17", "16", "DATASET.SKELETON")
    torch.save({"encoder.weight": torch.zeros(2)}, tmp_path / "x.pth")
    refused(lambda: load_model(tmp_path / "x.pth", cfg=CFG), "x.pth", "encoder.weight")


def test_two_students_start_from_two_networks_and_the_log_says_so(files, data_root, caplog):
    flags = {"ALGORITHM": "cotrain1", "DATASET.ROOT": str(data_root)}
    config = load_config(CFG, flags, [*THEIRS, "MODEL.PRETRAINED", str(files / "dual.pth.tar")])
    with caplog.at_level(logging.INFO):
        assert runs.dry_run(config) == 0
    for number, name in enumerate(("first", "second"), 1):
        (line,) = (line for line in caplog.messages if f"network {number} of 2" in line)
        assert line.startswith(name) and "117 of 117 tensors" in line
