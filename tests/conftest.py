"""Settings shared by all tests: few threads, fixed seeds, nothing sent to a tracking server."""

import os
import random

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


@pytest.fixture(autouse=True)
def fixed_seeds():
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
