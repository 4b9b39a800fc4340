"""GPUS: what is allowed, and which device each process gets."""

import pytest
import torch
from refusals import refused

from semipose.assemble.devices import build_backend, build_device, gpu_names


@pytest.fixture
def machine(monkeypatch):
    """A machine with some GPUs, and this process as one of several."""

    def set_up(gpus: int, rank: int = 0, ranks: int = 1):
        monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: gpus > 0)
        monkeypatch.setattr(torch.cuda, "set_device", lambda number: None)
        for name, value in (("LOCAL_RANK", rank), ("WORLD_SIZE", ranks), ("LOCAL_WORLD_SIZE", ranks)):
            monkeypatch.setenv(name, str(value))

    return set_up


@pytest.mark.parametrize(
    ("gpus", "there", "rank", "ranks", "device"),
    [
        ("", 0, 0, 1, "cpu"), ("", 2, 0, 1, "cuda:0"), ("1", 2, 0, 1, "cuda:1"), ("cpu", 2, 0, 1, "cpu"),
        ("", 4, 2, 3, "cuda:2"), ("cpu", 4, 2, 3, "cpu"), ("3,1", 4, 0, 2, "cuda:3"), ("3, 1", 4, 1, 2, "cuda:1"),
        ("cpu,cpu", 0, 1, 2, "cpu"),
    ],
)  # fmt: skip
def test_each_process_has_its_device(machine, gpus, there, rank, ranks, device):
    machine(there, rank, ranks)
    assert build_device(gpus) == torch.device(device)


@pytest.mark.parametrize(
    ("gpus", "there", "ranks", "named"),
    [
        ("2", 2, 1, "GPUS is '2'"), ("0,2", 2, 2, "GPUS is '0,2'"), ("0,1", 0, 2, "0 CUDA"), ("cpu,0", 2, 2, "cpu,0"),
        ("0,", 2, 2, "'0,'"), ("gpu", 2, 1, "'gpu'"), ("0,1", 2, 1, "'0,1' for 1"), ("0,1", 4, 3, "'0,1' for 3"),
        ("1", 4, 2, "'1' for 2"), ("", 2, 3, "3 processes"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_refused(machine, gpus, there, ranks, named):
    machine(there, ranks - 1, ranks)
    refused(lambda: build_device(gpus), named)


def test_one_process_for_each_name():
    assert gpu_names("cpu,cpu") == ["cpu", "cpu"] and gpu_names("") == [""]


def test_processes_that_share_a_gpu_do_without_nccl(machine):
    machine(2, 0, 2)
    assert (build_backend("0,1"), build_backend("0,0"), build_backend("cpu")) == ("cpu:gloo,cuda:nccl", "gloo", "gloo")
