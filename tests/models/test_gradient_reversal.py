import pytest
import torch

from semipose.models.gradient_reversal import reverse_gradient


def gradient(factor, x):
    y = reverse_gradient(x, factor)
    assert torch.equal(y, x)
    (y.square() * 3).sum().backward()
    return x.grad


@pytest.mark.parametrize("factor", [0.1, 2.0, -1.0])
def test_gradient_is_turned_round_and_scaled(factor):
    x = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.allclose(gradient(factor, x), -factor * 6 * x.detach(), rtol=1e-12)


def test_factor_zero_lets_nothing_pass():
    x = torch.ones(3, requires_grad=True)
    y = reverse_gradient(x, 0.0)
    assert torch.equal(y, x) and not y.requires_grad


def test_memory_format_and_type_are_kept():
    x = torch.rand(2, 4, 5, 3, dtype=torch.bfloat16).contiguous(memory_format=torch.channels_last).requires_grad_()
    y = reverse_gradient(x, 0.5)
    assert y.dtype == torch.bfloat16 and y.is_contiguous(memory_format=torch.channels_last)
