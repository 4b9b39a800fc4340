"""The same bits from the same run on the same machine, on a GPU too."""

import os

import torch


def make_deterministic() -> None:
    """Let torch use only operations that give the same bits each time; any other operation raises RuntimeError.

    Call it before the first operation on a GPU, when cuBLAS reads its variable. It holds for the whole process.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    # filling new memory helps to find reads before writes; it does not change results
    torch.utils.deterministic.fill_uninitialized_memory = False
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
