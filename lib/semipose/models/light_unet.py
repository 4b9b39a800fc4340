"""A small U-net for CPU use: residual blocks on the way down and up, joined by additions; output at 1/4 size."""

import torch.nn.functional as F
from torch import Tensor, nn

from semipose.models.feature_levels import DEEPEST, FINEST, Level, Normalisation

STEM = (16, 32)
LEVELS = (32, 64, 96)  # channels at 1/4, 1/8, 1/16
DEEP_LEVELS = (32, 64, 96, 128)  # one level more, at 1/32
LIGHT_UNETS = {"light_unet": LEVELS, "light_unet_deep": DEEP_LEVELS}
FIRST_STRIDE = 4
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
    """(B, 3, H, W) -> one map: (B, 32, H/4, W/4), or with `levels` "deepest" the coarsest on the way down.

    `widths` are the channels at 1/4, 1/8, 1/16 (and 1/32). Without the way up its layers are not even built.
    """

    mean, std = Normalisation.mean, Normalisation.std

    def __init__(self, widths: tuple[int, ...] = LEVELS, levels: str = FINEST):
        super().__init__()
        self.depth = len(widths)
        self.size_multiple = FIRST_STRIDE * 2 ** (self.depth - 1)
        finest, deepest = Level(widths[0], FIRST_STRIDE), Level(widths[-1], self.size_multiple)
        self.levels = (deepest if levels == DEEPEST else finest,)
        steps = (3, *STEM)
        self.stem = nn.Sequential()
        for inputs, outputs in zip(steps, steps[1:]):
            self.stem.extend([_conv(inputs, outputs, 3, 2), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)])
        self.down = nn.ModuleList()
        inputs = STEM[-1]
        for number, (width, blocks) in enumerate(zip(widths, BLOCKS)):
            first = ResidualBlock(inputs, width, stride=1 if number == 0 else 2)
            self.down.append(nn.Sequential(first, *[ResidualBlock(width, width) for _ in range(blocks - 1)]))
            inputs = width
        upwards = () if levels == DEEPEST else widths[::-1]
        self.laterals = nn.ModuleList(_conv(deep, shallow, 1) for deep, shallow in zip(upwards, upwards[1:]))
        self.up = nn.ModuleList(ResidualBlock(width, width) for width in upwards[1:])

    @property
    def early_stages(self) -> tuple[nn.Module, ...]:
        """Modules whose outputs mix-up may mix: before the second level, so that no skip shows an unmixed image."""
        return self.stem, self.down[0]

    def layer_of(self, parameter_name: str) -> int:
        """0 for the stem, then the number of the level; the way up counts as the last level."""
        part, number = parameter_name.split(".")[:2]
        return {"stem": 0, "down": int(number) + 1}.get(part, self.depth)

    def forward(self, images: Tensor) -> tuple[Tensor]:
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
        return (x,)
