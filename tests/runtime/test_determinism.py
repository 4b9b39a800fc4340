import os
import sys

import pytest
import torch

from semipose.runtime.determinism import make_deterministic


@pytest.fixture
def put_back(monkeypatch):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    cudnn = torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark
    filling = torch.utils.deterministic.fill_uninitialized_memory
    yield
    torch.use_deterministic_algorithms(False)
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = cudnn
    torch.utils.deterministic.fill_uninitialized_memory = filling


def test_all_switches_are_set(put_back):
    torch.backends.cudnn.benchmark = True
    make_deterministic()
    assert torch.are_deterministic_algorithms_enabled()
    assert torch.backends.cudnn.deterministic and not torch.backends.cudnn.benchmark
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


@pytest.mark.parametrize("deterministic", [True, False])
def test_the_key_switches_a_run(put_back, monkeypatch, data_root, tmp_path, deterministic):
    """A run of all parts goes through on a CPU."""
    from semipose import cli

    pairs = f"""DATASET.ROOT {data_root} MODEL.IMAGE_SIZE [32,32] MODEL.HEATMAP_SIZE [8,8] TRAIN.BATCH_SIZE 3
    TRAIN.BATCH_SIZE_UNSUP 4 TRAIN.STEPS_PER_EPOCH 2 TRAIN.END_EPOCH 2 TRACKING.TENSORBOARD false WEIGHT.LOSS_MIX 1
    WEIGHT.LOSS_WORST 1 TRAIN.UNSUP_START 0 AUGMENT.HARD_VIEWS [[by_difficulty],[joint_cutout,cutmix,rand_augment]]
    TRAIN.DETERMINISTIC {deterministic}"""
    where = ["--cfg", "experiments/demo/cotrain.yaml", "--output-dir", str(tmp_path / "out"), "--name", "x"]
    monkeypatch.setattr(sys, "argv", ["cotrain1", *where, *pairs.split()])
    with pytest.raises(SystemExit) as stop:
        cli.cotrain1()
    assert stop.value.code == 0
    assert torch.are_deterministic_algorithms_enabled() == deterministic


def test_what_the_user_set_stays(put_back, monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    make_deterministic()
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"


def test_an_operation_without_such_a_form_is_refused(put_back):
    make_deterministic()
    with pytest.raises(RuntimeError, match="deterministic"):
        torch.zeros(3).put_(torch.tensor([0, 0]), torch.tensor([1.0, 2.0]))
