import pytest
import torch

from semipose.algorithms.mixing import Mix, MixPolicy, draw_mix, mix_images, mix_losses
from semipose.errors import ConfigError
from semipose.losses import heatmap_mse


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def draws(policy, count=200, batch=6, stages=3):
    source = generator()
    return [draw_mix(policy, batch, stages, source) for _ in range(count)]


def test_every_stage_is_drawn():
    assert {mix.stage for mix in draws(MixPolicy("manifold"))} == {0, 1, 2}


@pytest.mark.parametrize("beta", [0.5, 4.0])
def test_drawn_shares_have_the_moments_of_beta(beta):
    shares = torch.tensor([mix.lam for mix in draws(MixPolicy(beta=beta), 2000)])
    assert float(shares.mean()) == pytest.approx(0.5, abs=0.03)
    assert float(shares.var()) == pytest.approx(1 / (4 * (2 * beta + 1)), rel=0.15)
    assert shares.unique().numel() > 1900


def test_a_draw_is_a_function_of_the_generator():
    policy = MixPolicy("manifold", beta=0.7)
    torch.manual_seed(1)
    first = draw_mix(policy, 8, 3, generator(5))
    torch.manual_seed(2)
    second, other = draw_mix(policy, 8, 3, generator(5)), draw_mix(policy, 8, 3, generator(6))
    assert (first.lam, first.stage) == (second.lam, second.stage)
    assert torch.equal(first.permutation, second.permutation)
    assert first.lam != other.lam


def test_images_equal_a_loop():
    mix, images = Mix(0.3, torch.tensor([2, 0, 1]), None), torch.rand(3, 3, 6, 4)
    mixed = mix_images(images, mix)
    for row, partner in enumerate([2, 0, 1]):
        assert torch.allclose(mixed[row], 0.3 * images[row] + 0.7 * images[partner])


def test_mixed_losses_have_the_gradient_of_the_mixed_target():
    mix, target = Mix(0.3, torch.tensor([2, 0, 1]), None), torch.rand(3, 2, 3, 2)
    partner, output = target[mix.permutation], torch.rand(3, 2, 3, 2, requires_grad=True)
    mixed = mix_losses(heatmap_mse(output, target), heatmap_mse(output, partner), mix)
    single = heatmap_mse(output, 0.3 * target + 0.7 * partner)
    (ours,), (theirs,) = (torch.autograd.grad(loss.sum(), output) for loss in (mixed, single))
    torch.testing.assert_close(ours, theirs)


def test_images_stay_when_the_network_mixes():
    images = torch.rand(3, 3, 6, 4)
    assert mix_images(images, Mix(0.3, torch.tensor([2, 0, 1]), 1)) is images


def test_unknown_place():
    with pytest.raises(ConfigError, match="'middle'.*input, manifold"):
        MixPolicy("middle")
