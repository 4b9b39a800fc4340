"""Mix-up inside a network (Verma et al., "Manifold Mixup", ICML 2019)."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from semipose.models.compiling import uncompiled


def mix_rows(x: Tensor, permutation: Tensor, lam: float) -> Tensor:
    """`lam * x + (1 - lam) * x[permutation]` along the first dimension; permutation (len(x),)."""
    return lam * x + (1 - lam) * x[permutation]


@contextmanager
def mixed_inside(network: nn.Module, stage: int, rows: slice, permutation: Tensor, lam: float) -> Iterator[None]:
    """While it lasts, each forward pass of `network` mixes some rows after one of its `early_stages`.

    A compiled network would not see the hook that mixes, so these passes are not compiled.

    Args:
        stage: index into `network.early_stages`.
        rows: which rows of the batch are mixed, among themselves; the others are left as they are.
        permutation: (n,) for the n rows, the partner of each.
        lam: share of the row itself.
    """

    def mix(module: nn.Module, inputs: tuple, output: Tensor) -> Tensor:
        start, stop, _ = rows.indices(len(output))
        return torch.cat([output[:start], mix_rows(output[start:stop], permutation, lam), output[stop:]])

    hook = network.early_stages[stage].register_forward_hook(mix)
    try:
        with uncompiled(network):
            yield
    finally:
        hook.remove()
