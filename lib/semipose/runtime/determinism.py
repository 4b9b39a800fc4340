"""The same bits from the same run on the same machine, on a GPU too."""

import os

import torch


def make_deterministic() -> None:
    """Let torch use only operations that give the same bits each time; one that has no such form raises RuntimeError.

    For the whole process, and before the first operation on a GPU: cuBLAS reads its variable then.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    # filling new memory is for finding reads before writes; it changes no result
    torch.utils.deterministic.fill_uninitialized_memory = False
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
