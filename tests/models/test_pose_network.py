import copy

import pytest
import torch
from torch import nn

from semipose.errors import ConfigError, ModelError
from semipose.models.backbones import build_backbone
from semipose.models.heads import ConvHead, DeconvNeck, LinearHead
from semipose.models.pose_network import IMAGENET_MEAN, IMAGENET_STD, PoseNetwork, build_pose_network


class Pass(nn.Module):
    """Hands on what it gets, so that the normalisation shows."""

    out_channels, stride, size_multiple, in_channels = 3, 1, 1, 3

    def forward(self, x):
        return x


@pytest.mark.parametrize(
    "name, neck, head, channels",
    [
        ("resnet18", DeconvNeck, LinearHead, 256),
        ("light_unet", nn.Identity, ConvHead, 32),
        ("light_unet_deep", nn.Identity, ConvHead, 32),
    ],
)
def test_features_and_heatmaps_have_the_declared_size(name, neck, head, channels):
    network = build_pose_network(name, num_keypoints=5)
    assert isinstance(network.neck, neck) and isinstance(network.head, head)
    assert network.stride == 4
    features = network.features(torch.rand(2, 3, 96, 64))
    assert features.shape == (2, network.feature_channels, 24, 16)
    assert network.feature_channels == channels
    assert network.head(features).shape == (2, 5, 24, 16)
    assert network.heatmap_size((64, 96)) == (16, 24)


@pytest.mark.parametrize("name", ["resnet18", "light_unet"])
def test_new_head_is_like_the_first_but_separate(name):
    network = build_pose_network(name, num_keypoints=5)
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
    network = copy.deepcopy(build_pose_network(name, num_keypoints=5))
    sizes = []
    for stage in network.early_stages:
        stage.register_forward_hook(lambda _, inputs, output: sizes.append(96 // output.shape[-2]))
    network(torch.rand(2, 3, 96, 64))
    assert sizes == strides


def test_images_are_normalised_inside():
    network = PoseNetwork(Pass(), nn.Identity(), Pass())
    grey = torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1).expand(1, 3, 2, 2)
    brighter = grey + torch.tensor(IMAGENET_STD).view(1, 3, 1, 1)
    assert torch.allclose(network(grey), torch.zeros(1, 3, 2, 2), atol=1e-6)
    assert torch.allclose(network(brighter), torch.ones(1, 3, 2, 2), atol=1e-6)


def test_mean_and_std_travel_with_the_weights():
    source = PoseNetwork(Pass(), nn.Identity(), Pass(), mean=(0.1, 0.2, 0.3), std=(1.0, 2.0, 3.0))
    target = PoseNetwork(Pass(), nn.Identity(), Pass())
    target.load_state_dict(source.state_dict())
    image = torch.rand(1, 3, 2, 2)
    assert torch.equal(target(image), source(image))


@pytest.mark.parametrize("name", ["light_unet", "resnet18"])
def test_channels_last_gives_the_same_contiguous_heatmaps(name):
    network = build_pose_network(name, num_keypoints=4).eval()
    last = build_pose_network(name, num_keypoints=4, channels_last=True).eval()
    last.load_state_dict(network.state_dict())
    images = torch.rand(2, 3, 64, 64)
    assert last.features(images).is_contiguous(memory_format=torch.channels_last)
    heatmaps = last(images)
    assert heatmaps.is_contiguous()
    assert torch.allclose(heatmaps, network(images), atol=1e-5)


def test_size_that_cannot_be_halved_is_refused():
    network = PoseNetwork(build_backbone("light_unet_deep"), nn.Identity(), ConvHead(32, 3))
    with pytest.raises(ConfigError, match="100x96.* 32 "):
        network.heatmap_size((100, 96))


def test_light_backbone_has_no_imagenet_weights():
    with pytest.raises(ModelError, match="'light_unet'.*MODEL.PRETRAINED"):
        build_pose_network("light_unet", 17, pretrained="imagenet")


def test_pretrained_file_is_loaded_and_reported(tmp_path):
    source = build_pose_network("light_unet", num_keypoints=3)
    torch.save(source.state_dict(), tmp_path / "weights.pth")
    network = build_pose_network("light_unet", num_keypoints=7, pretrained=str(tmp_path / "weights.pth"))
    assert all(torch.equal(a, b) for a, b in zip(source.backbone.parameters(), network.backbone.parameters()))
    assert network.report.missing == ()
    assert "head.final.weight" in network.report.unexpected
    assert build_pose_network("light_unet", num_keypoints=3).report is None
