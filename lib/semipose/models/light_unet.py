"""A small U-net for CPU use: residual blocks on the way down and up, joined by additions; output at 1/4 size."""

import torch.nn.functional as F
from torch import Tensor, nn

STEM = (16, 32)
LEVELS = (32, 64, 96)  # channels at 1/4, 1/8, 1/16
DEEP_LEVELS = (32, 64, 96, 128)  # one level more, at 1/32
BLOCKS = (1, 2, 2, 2)  # residual blocks per level on the way down


def _conv(inputs: int, outputs: int, size: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, bias=False)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside an identity or 1x1 shortcut (He et al., CVPR 2016)."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1):
        super().__init__()
        self.conv1 = _conv(inputs, outputs, 3, stride)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = _conv(outputs, outputs, 3)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Identity()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(_conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        return F.relu(self.bn2(self.conv2(y)) + self.shortcut(x), inplace=True)


class LightUNet(nn.Module):
    """(B, 3, H, W) -> (B, 32, H/4, W/4); `levels` are the channels at 1/4, 1/8, 1/16 (and 1/32)."""

    stride = 4

    def __init__(self, levels: tuple[int, ...] = LEVELS):
        super().__init__()
        self.out_channels = levels[0]
        self.size_multiple = self.stride * 2 ** (len(levels) - 1)
        widths = (3, *STEM)
        self.stem = nn.Sequential()
        for inputs, outputs in zip(widths, widths[1:]):
            self.stem.extend([_conv(inputs, outputs, 3, 2), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)])
        self.down = nn.ModuleList()
        inputs = STEM[-1]
        for depth, (width, blocks) in enumerate(zip(levels, BLOCKS)):
            first = ResidualBlock(inputs, width, stride=1 if depth == 0 else 2)
            self.down.append(nn.Sequential(first, *[ResidualBlock(width, width) for _ in range(blocks - 1)]))
            inputs = width
        upwards = levels[::-1]
        self.laterals = nn.ModuleList(_conv(deep, shallow, 1) for deep, shallow in zip(upwards, upwards[1:]))
        self.up = nn.ModuleList(ResidualBlock(width, width) for width in upwards[1:])

    @property
    def early_stages(self) -> tuple[nn.Module, ...]:
        """Modules whose outputs mix-up may mix: before the second level, so that no skip shows an unmixed image."""
        return self.stem, self.down[0]

    def forward(self, images: Tensor) -> Tensor:
        x = self.stem(images)
        skips = []
        for level in self.down:
            x = level(x)
            skips.append(x)
        skips.pop()
        for lateral, block in zip(self.laterals, self.up):
            skip = skips.pop()
            # Nearest, as the backward pass of bilinear resizing is not repeatable on CUDA.
            x = block(skip + F.interpolate(lateral(x), size=skip.shape[-2:], mode="nearest"))
        return x
