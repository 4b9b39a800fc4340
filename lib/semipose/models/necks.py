"""Between a backbone's maps and a head: a neck makes one map of them.

A neck has `out_channels` and `stride` (input pixels per pixel of its map), and takes the tuple that a backbone returns.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semipose.errors import ConfigError
from semipose.models.feature_levels import Level

INIT_STD = 0.001  # as SimpleBaseline starts its layers after the backbone
STRIDE = 4  # of the heatmaps of nearly all published networks
NECKS = ("deconv", "pyramid", "join", "none")


class DeconvNeck(nn.Module):
    """Transposed convolutions (4x4, stride 2) after the deepest map, from SimpleBaseline (Xiao et al., ECCV 2018).

    (B, C, h, w) -> (B, width, h * 2**layers, w * 2**layers): three layers in SimpleBaseline, two in ViTPose (Xu et al.,
    NeurIPS 2022).
    """

    def __init__(self, level: Level, layers: int = 3, width: int = 256):
        super().__init__()
        self.out_channels, self.stride = width, level.stride / 2**layers
        self.deconv = nn.Sequential()
        for inputs in (level.channels, *[width] * (layers - 1)):
            deconv = nn.ConvTranspose2d(inputs, width, kernel_size=4, stride=2, padding=1, bias=False)
            nn.init.normal_(deconv.weight, std=INIT_STD)
            self.deconv.extend([deconv, nn.BatchNorm2d(width), nn.ReLU(inplace=True)])

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        return self.deconv(maps[-1])


class PyramidNeck(nn.Module):
    """All maps added up from coarse to fine, and a 3x3 convolution (Lin et al., "Feature Pyramid Networks", CVPR 2017).

    Maps (B, C_i, h_i, w_i), fine to coarse -> (B, width, h, w) at the finest size, or `upscale` times that. BatchNorm
    follows each lateral: backbones' maps differ tenfold in scale, and the largest would drown the others.
    """

    def __init__(self, levels: Sequence[Level], upscale: int = 1, width: int = 64):
        super().__init__()
        self.out_channels, self.stride, self.upscale = width, levels[0].stride / upscale, upscale
        self.laterals = nn.ModuleList(_conv_norm(level.channels, width, 1) for level in levels)
        self.smooth = nn.Sequential(*_conv_norm(width, width, 3), nn.ReLU(inplace=True))

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        fine_to_coarse = [lateral(x) for lateral, x in zip(self.laterals, maps)]
        x = fine_to_coarse.pop()
        while fine_to_coarse:
            finer = fine_to_coarse.pop()
            # Nearest, as the backward pass of bilinear resizing is not repeatable on CUDA.
            x = finer + F.interpolate(x, size=finer.shape[-2:], mode="nearest")
        if self.upscale > 1:
            x = F.interpolate(x, scale_factor=self.upscale, mode="nearest")
        return self.smooth(x)


class JoinNeck(nn.Module):
    """All maps at the finest size, one after the other along the channels, as in the heads of HRNetV2 and DEKR.

    Maps (B, C_i, h_i, w_i), fine to coarse -> (B, sum of C_i, h, w). It has no weights.
    """

    def __init__(self, levels: Sequence[Level]):
        super().__init__()
        self.out_channels, self.stride = sum(level.channels for level in levels), levels[0].stride

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        size = maps[0].shape[-2:]
        larger = [F.interpolate(x, size=size, mode="bilinear", align_corners=False) for x in maps[1:]]
        return torch.cat([maps[0], *larger], 1)


class OneMap(nn.Module):
    """The one map of a backbone, as it is."""

    def __init__(self, level: Level):
        super().__init__()
        self.out_channels, self.stride = level.channels, level.stride

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        (x,) = maps
        return x


def build_neck(kind: str, levels: Sequence[Level], stride: float = STRIDE) -> nn.Module:
    """A neck for the maps of a backbone, whose stride is as near to `stride` as doubling of sizes allows.

    Args:
        kind: "deconv" (from the deepest map), "pyramid" (from all, added up), "join" (from all, side by side) or "none"
            (the one map as it is).
        levels: of the backbone, fine to coarse.

    Raises:
        ConfigError: unknown kind, or one that does not fit the maps.
    """
    if kind == "deconv":
        layers = _doublings(levels[-1].stride, stride)
        if layers < 1:
            raise ConfigError(f"MODEL.NECK deconv: the backbone's map has stride {levels[-1].stride:g} already")
        return DeconvNeck(levels[-1], layers)
    if kind == "pyramid":
        return PyramidNeck(levels, 2 ** max(0, _doublings(levels[0].stride, stride)))
    if kind == "join":
        return JoinNeck(levels)
    if kind == "none":
        if len(levels) != 1:
            raise ConfigError(f"MODEL.NECK none: the backbone returns {len(levels)} maps, not one")
        return OneMap(levels[0])
    raise ConfigError(f"MODEL.NECK is {kind!r}; allowed: auto, {', '.join(NECKS)}")


def _doublings(stride: float, wanted: float) -> int:
    return round(math.log2(stride / wanted))


def _conv_norm(inputs: int, outputs: int, size: int) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, size, padding=size // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))
