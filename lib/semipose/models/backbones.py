"""Backbones by name. A new one: a module with the attributes of `ResNet` below, and one line in a table."""

from torch import Tensor, nn

from semipose.errors import ConfigError
from semipose.models.light_unet import DEEP_LEVELS, LEVELS, LightUNet
from semipose.models.torchvision_import import import_torchvision

RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")
LIGHT_UNETS = {"light_unet": LEVELS, "light_unet_deep": DEEP_LEVELS}
BACKBONES = (*RESNETS, *LIGHT_UNETS)


class ResNet(nn.Module):
    """torchvision's ResNet up to layer4, under torchvision's parameter names: (B, 3, H, W) -> (B, C, H/32, W/32)."""

    stride = 32
    size_multiple = 32

    def __init__(self, name: str):
        super().__init__()
        net = import_torchvision().models.get_model(name, weights=None)
        self.out_channels = net.fc.in_features
        for child in ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4"):
            self.add_module(child, getattr(net, child))

    @property
    def early_stages(self) -> tuple[nn.Module, ...]:
        """Modules whose outputs mix-up may mix, in order."""
        return self.maxpool, self.layer1, self.layer2

    def forward(self, images: Tensor) -> Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))


def build_backbone(name: str) -> nn.Module:
    """A backbone with fresh weights: (B, 3, H, W) normalised images -> (B, out_channels, H/stride, W/stride).

    Its attribute `size_multiple` is what H and W must be a multiple of for exact output sizes.

    Raises:
        ConfigError: unknown name.
    """
    if name in RESNETS:
        return ResNet(name)
    if name in LIGHT_UNETS:
        return LightUNet(LIGHT_UNETS[name])
    raise ConfigError(f"unknown backbone {name!r}; allowed: {', '.join(BACKBONES)}")
