"""Pose networks under the names of their authors, in plain torch: small, with random weights and BatchNorm statistics.

The names are those of SimpleBaseline, HRNet, MMPose 1.x and Semi_Human_Pose; how they compute is written anew here.
"""

import torch
import torch.nn.functional as F
from torch import nn

from semipose.models.timm_import import import_timm
from semipose.models.torchvision_import import import_torchvision

MEAN, STD = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
HRNET = "hrnet_w18_small"


def shuffled(network: nn.Module, seed: int = 1) -> nn.Module:
    """In eval mode, and no statistic is what it is by default."""
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in network.state_dict().items():
        if name.endswith("running_var"):
            tensor.copy_(torch.rand(tensor.shape, generator=generator) + 0.5)
        elif tensor.is_floating_point():
            tensor.add_(0.01 * torch.randn(tensor.shape, generator=generator))
    return network.eval()


def seen(images: torch.Tensor, colors: str) -> torch.Tensor:
    """What the authors' code gives to a network for RGB images (B, 3, H, W); mean and std go by place."""
    images = images.flip(1) if colors == "bgr" else images
    return (images - MEAN.view(3, 1, 1)) / STD.view(3, 1, 1)


def deconvolutions(inputs: int) -> nn.Sequential:
    layers = []
    for channels in (inputs, 256, 256):
        layers += [nn.ConvTranspose2d(channels, 256, 4, 2, 1, bias=False), nn.BatchNorm2d(256), nn.ReLU()]
    return nn.Sequential(*layers)


class Body(nn.Module):
    """A residual network up to layer4, as SimpleBaseline and MMPose name it."""

    def __init__(self, name: str = "resnet18"):
        super().__init__()
        net = import_torchvision().models.get_model(name, weights=None)
        for child in ("conv1", "bn1", "layer1", "layer2", "layer3", "layer4"):
            self.add_module(child, getattr(net, child))
        self.channels = net.fc.in_features

    def features(self, x):
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(x))), 3, 2, 1)
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))

    def forward(self, x):
        return self.features(x)


class PoseResNet(Body):
    def __init__(self, joints: int, name: str = "resnet18", final: str = "final_layer"):
        super().__init__(name)
        self.deconv_layers = deconvolutions(self.channels)
        self.final = final
        self.add_module(final, nn.Conv2d(256, joints, 1))

    def forward(self, x):
        return getattr(self, self.final)(self.deconv_layers(self.features(x)))


class PoseHRNet(nn.Module):
    """timm's network has the authors' names up to stage4; its heads for classes go."""

    def __init__(self, joints: int):
        super().__init__()
        net = import_timm().create_model(HRNET)
        for child in ("conv1", "bn1", "conv2", "bn2", "layer1", "transition1", "stage2", "transition2", "stage3",
                      "transition3", "stage4"):  # fmt: skip
            self.add_module(child, getattr(net, child))
        self.stage4[-1].fuse_layers = self.stage4[-1].fuse_layers[:1]
        self.final_layer = nn.Conv2d(16, joints, 1)

    def forward(self, x):
        x = F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))
        maps = self.stage2([step(self.layer1(x)) for step in self.transition1])
        maps = self.stage3([*maps, self.transition2[-1](maps[-1])])
        return self.final_layer(self.stage4([*maps, self.transition3[-1](maps[-1])])[0])


class MMPose(nn.Module):
    """backbone and head."""

    def __init__(self, head: nn.Module):
        super().__init__()
        self.backbone, self.head = Body(), head

    def forward(self, x):
        return self.head(self.backbone(x))


class HeatmapHead(nn.Module):
    def __init__(self, joints: int):
        super().__init__()
        self.deconv_layers, self.final_layer = deconvolutions(512), nn.Conv2d(256, joints, 1)

    def forward(self, x):
        return self.final_layer(self.deconv_layers(x))


class SimCCHead(nn.Module):
    def __init__(self, joints: int, size: tuple[int, int], ratio: int = 2):
        super().__init__()
        width, height = size
        self.deconv_head = HeatmapHead(joints)
        self.mlp_head_x = nn.Linear(width * height // 16, width * ratio)
        self.mlp_head_y = nn.Linear(width * height // 16, height * ratio)

    def forward(self, x):
        x = self.deconv_head(x).flatten(2)
        return self.mlp_head_x(x), self.mlp_head_y(x)


class RLEHead(nn.Module):
    """With some parameters in place of its flow, which only the loss needs."""

    def __init__(self, joints: int):
        super().__init__()
        self.joints, self.fc = joints, nn.Linear(512, joints * 4)
        self.loss_module = nn.ModuleDict({"flow_model": nn.ModuleDict({"s": nn.Linear(2, 64)})})

    def forward(self, x):
        return self.fc(x.mean((-2, -1))).reshape(-1, self.joints, 4)


class PoseDual(nn.Module):
    """Two networks: `resnet` and `resnet2`, whatever they are."""

    def __init__(self, first: nn.Module, second: nn.Module):
        super().__init__()
        self.resnet, self.resnet2 = first, second

    def forward(self, x):
        return self.resnet(x), self.resnet2(x)
