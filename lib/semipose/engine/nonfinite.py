"""Steps whose loss or gradient is not a finite number: how they are found, undone and reported."""

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn

from semipose.engine.checkpoint import save_atomic
from semipose.errors import DivergedError
from semipose.runtime.ranks import rank, ranks
from semipose.structures import PairBatch, PoseBatch

MOST_IDS = 8  # of each side, in the message; the file has all


class BufferSnapshot:
    """A copy of the buffers of networks, made before a forward pass.

    The pass moves the statistics of BatchNorm, perhaps to NaN, and they cannot be computed back. So they are copied in
    each step: a ResNet-18 has 71 small ones.
    """

    def __init__(self, modules: Sequence[nn.Module]):
        self._modules, self._copies, self._taken = modules, [], False

    @torch.no_grad()
    def take(self) -> None:
        buffers = self._buffers()
        if len(self._copies) != len(buffers):
            self._copies = [buffer.clone() for buffer in buffers]
        else:
            _copy(self._copies, buffers)
        self._taken = True

    def drop(self) -> None:
        """The step was good."""
        self._taken = False

    @torch.no_grad()
    def restore(self) -> None:
        """Undo the pass, if there was a `take` before it."""
        if self._taken:
            _copy(self._buffers(), self._copies)
        self._taken = False

    def _buffers(self) -> list[Tensor]:
        return [buffer for module in self._modules for buffer in module.buffers()]


def all_finite(first: Tensor, second: Tensor) -> bool:
    """Whether two scalars are finite, on every rank; the one place of a step that waits for the device."""
    finite = first.detach().isfinite() & second.isfinite()
    if ranks() > 1:
        finite = finite.int()
        dist.all_reduce(finite, dist.ReduceOp.MIN)  # ranks that decide differently would wait for each other
    return bool(finite)


def keep_batch(
    folder: Path, error: DivergedError, batch: PairBatch, ids: dict[str, list[int]], logs: dict[str, Tensor],
    step: int, phase: str, seed: int,
) -> DivergedError:  # fmt: skip
    """Write `nonfinite_step_N.pt`. With the networks of `last.pth` it repeats the step.

    Its "batch" has the fields of `PoseBatch` by side.

    Args:
        ids: annotation ids of the persons, by side ("labeled", "unlabeled").
        logs: the loss terms.
        seed: of the views.

    Returns:
        `error` with the loss terms, the first ids and the file.
    """
    terms = {name: float(value) for name, value in logs.items()}
    path = folder / f"nonfinite_step_{step}{f'_rank_{rank()}' if rank() else ''}.pt"
    sides = {"labeled": batch.labeled, "unlabeled": batch.unlabeled}
    tensors = {side: _plain(part) for side, part in sides.items() if part is not None}
    save_atomic(
        {"batch": tensors, "ids": ids, "step": step, "phase": phase, "seed": seed, "loss_terms": terms}, path
    )  # fmt: skip
    parts = [str(error), ", ".join(f"{name} {value:.4g}" for name, value in terms.items())]
    parts += [f"{side} ids {_first(numbers)}" for side, numbers in ids.items()]
    return DivergedError("; ".join([*filter(None, parts), f"the batch is in {path}"]))


def _copy(targets: list[Tensor], sources: list[Tensor]) -> None:
    """Type by type: on CUDA tensors of mixed types would be copied one by one."""
    for dtype in dict.fromkeys(target.dtype for target in targets):
        pairs = [pair for pair in zip(targets, sources, strict=True) if pair[0].dtype == dtype]
        torch._foreach_copy_([target for target, _ in pairs], [source for _, source in pairs])


def _plain(batch: PoseBatch) -> dict:
    values = {f.name: getattr(batch, f.name) for f in fields(batch) if f.name != "faults"}
    return {name: value.cpu() if isinstance(value, Tensor) else value for name, value in values.items()}


def _first(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers[:MOST_IDS])) + (", ..." if len(numbers) > MOST_IDS else "")
