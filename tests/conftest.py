"""Settings shared by all tests: few threads, fixed seeds, nothing sent to a tracking server."""

import os
import random
from contextlib import contextmanager

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("WANDB_MODE", "offline")

import hypothesis
import numpy as np
import pytest
import torch

torch.set_num_threads(1)

# The machines are shared, so no deadline; the same examples in every run, so that a failure is not a matter of luck.
hypothesis.settings.register_profile("semipose", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("semipose")


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request) -> torch.device:
    """For tests of a GPU: their bodies run on the CPU too, so that they cannot rot where there is none."""
    return torch.device(request.param)


@contextmanager
def never_waiting(device: torch.device):
    """While it lasts, an operation that makes the CPU wait for the GPU raises; does nothing on a CPU."""
    if device.type == "cpu":
        yield
        return
    try:
        torch.cuda.set_sync_debug_mode("error")
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.fixture(name="never_waiting")
def never_waiting_fixture(device):
    return lambda: never_waiting(device)


@pytest.fixture(scope="session")
def data_root(tmp_path_factory):
    """Drawn people: 5 labelled, 14 unlabelled, 6 to validate on."""
    from semipose.prepare.drawn_people import write_demo_data

    root = tmp_path_factory.mktemp("people")
    write_demo_data(str(root), labeled=5, unlabeled=14, val=6, size=40, seed=0)
    return root


@pytest.fixture(autouse=True)
def fixed_seeds():
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
