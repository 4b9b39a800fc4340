"""The pose network: normalisation, backbone and head in one module."""

import torch
from torch import Tensor, nn

from semipose.errors import ConfigError
from semipose.models.backbones import RESNETS, build_backbone
from semipose.models.heads import ConvHead, DeconvHead
from semipose.models.pretrained import MatchReport, load_pretrained

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class PoseNetwork(nn.Module):
    """RGB images in [0, 1], (B, 3, H, W) -> heatmaps (B, K, H/stride, W/stride), contiguous.

    mean and std are saved with the weights, so that a checkpoint is complete without its configuration. A second head
    can be put on `features(images)`, which is what `head` takes.

    Attributes:
        stride: input pixels per heatmap pixel.
        report: what `build_pose_network` found in the pretrained file; None when trained from scratch.
    """

    def __init__(self, backbone: nn.Module, head: nn.Module, mean=IMAGENET_MEAN, std=IMAGENET_STD):
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.stride = backbone.stride // head.upscale
        self.report: MatchReport | None = None
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))

    def features(self, images: Tensor) -> Tensor:
        """Backbone features (B, C, h, w) of RGB images in [0, 1]."""
        return self.backbone((images - self.mean) / self.std)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features(images)).contiguous()

    def heatmap_size(self, image_size: tuple[int, int]) -> tuple[int, int]:
        """(width, height) of the heatmaps for images of (width, height).

        Raises:
            ConfigError: the backbone cannot halve this size often enough.
        """
        width, height = image_size
        multiple = self.backbone.size_multiple
        if width % multiple or height % multiple:
            raise ConfigError(f"image size {width}x{height}: both must be multiples of {multiple} for this backbone")
        return width // self.stride, height // self.stride


def build_pose_network(
    backbone_name: str, num_keypoints: int, pretrained: str = "", channels_last: bool = False
) -> PoseNetwork:
    """A network with the head that belongs to the backbone; `pretrained` as in `load_pretrained`.

    With `channels_last` the convolutions choose that memory layout by their weights, whatever the layout of the images.

    Raises:
        ConfigError: unknown backbone. ModelError: the pretrained weights cannot be had or do not fit.
    """
    backbone = build_backbone(backbone_name)
    report = load_pretrained(backbone, pretrained, backbone_name) if pretrained else None
    head_type = DeconvHead if backbone_name in RESNETS else ConvHead
    network = PoseNetwork(backbone, head_type(backbone.out_channels, num_keypoints))
    network.report = report
    return network.to(memory_format=torch.channels_last) if channels_last else network
