"""The gradient reversal layer (Ganin and Lempitsky, ICML 2015)."""

import torch
from torch import Tensor


def reverse_gradient(x: Tensor, factor: float) -> Tensor:
    """`x` itself; on the way back the gradient is multiplied by `-factor`. A factor of 0 lets no gradient pass."""
    return _Reversal.apply(x, factor) if factor else x.detach()


class _Reversal(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, factor: float) -> Tensor:
        ctx.factor = factor
        return x.view_as(x)

    @staticmethod
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, None]:
        return -ctx.factor * gradient, None
