import copy

import pytest
import torch
from small_codecs import make_codec
from torch import nn

from semipose.codecs import TOP_DOWN
from semipose.codecs.map_head import MapHead
from semipose.errors import ConfigError, ModelError
from semipose.models.feature_levels import Level
from semipose.models.necks import DeconvNeck
from semipose.models.pose_files import Start
from semipose.models.pose_network import NetworkPlan, PoseNetwork, build_pose_network


def plan(name, joints=5, size=(64, 96), **values) -> NetworkPlan:
    return NetworkPlan(name, joints, size, **values)


class Pass(nn.Module):
    """Hands on what it gets, so that the normalisation shows."""

    out_channels, stride = 3, 1

    def __init__(self, mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2)):
        super().__init__()
        self.mean, self.std = mean, std

    def forward(self, x):
        return x


@pytest.mark.parametrize(
    "name, hidden, channels", [("resnet18", 0, 256), ("light_unet", 48, 32), ("light_unet_deep", 48, 32)]
)
def test_features_and_heatmaps_have_the_declared_size(name, hidden, channels):
    network = build_pose_network(plan(name))
    assert network.hidden == hidden and network.codec.stride == 4
    features = network.features(torch.rand(2, 3, 96, 64))
    assert features.shape == (2, network.feature_channels, 24, 16)
    assert network.feature_channels == channels
    assert network.head(features).shape == (2, 5, 24, 16) and network.codec.size == (16, 24)


@pytest.mark.parametrize("codec", TOP_DOWN)
def test_every_codec_has_its_head_on_every_kind_of_body(codec):
    for name in ("light_unet", "resnet18"):
        network = build_pose_network(plan(name, 3, (32, 64), codec=codec)).eval()
        points, scores = network.codec.decode(network(torch.rand(2, 3, 64, 32)))
        assert points.shape == (2, 3, 2) and scores.shape == (2, 3) and points.isfinite().all()


@pytest.mark.parametrize("name", ["resnet18", "light_unet"])
def test_new_head_is_like_the_first_but_separate(name):
    network = build_pose_network(plan(name))
    count = len(list(network.parameters()))
    head = network.new_head()
    assert len(list(network.parameters())) == count
    ours, first = head.state_dict(), network.head.state_dict()
    assert {key: value.shape for key, value in ours.items()} == {key: value.shape for key, value in first.items()}
    assert not torch.equal(head.final.weight, network.head.final.weight)
    assert float(head.final.weight.detach().std()) == pytest.approx(0.001, rel=0.15)


@pytest.mark.parametrize(
    ("name", "strides"), [("resnet18", [4, 4, 8]), ("light_unet", [4, 4]), ("light_unet_deep", [4, 4])]
)
def test_early_stages_run_in_order_and_follow_a_copy(name, strides):
    network = copy.deepcopy(build_pose_network(plan(name)))
    sizes = []
    for stage in network.early_stages:
        stage.register_forward_hook(lambda _, inputs, output: sizes.append(96 // output.shape[-2]))
    network(torch.rand(2, 3, 96, 64))
    assert sizes == strides


def passing(**colors) -> PoseNetwork:
    network = PoseNetwork(Pass(**colors), Pass(), make_codec((2, 2), (2, 2), joints=3))
    network.head = nn.Identity()
    return network


def test_images_are_normalised_inside():
    network = passing(mean=(0.1, 0.2, 0.3), std=(1.0, 2.0, 4.0))
    images = torch.rand(1, 3, 2, 2)
    for channel, (mean, std) in enumerate([(0.1, 1.0), (0.2, 2.0), (0.3, 4.0)]):
        assert torch.allclose(network(images)[0, channel], (images[0, channel] - mean) / std)


def test_mean_and_std_travel_with_the_weights():
    source, target = passing(mean=(0.1, 0.2, 0.3), std=(1.0, 2.0, 3.0)), passing()
    target.load_state_dict(source.state_dict())
    image = torch.rand(1, 3, 2, 2)
    assert torch.equal(target(image), source(image))


@pytest.mark.parametrize("name", ["light_unet", "resnet18"])
def test_channels_last_gives_the_same_contiguous_heatmaps(name):
    network = build_pose_network(plan(name, 4)).eval()
    last = build_pose_network(plan(name, 4), channels_last=True).eval()
    last.load_state_dict(network.state_dict())
    images = torch.rand(2, 3, 64, 64)
    assert last.features(images).is_contiguous(memory_format=torch.channels_last)
    heatmaps = last(images)
    assert heatmaps.is_contiguous()
    assert torch.allclose(heatmaps, network(images), atol=1e-5)


def test_a_network_at_half_the_size_speaks_in_pixels_of_its_images():
    """A bright spot is found at the same place, whatever size the network works at."""
    points = torch.tensor([[[20.0, 33.0]]])
    for inner in ((), (32, 48)):
        network = build_pose_network(plan("light_unet", 1, (64, 96), input_size=inner, sigma=1.0))
        stride = 8 if inner else 4
        assert network.codec.stride == stride and network.codec.size == (64 // stride, 96 // stride)
        assert network(torch.rand(2, 3, 96, 64)).shape == (2, 1, 96 // stride, 64 // stride)
        decoded, _ = network.codec.decode(network.codec.encode(points, torch.ones(1, 1))[0])
        assert (decoded - points).abs().max() < 0.5
    images = torch.zeros(1, 3, 96, 64)
    images[..., 32:36, 20:24] = 1  # centre 21.5, 33.5
    network.backbone, network.neck = Pass(), Pass()
    network.mean.zero_()
    small = network.features(images).mean(1)[0]
    y, x = (small.sum(axis) @ torch.arange(small.shape[1 - axis], dtype=small.dtype) / small.sum() for axis in (1, 0))
    assert (float(x) + 0.5) * 2 - 0.5 == pytest.approx(21.5, abs=0.01)
    assert (float(y) + 0.5) * 2 - 0.5 == pytest.approx(33.5, abs=0.01)


def test_sizes_that_do_not_fit_are_refused():
    with pytest.raises(ConfigError, match="100x96.* 32 "):
        build_pose_network(plan("light_unet_deep", size=(100, 96)))
    with pytest.raises(ConfigError, match="64x64.*64x96"):
        build_pose_network(plan("light_unet", input_size=(64, 64)))


def test_light_backbone_has_no_imagenet_weights():
    with pytest.raises(ModelError, match="'light_unet'.*MODEL.PRETRAINED"):
        build_pose_network(plan("light_unet", 17), Start("imagenet"))


def test_pretrained_file_is_loaded_and_reported(tmp_path):
    source = build_pose_network(plan("light_unet", 3))
    torch.save(source.state_dict(), tmp_path / "weights.pth")
    network = build_pose_network(plan("light_unet", 7), Start(str(tmp_path / "weights.pth")))
    assert all(torch.equal(a, b) for a, b in zip(source.backbone.parameters(), network.backbone.parameters()))
    assert network.report.missing == ()
    assert network.report.shape_mismatch == ("head.final.weight", "head.final.bias")
    assert build_pose_network(plan("light_unet", 3)).report is None


def test_deconvolutions_and_head_have_the_published_layers():
    """Parameters of SimpleBaseline's head: 3 deconvolutions of 4x4, 256 wide, with BatchNorm, and a 1x1 convolution."""
    neck = DeconvNeck(Level(512, 32))
    count = sum(p.numel() for part in (neck, MapHead(neck.out_channels, 17)) for p in part.parameters())
    assert count == 16 * 256 * (512 + 256 + 256) + 3 * 2 * 256 + 256 * 17 + 17
