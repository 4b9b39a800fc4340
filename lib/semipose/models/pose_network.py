"""The pose network: normalisation, backbone, neck and head in one module."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn

from semipose.errors import ConfigError
from semipose.models.backbones import RESNETS, build_backbone
from semipose.models.heads import ConvHead, DeconvNeck, LinearHead
from semipose.models.pretrained import MatchReport, load_pretrained

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class PoseNetwork(nn.Module):
    """RGB images in [0, 1], (B, 3, H, W) -> heatmaps (B, K, H/stride, W/stride), contiguous.

    mean and std are saved with the weights, so that a checkpoint is complete without its configuration.

    Inside `computing_in`, backbone and neck compute in that type. Features, heads and heatmaps stay float32: a heatmap
    in bfloat16 has several highest pixels, and decoding would lose up to a pixel.

    Attributes:
        stride: input pixels per heatmap pixel.
        feature_channels: C of `features`.
        report: what `build_pose_network` found in the pretrained file; None when trained from scratch.
        frozen: names of modules that stay in eval mode, see `freezing.freeze`.
        compiled: whether backbone, neck and head run compiled, see `compiling.compile_networks`.
    """

    def __init__(self, backbone: nn.Module, neck: nn.Module, head: nn.Module, mean=IMAGENET_MEAN, std=IMAGENET_STD):
        super().__init__()
        self.backbone = backbone
        self.neck = neck
        self.head = head
        self.stride = backbone.stride // getattr(neck, "upscale", 1)
        self.feature_channels: int = head.in_channels
        self.report: MatchReport | None = None
        self.frozen: tuple[str, ...] = ()
        self._autocast_dtype: torch.dtype | None = None
        self.compiled = False
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))

    @property
    def early_stages(self) -> tuple[nn.Module, ...]:
        """The first modules of the backbone, in order: where manifold mix-up may mix."""
        return self.backbone.early_stages

    def features(self, images: Tensor) -> Tensor:
        """Features (B, C, H/stride, W/stride), at heatmap size, of RGB images in [0, 1]: what a head takes."""
        with self._autocast(images.device.type):
            features = self.neck(self.backbone((images - self.mean) / self.std))
        return features.to(self.mean.dtype)

    def forward(self, images: Tensor) -> Tensor:
        return self.head(self.features(images))

    def train(self, mode: bool = True) -> "PoseNetwork":
        """Frozen modules stay in eval mode."""
        super().train(mode)
        for name in self.frozen:
            self.get_submodule(name).eval()
        return self

    def new_head(self) -> nn.Module:
        """Another head of the same kind, freshly initialised, for the same features. It is not part of the network."""
        return type(self.head)(self.feature_channels, self.head.num_keypoints)

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

    def keep_in_eval(self, modules: tuple[str, ...]) -> None:
        """Keep these modules, by name, in eval mode from now on: see `freezing.freeze`."""
        self.frozen = modules
        self.train(self.training)

    def compile_parts(self, backend: str) -> None:
        """Let backbone, neck and head run compiled from their first calls on: see `compiling.compile_networks`."""
        for part in (self.backbone, self.neck, self.head):
            part.compile(backend=backend, dynamic=False)
        self.compiled = True

    @contextmanager
    def computing_in(self, dtype: torch.dtype) -> Iterator[None]:
        """While it lasts, backbone and neck compute in torch.bfloat16 or torch.float16."""
        self._autocast_dtype = dtype
        try:
            yield
        finally:
            self._autocast_dtype = None

    def _autocast(self, device_type: str):
        return torch.autocast(device_type, self._autocast_dtype) if self._autocast_dtype else nullcontext()


def build_pose_network(
    backbone_name: str, num_keypoints: int, pretrained: str = "", channels_last: bool = False
) -> PoseNetwork:
    """A network with the neck and head that belong to the backbone; `pretrained` as in `load_pretrained`.

    With `channels_last` the convolutions choose that memory layout by their weights, whatever the layout of the images.

    Raises:
        ConfigError: unknown backbone. ModelError: the pretrained weights cannot be loaded or do not fit.
    """
    backbone = build_backbone(backbone_name)
    report = load_pretrained(backbone, pretrained, backbone_name) if pretrained else None
    if backbone_name in RESNETS:
        neck = DeconvNeck(backbone.out_channels)
        head = LinearHead(neck.out_channels, num_keypoints)
    else:
        neck, head = nn.Identity(), ConvHead(backbone.out_channels, num_keypoints)
    network = PoseNetwork(backbone, neck, head)
    network.report = report
    return network.to(memory_format=torch.channels_last) if channels_last else network
