"""Mix-up inside a network (Verma et al., "Manifold Mixup", ICML 2019)."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from semipose.models.compiling import uncompiled


def mix_rows(x: Tensor, permutation: Tensor, lam: float) -> Tensor:
    """`lam * x + (1 - lam) * x[permutation]` along the first dimension; permutation (len(x),)."""
    return lam * x + (1 - lam) * x[permutation]


@contextmanager
def mixed_inside(network: nn.Module, stage: int, permutation: Tensor, lam: float) -> Iterator[None]:
    """While it lasts, each forward pass of `network` mixes its images after one of its `early_stages`.

    A compiled network would not see the hook that mixes, so these passes are not compiled. They leave the statistics of
    BatchNorm as they are: teachers and evaluation look at whole pictures.

    Args:
        stage: index into `network.early_stages`.
        permutation: (B,) the partner of each image.
        lam: share of the image itself.
    """

    def mix(module: nn.Module, inputs: tuple, output: Tensor) -> Tensor:
        return mix_rows(output, permutation, lam)

    momenta = {norm: norm.momentum for norm in network.modules() if isinstance(norm, _BatchNorm)}
    hook = network.early_stages[stage].register_forward_hook(mix)
    try:
        for norm in momenta:
            norm.momentum = 0.0
        with uncompiled(network):
            yield
    finally:
        hook.remove()
        for norm, momentum in momenta.items():
            norm.momentum = momentum
