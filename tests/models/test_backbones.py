import pytest
import torch

from semipose.errors import ConfigError
from semipose.models.backbones import BACKBONES, RESNETS, build_backbone
from semipose.models.torchvision_import import import_torchvision

ON_META = ("resnet50", "resnet101", "resnet152")


@pytest.mark.parametrize("name", BACKBONES)
def test_output_has_declared_channels_and_stride(name):
    device = "meta" if name in ON_META else "cpu"
    with torch.device(device):
        backbone = build_backbone(name)
        features = backbone(torch.zeros(2, 3, 96, 64))
    assert features.shape == (2, backbone.out_channels, 96 // backbone.stride, 64 // backbone.stride)
    assert 96 % backbone.size_multiple == 0 and 64 % backbone.size_multiple == 0


@pytest.mark.parametrize("name", RESNETS)
def test_resnet_keeps_torchvision_names(name):
    with torch.device("meta"):
        ours = build_backbone(name).state_dict()
        theirs = import_torchvision().models.get_model(name, weights=None).state_dict()
    expected = {key: value.shape for key, value in theirs.items() if not key.startswith("fc.")}
    assert {key: value.shape for key, value in ours.items()} == expected


def test_resnet_computes_what_torchvision_computes():
    reference = import_torchvision().models.resnet18(weights=None).eval()
    backbone = build_backbone("resnet18").eval()
    backbone.load_state_dict(reference.state_dict(), strict=False)
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        pooled = backbone(images).mean(dim=(2, 3))
        assert torch.allclose(reference.fc(pooled), reference(images), atol=1e-5)


def test_every_light_unet_parameter_reaches_the_output():
    backbone = build_backbone("light_unet_deep")
    backbone(torch.rand(2, 3, 64, 64)).square().mean().backward()
    without = [name for name, p in backbone.named_parameters() if p.grad is None or not p.grad.any()]
    assert without == []


def test_light_unet_takes_sizes_that_are_no_multiple():
    assert build_backbone("light_unet")(torch.zeros(1, 3, 52, 36)).shape == (1, 32, 13, 9)


def test_unknown_name_lists_the_known_ones():
    with pytest.raises(ConfigError, match="'resnet19'.*resnet18.*light_unet"):
        build_backbone("resnet19")
