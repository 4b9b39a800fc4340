import math

import pytest
import torch
from torch.autograd import gradcheck

from semipose.losses import avoid_loss, ground_false, spatial_cross_entropy, spatial_kl

B, K, H, W = 2, 3, 7, 5


def draw(seed=0, *shape, dtype=torch.float64):
    return torch.randn(shape or (B, K, H, W), generator=torch.Generator().manual_seed(seed), dtype=dtype)


def gaussians(centres, sigma=1.0, size=(H, W)):
    ys, xs = torch.meshgrid(*(torch.arange(n, dtype=torch.float64) for n in size), indexing="ij")
    x, y = centres[..., 0, None, None], centres[..., 1, None, None]
    return torch.exp(-((xs - x) ** 2 + (ys - y) ** 2) / (2 * sigma**2))


def some_peaks():
    return torch.tensor([[[1.0, 5.2], [4.0, 0.0], [2.5, 3.5]], [[0.0, 6.0], [-0.9, 3.0], [4.8, 2.2]]]).double()


def looped(one_map, *tensors):
    return torch.tensor([[one_map(*(t[b, k] for t in tensors)) for k in range(K)] for b in range(B)]).double()


def softmax_of(logits):
    values = [[math.exp(v) for v in row] for row in logits.tolist()]
    total = sum(map(sum, values))
    return [[v / total for v in row] for row in values]


def test_cross_entropy_equals_a_loop():
    target = torch.rand(B, K, H, W, dtype=torch.float64)

    def one_map(logits, target):
        shares, total = softmax_of(logits), float(target.sum())
        return -sum(float(target[y, x]) / total * math.log(shares[y][x]) for y in range(H) for x in range(W))

    assert torch.allclose(spatial_cross_entropy(draw(), target), looped(one_map, draw(), target))


def test_mass_equals_a_loop_on_a_non_square_map():
    def one_map(logits, peak):
        shares, (px, py) = softmax_of(logits), peak.tolist()
        return sum(shares[y][x] for y in range(H) for x in range(W) if (x - px) ** 2 + (y - py) ** 2 <= 1.5**2)

    expected = looped(one_map, draw(), some_peaks())
    assert torch.allclose(avoid_loss(draw(), some_peaks(), 1.5), -torch.log(1 - expected + 1e-6), atol=2e-6)


def test_kl_is_zero_for_the_target_itself_and_has_the_gradient_of_cross_entropy():
    target = gaussians(some_peaks())
    assert torch.allclose(spatial_kl(target.log(), target), torch.zeros(B, K).double(), atol=1e-12)
    assert (spatial_kl(draw(), target) > 0.01).all()
    gradients = []
    for loss in (spatial_kl, spatial_cross_entropy):
        logits = draw().requires_grad_()
        loss(logits, target).sum().backward()
        gradients.append(logits.grad)
    assert torch.allclose(*gradients)


def test_ground_false_equals_a_loop():
    target = gaussians(some_peaks(), sigma=2.0)
    wrong = ground_false(target)
    for k in range(K):
        others = sum(target[:, j] for j in range(K) if j != k)
        assert others.max() > 1  # so that the clip shows
        assert torch.allclose(wrong[:, k], others.clip(0, 1))


def test_an_empty_target_costs_nothing():
    target = gaussians(some_peaks())
    target[1, 2] = 0
    for loss in (spatial_cross_entropy, spatial_kl):
        logits = draw().requires_grad_()
        values = loss(logits, target)
        values.sum().backward()
        assert values[1, 2] == 0 and not logits.grad[1, 2].any()
        assert values[1, 1] > 0 and logits.grad[1, 1].any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_all_mass_on_one_pixel_stays_finite(dtype):
    target = gaussians(some_peaks()).float()
    for row, column in [(5, 1), (0, 4)]:  # at the peak of the first map, and away from it
        logits = torch.full((B, K, H, W), -3e4, dtype=dtype)
        logits[:, :, row, column] = 3e4
        logits.requires_grad_()
        near = avoid_loss(logits, some_peaks().float(), 1.5)
        losses = [near, spatial_cross_entropy(logits, target), spatial_kl(logits, target)]
        sum(loss.sum() for loss in losses).backward()
        assert all(loss.dtype == torch.float32 and loss.isfinite().all() for loss in losses)
        assert logits.grad.isfinite().all()


def test_a_peak_outside_the_map_costs_nothing():
    logits = draw().requires_grad_()
    loss = avoid_loss(logits, torch.full((B, K, 2), -5.0).double(), 3.0)
    loss.sum().backward()
    assert torch.allclose(loss, torch.zeros(B, K).double(), atol=1e-9)
    assert float(logits.grad.abs().max()) < 1e-12


def test_small_mass_elsewhere_keeps_its_gradient_in_float32():
    """1 - mass would be rounded: float32 has steps of 6e-8 below 1."""
    gradients = []
    for dtype in (torch.float32, torch.float64):
        logits = torch.zeros(1, 1, H, W, dtype=dtype)
        logits[..., 5, 1] = 15.0
        logits.requires_grad_()
        avoid_loss(logits, torch.tensor([[[1.0, 5.0]]], dtype=dtype), 0.5).sum().backward()
        gradients.append(logits.grad.double())
    assert torch.allclose(*gradients, rtol=1e-4, atol=0)


def test_autocast_does_not_lower_the_precision():
    target, logits = gaussians(some_peaks()).float(), draw().float() * 5
    losses = (
        lambda: spatial_cross_entropy(logits, target),
        lambda: spatial_kl(logits, target),
        lambda: avoid_loss(logits, some_peaks().float(), 1.5),
    )
    for loss in losses:
        plain = loss()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(loss(), plain)


@pytest.mark.parametrize("name", ["cross_entropy", "kl", "avoid"])
def test_gradients_by_finite_differences(name):
    target, peaks = gaussians(some_peaks()), some_peaks()
    function = {
        "cross_entropy": lambda x: spatial_cross_entropy(x, target),
        "kl": lambda x: spatial_kl(x, target),
        "avoid": lambda x: avoid_loss(x, peaks, 1.5),
    }[name]
    assert gradcheck(function, draw().requires_grad_())
