"""Several processes (ranks) that train as one, on one machine or on several, started by torchrun.

With one process, no function here uses torch.distributed. With several, all ranks must call each function at the same
place. Tensors on a GPU go through NCCL, everything else through gloo, which does not wait for the GPU.
"""

import gc
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from datetime import timedelta
from inspect import signature
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from semipose.errors import LostRankError, SemiposeError
from semipose.structures import PairBatch, StepOutput

TIMEOUT = timedelta(minutes=30)  # longer than the first rank may take to score a validation set
# torchrun names the process that ended first, then ends the others: these must wait so long
GRACE_SECONDS = 5.0
# DDP must not copy the buffers of the first rank; newer versions have another name for this argument
NEWER = "forward_sync_buffers" in signature(DistributedDataParallel).parameters
KEEP_BUFFERS = {"forward_sync_buffers" if NEWER else "broadcast_buffers": False}
LOST = (dist.DistNetworkError, dist.DistBackendError)


def world_size() -> int:
    """Processes that torchrun has started for this run; 1 without torchrun."""
    return int(os.environ.get("WORLD_SIZE", 1)) if "LOCAL_RANK" in os.environ else 1


def local_rank() -> int:
    """Number of this process on its machine."""
    return int(os.environ["LOCAL_RANK"]) if world_size() > 1 else 0


