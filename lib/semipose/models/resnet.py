"""torchvision's ResNets as backbones."""

from torch import Tensor, nn

from semipose.models.feature_levels import PYRAMID, Level, Normalisation
from semipose.models.torchvision_import import import_torchvision

RESNETS = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")
STAGES = ("layer1", "layer2", "layer3", "layer4")
STRIDES = (4, 8, 16, 32)


class ResNet(nn.Module):
    """torchvision's ResNet up to layer4, under torchvision's parameter names.

    (B, 3, H, W) -> the map of layer4 at 1/32, or with `levels` "pyramid" those of layer1 to layer4, from 1/4 on.
    """

    size_multiple = 32
    depth = len(STAGES)
    mean, std = Normalisation.mean, Normalisation.std

    def __init__(self, name: str, levels: str):
        super().__init__()
        net = import_torchvision().models.get_model(name, weights=None)
        for child in ("conv1", "bn1", "relu", "maxpool", *STAGES):
            self.add_module(child, getattr(net, child))
        deepest = net.fc.in_features
        self._returned = len(STAGES) if levels == PYRAMID else 1
        every = [Level(deepest // (32 // stride), stride) for stride in STRIDES]
        self.levels = tuple(every[-self._returned :])

    @property
    def early_stages(self) -> tuple[nn.Module, ...]:
        """Modules whose outputs mix-up may mix, in order: no returned map may show an unmixed image."""
        return (self.maxpool, self.layer1, self.layer2)[: 3 if self._returned == 1 else 2]

    def layer_of(self, parameter_name: str) -> int:
        """0 for the stem, then the number of the stage."""
        stage = parameter_name.split(".")[0]
        return STAGES.index(stage) + 1 if stage in STAGES else 0

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        maps = []
        for stage in (self.layer1, self.layer2, self.layer3, self.layer4):
            x = stage(x)
            maps.append(x)
        return tuple(maps[-self._returned :])
