import pytest
import torch
from torch import nn

from semipose.models.heads import ConvHead, DeconvHead


def test_deconv_head_is_eight_times_larger():
    head = DeconvHead(32, 17, width=16)
    assert head(torch.zeros(2, 32, 4, 3)).shape == (2, 17, 32, 24)
    assert head.upscale == 8


def test_conv_head_keeps_the_size():
    head = ConvHead(32, 14)
    assert head(torch.zeros(2, 32, 16, 12)).shape == (2, 14, 16, 12)
    assert head.upscale == 1


def test_deconv_head_has_the_published_layers():
    """Parameters of SimpleBaseline's head: 3 deconvolutions of 4x4, 256 wide, with BatchNorm, and a 1x1 convolution."""
    count = sum(p.numel() for p in DeconvHead(512, 17).parameters())
    assert count == 16 * 256 * (512 + 256 + 256) + 3 * 2 * 256 + 256 * 17 + 17


def test_deconv_init():
    head = DeconvHead(64, 17)
    weights = [m.weight for m in head.modules() if isinstance(m, nn.ConvTranspose2d)]
    assert len(weights) == 3
    for weight in (w.detach() for w in [*weights, head.final.weight]):
        assert float(weight.std()) == pytest.approx(0.001, rel=0.05)
        assert abs(float(weight.mean())) < 1e-4
    for norm in (m for m in head.modules() if isinstance(m, nn.BatchNorm2d)):
        assert norm.weight.eq(1).all() and norm.bias.eq(0).all()
    assert head.final.bias.eq(0).all()


def test_conv_head_starts_near_zero():
    head = ConvHead(32, 17)
    assert float(head.final.weight.detach().std()) == pytest.approx(0.001, rel=0.1)
    assert head.final.bias.eq(0).all()
    assert float(head(torch.rand(2, 32, 16, 16)).detach().abs().max()) < 0.02
