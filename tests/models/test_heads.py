import pytest
import torch
from torch import nn

from semipose.models.heads import ConvHead, DeconvNeck, LinearHead


def test_deconv_neck_is_eight_times_larger():
    neck = DeconvNeck(32, width=16)
    assert neck(torch.zeros(2, 32, 4, 3)).shape == (2, 16, 32, 24)
    assert (neck.upscale, neck.out_channels) == (8, 16)


@pytest.mark.parametrize("kind", [LinearHead, ConvHead])
def test_heads_keep_the_size(kind):
    head = kind(32, 14)
    assert head(torch.zeros(2, 32, 16, 12)).shape == (2, 14, 16, 12)
    assert (head.in_channels, head.num_keypoints) == (32, 14)


def test_deconv_neck_and_linear_head_have_the_published_layers():
    """Parameters of SimpleBaseline's head: 3 deconvolutions of 4x4, 256 wide, with BatchNorm, and a 1x1 convolution."""
    neck = DeconvNeck(512)
    count = sum(p.numel() for part in (neck, LinearHead(neck.out_channels, 17)) for p in part.parameters())
    assert count == 16 * 256 * (512 + 256 + 256) + 3 * 2 * 256 + 256 * 17 + 17


def test_deconv_init():
    neck, head = DeconvNeck(64), LinearHead(256, 17)
    weights = [m.weight for m in neck.modules() if isinstance(m, nn.ConvTranspose2d)]
    assert len(weights) == 3
    for weight in (w.detach() for w in [*weights, head.final.weight]):
        assert float(weight.std()) == pytest.approx(0.001, rel=0.05)
        assert abs(float(weight.mean())) < 1e-4
    for norm in (m for m in neck.modules() if isinstance(m, nn.BatchNorm2d)):
        assert norm.weight.eq(1).all() and norm.bias.eq(0).all()
    assert head.final.bias.eq(0).all()
