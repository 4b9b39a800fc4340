import pytest
import torch
from torch import nn

from semipose.errors import ConfigError
from semipose.models.feature_levels import Level
from semipose.models.necks import DeconvNeck, PyramidNeck, build_neck

LEVELS = (Level(8, 4), Level(12, 8), Level(16, 16), Level(24, 32))


def maps_of(levels, height=96, width=64):
    return tuple(torch.rand(2, v.channels, int(height / v.stride), int(width / v.stride)) for v in levels)


@pytest.mark.parametrize(("stride", "layers", "reached"), [(32, 3, 4), (16, 2, 4), (14, 2, 3.5), (8, 1, 4)])
def test_deconvolutions_reach_a_stride_near_4(stride, layers, reached):
    neck = build_neck("deconv", (Level(16, stride),))
    features = torch.rand(2, 16, 3, 2)
    assert neck((features,)).shape == (2, 256, 3 * 2**layers, 2 * 2**layers)
    assert (neck.out_channels, neck.stride) == (256, reached)


def test_deconvolutions_take_the_deepest_map():
    neck, maps = build_neck("deconv", LEVELS), maps_of(LEVELS)
    assert neck(maps).shape == (2, 256, 24, 16)
    assert torch.equal(neck.eval()(maps), neck(maps[-1:]))


def test_deconvolutions_have_the_layers_of_simplebaseline():
    """3 deconvolutions of 4x4, 256 wide, with BatchNorm; weights drawn with a deviation of 0.001."""
    neck = DeconvNeck(Level(512, 32))
    assert sum(p.numel() for p in neck.parameters()) == 16 * 256 * (512 + 256 + 256) + 3 * 2 * 256
    assert next(iter(neck.state_dict())) == "deconv.0.weight"
    weights = [m.weight.detach() for m in neck.modules() if isinstance(m, nn.ConvTranspose2d)]
    assert len(weights) == 3
    for weight in weights:
        assert float(weight.std()) == pytest.approx(0.001, rel=0.05) and abs(float(weight.mean())) < 1e-4


def test_pyramid_joins_all_maps_at_the_finest_size():
    neck, maps = build_neck("pyramid", LEVELS), maps_of(LEVELS)
    assert isinstance(neck, PyramidNeck) and (neck.out_channels, neck.stride) == (64, 4)
    joined = neck.eval()(maps)
    assert joined.shape == (2, 64, 24, 16)
    for changed in range(len(LEVELS)):
        others = [x + 1 if i == changed else x for i, x in enumerate(maps)]
        assert not torch.equal(neck(others), joined)


def test_pyramid_takes_sizes_that_do_not_double():
    maps = [torch.rand(2, level.channels, *size) for level, size in zip(LEVELS, [(25, 17), (13, 9), (7, 5), (4, 3)])]
    assert build_neck("pyramid", LEVELS)(maps).shape == (2, 64, 25, 17)


def test_a_large_map_does_not_drown_the_others():
    """BatchNorm after the laterals: a map a thousand times as large changes nothing while training."""
    neck, maps = build_neck("pyramid", LEVELS), maps_of(LEVELS)
    larger = (maps[0], maps[1] * 1000, *maps[2:])
    torch.testing.assert_close(neck(larger), neck(maps), atol=0.02, rtol=0.02)


@pytest.mark.parametrize(("stride", "reached"), [(16, 4), (14, 3.5), (8, 4)])
def test_pyramid_of_coarse_maps_grows_to_a_stride_near_4(stride, reached):
    neck = build_neck("pyramid", (Level(16, stride),))
    factor = round(stride / reached)
    assert neck((torch.rand(2, 16, 3, 2),)).shape == (2, 64, 3 * factor, 2 * factor) and neck.stride == reached


def test_every_parameter_learns():
    for kind in ("deconv", "pyramid"):
        neck = build_neck(kind, LEVELS)
        neck(maps_of(LEVELS)).square().mean().backward()
        assert all(p.grad is not None for p in neck.parameters())


def test_none_hands_on_the_one_map():
    neck, maps = build_neck("none", LEVELS[:1]), maps_of(LEVELS[:1])
    assert neck(maps) is maps[0] and (neck.out_channels, neck.stride) == (8, 4) and not neck.state_dict()


@pytest.mark.parametrize(
    ("kind", "levels", "named"),
    [("deconv", LEVELS[:1], "stride 4"), ("none", LEVELS, "4 maps"), ("fpn", LEVELS, "fpn")],
)
def test_what_does_not_fit_is_refused(kind, levels, named):
    with pytest.raises(ConfigError, match=f"MODEL.NECK.*{named}"):
        build_neck(kind, levels)