def local_ranks() -> int:
    """Processes of this run on this machine."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", 1)) if world_size() > 1 else 1


def ranks() -> int:
    """Number of processes in the `session`."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """Number of this process, from 0."""
    return dist.get_rank() if ranks() > 1 else 0


def is_first() -> bool:
    """Whether this process writes files, logs and prints; one of all ranks does."""
    return rank() == 0


@contextmanager
def session(backend: str) -> Iterator[None]:
    """While it lasts, the processes of torchrun are connected. Only the first one prints and logs.

    Args:
        backend: of torch.distributed, such as "gloo" or "cpu:gloo,cuda:nccl".

    Raises:
        LostRankError: another rank has ended, or has not answered for half an hour.
    """
    if world_size() == 1:
        yield
        return
    store, number, size = next(dist.rendezvous("env://", timeout=TIMEOUT))
    # after a restart by torchrun the store still has the keys of the attempt before, and gloo would use them
    store = dist.PrefixStore(f"attempt_{os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}", store)
    try:
        dist.init_process_group(backend, store=store, rank=number, world_size=size, timeout=TIMEOUT)
        with _quiet(number > 0):
            yield
        barrier()
        gc.collect()  # DDP has reference cycles, which would keep the group and its threads alive
        dist.destroy_process_group()
    except RuntimeError as error:
        if not isinstance(error, LOST) and "gloo" not in str(error):
            raise
        time.sleep(GRACE_SECONDS)
        reason = str(error).splitlines()[0][:200]
        raise LostRankError(f"rank {number}: another rank has ended or does not answer: {reason}") from error


@contextmanager
def _quiet(silent: bool) -> Iterator[None]:
    if not silent:
        yield
        return
    logger = logging.getLogger("semipose")
    handler, level = logging.NullHandler(), logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.ERROR)
    try:
        with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere):
            yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


def highest(number: int) -> int:
    """The largest of the numbers of all ranks."""
    if ranks() == 1:
        return number
    value = torch.tensor(number)
    dist.all_reduce(value, dist.ReduceOp.MAX)
    return int(value)


def gather(part: Any) -> list:
    """The parts of all ranks, in their order; tensors in them must be on the CPU."""
    if ranks() == 1:
        return [part]
    parts = [None] * ranks()
    dist.all_gather_object(parts, part)
    return parts


def by_first(job: Callable[[], Any]) -> Any:
    """The result of `job`, which only the first rank runs; its SemiposeError is raised on all ranks."""
    if ranks() == 1:
        return job()
    result, error = None, None
    if is_first():
        try:
            result = job()
        except SemiposeError as caught:
            error = caught
    both = [result, error]
    dist.broadcast_object_list(both)
    if both[1] is not None:
        raise both[1]
    return both[0]


def mean(values: dict[str, Tensor]) -> dict[str, Tensor]:
    """Means over the ranks of one-element tensors; all ranks have the same names. Waits for the device."""
    if ranks() == 1 or not values:
        return values
    joined = torch.tensor([float(value) for value in values.values()], dtype=torch.float64)
    dist.all_reduce(joined)
    return dict(zip(values, (joined / ranks()).unbind()))


def mean_tensor(value: Tensor) -> Tensor:
    """Mean over the ranks of a tensor, on its device; all ranks must call it at the same place."""
    if ranks() == 1:
        return value
    total = value.clone()
    dist.all_reduce(total)
    return total / ranks()


def barrier() -> None:
    """Wait until all ranks are here."""
    highest(0)


def shared(report: Callable[[tuple[str, ...]], None]) -> Callable[[tuple[str, ...]], None]:
    """`report`, but each rank reports the lines of all ranks, so that all of them stop together."""
    if ranks() == 1:
        return report

    def report_all(lines: tuple[str, ...]) -> None:
        report(sum(gather(lines), ()) if highest(len(lines)) else ())

    return report_all


class PhaseForward(nn.Module):
    """The forward pass of one phase, for DDP: its parameters are those that the phase moves.

    So DDP does not wait for gradients of the other student in sequential co-training.
    """

    def __init__(self, algorithm: nn.Module, phase: str):
        super().__init__()
        self.learners = nn.ModuleList(algorithm.learners(phase))
        self._algorithm = (algorithm,)  # not a submodule

    def forward(self, batch: PairBatch | None, step: int, phase: str) -> StepOutput | Tensor:
        return self._algorithm[0](batch, step, phase) if batch is not None else self._rehearsal()

    def _rehearsal(self) -> Tensor:
        """0, whose backward pass reaches the parameters from the last to the first, one after another."""
        total = torch.zeros((), device=next(self.parameters()).device)
        for parameter in self.parameters():
            if parameter.requires_grad:
                total = total + 0 * parameter.sum()
        return total


def over_ranks(algorithm: nn.Module, find_unused: bool) -> Callable[[PairBatch, int, str], StepOutput]:
    """The forward pass whose gradients are means over the ranks; without other ranks `algorithm` itself.

    Args:
        algorithm: an Algorithm on its device. No parameter may be frozen or unfrozen afterwards.
        find_unused: whether some parameter may be without gradient in some step; slower.
    """
    if ranks() == 1:
        return algorithm
    phases = {
        phase: DistributedDataParallel(
            PhaseForward(algorithm, phase), find_unused_parameters=find_unused, **KEEP_BUFFERS
        )
        for phase in algorithm.phases
    }
    for network in phases.values():
        _order_gradients(network)
    return lambda batch, step, phase: phases[phase](batch, step, phase)


def _order_gradients(network: DistributedDataParallel) -> None:
    """Let DDP choose the order of its gradient sums now, and not in the first step.

    After its first backward pass DDP makes new buckets, with the gradients in the order in which they came. From three
    ranks on, the rounding of a sum depends on its place in a bucket. So the first step after a resume would differ in
    the last bit from the same step of a run that was not stopped.
    """
    network(None, 0, "").backward()
    for parameter in network.parameters():
        parameter.grad = None


@torch.no_grad()
def average_statistics(networks: list[nn.Module]) -> None:
    """Give the BatchNorms of all ranks, after a backward pass, the mean of their running statistics.

    Without it, teachers and checkpoints would use those of one rank. SyncBatchNorms are equal already.
    """
    if ranks() == 1:
        return
    norms = [module for network in networks for module in network.modules() if isinstance(module, _BatchNorm)]
    moved = [norm for norm in norms if norm.training and not isinstance(norm, nn.SyncBatchNorm)]
    if moved:
        statistics = [buffer for norm in moved for buffer in (norm.running_mean, norm.running_var)]
        joined = torch.cat(statistics)
        dist.all_reduce(joined)
        torch._foreach_copy_(statistics, list((joined / ranks()).split([len(buffer) for buffer in statistics])))
