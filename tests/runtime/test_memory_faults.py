"""A run without enough memory: one line, and other errors stay as they are."""

import pytest
import torch

from semipose.errors import DataError, SemiposeError
from semipose.runtime.memory_faults import explained_memory_faults


def ask_torch_for_too_much():
    torch.empty(2**50)


def ask_for_too_much():
    raise MemoryError("Unable to allocate 8 TiB")


def run_out_on_a_gpu():
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nGPU 0 has ...")


@pytest.mark.parametrize("job", [ask_torch_for_too_much, ask_for_too_much, run_out_on_a_gpu])
def test_the_line_names_what_to_make_smaller(job):
    with pytest.raises(SemiposeError) as caught, explained_memory_faults():
        job()
    assert "TRAIN.BATCH_SIZE" in str(caught.value) and "\n" not in str(caught.value) and caught.value.exit_code == 2


@pytest.mark.parametrize("error", [RuntimeError("shapes do not fit"), DataError("a.jpg: is empty")])
def test_other_errors_stay(error):
    with pytest.raises(type(error)) as caught, explained_memory_faults():
        raise error
    assert caught.value is error
