"""A run with TRAIN.COMPILE: it goes on exactly where it was stopped, and only as what it was."""

import pytest
import torch
import torch._dynamo
from small_run import finish, go_on, make_trainer, same_state, stop

from semipose.assemble import training
from semipose.config import load_config
from semipose.errors import ConfigError
from semipose.models.compiling import compile_networks
from semipose.models.pose_network import PoseNetwork

COMPILED = ["TRAIN.COMPILE", "true"]


@pytest.fixture(autouse=True)
def fresh_dynamo():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def quick(algorithm) -> None:
    """The same wiring without the minutes of the real compiler."""
    compile_networks(algorithm, "eager")


def test_a_compiled_run_is_built_tried_and_trained(data_root, tmp_path, monkeypatch):
    tried = []
    monkeypatch.setattr(training, "check_compiler", tried.append)
    monkeypatch.setattr(training, "compile_networks", quick)
    metrics = []
    for name, pairs in (("plain", []), ("compiled", COMPILED)):
        trainer = make_trainer(data_root, tmp_path / name, "mean_teacher", pairs=["TRAIN.END_EPOCH", "1", *pairs])
        networks = [module for module in trainer.algorithm.modules() if isinstance(module, PoseNetwork)]
        assert [network.compiled for network in networks] == [bool(pairs)] * 2  # student and teacher
        metrics.append((finish(trainer), trainer.algorithm.state_dict()))
    assert tried == [torch.device("cpu")]
    assert same_state(*metrics)


def test_synced_norms_are_refused(monkeypatch):
    config = load_config("experiments/demo/cotrain.yaml", {}, [*COMPILED, "TRAIN.SYNC_BN", "true", "GPUS", "cpu"])
    monkeypatch.setattr(training, "ranks", lambda: 2)
    with pytest.raises(ConfigError, match="TRAIN.COMPILE and TRAIN.SYNC_BN"):
        training.compile_algorithm(config, None)


@pytest.mark.slow
@pytest.mark.promise("R3")
def test_a_stopped_compiled_run_goes_on_as_if_it_had_not_been(data_root, tmp_path):
    """The batches of the resumed run have their sizes in another order: it starts with the short one."""
    pairs = [*COMPILED, "TRAIN.UNSUP_START", "0"]  # a graph less
    whole = make_trainer(data_root, tmp_path / "whole", pairs=pairs)
    expected = finish(whole)
    torch._dynamo.reset()
    stop(data_root, tmp_path / "stopped", 3, pairs=pairs)
    torch._dynamo.reset()
    resumed = go_on(data_root, tmp_path / "stopped", pairs=pairs)
    assert finish(resumed) == expected
    assert same_state(whole.state_dict(), resumed.state_dict())
