"""The head of DEKR (Geng et al., "Bottom-Up Human Pose Estimation via Disentangled Keypoint Regression", CVPR 2021)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semipose.codecs.map_head import map_layer

BLOCKS = 2  # adaptive blocks
# Slope below 0 in the offset branch, where the paper has 0: offsets are learned at few pixels, and a keypoint whose few
# channels were 0 at all of them got no gradient any more.
LEAK = 0.1


class DekrHead(nn.Module):
    """(B, C, h, w) -> (B, K + 1 + 2 K, h, w), contiguous: heatmaps of keypoints and root, and x, y of each offset.

    Args:
        channels: of the heatmap branch; 32 in the paper.
        joint_channels: of the offset branch, for each keypoint; 15 in the paper.
    """

    def __init__(self, in_channels: int, joints: int, channels: int = 32, joint_channels: int = 15):
        super().__init__()
        self.heat = nn.Sequential(
            _conv_norm(in_channels, channels, 1), nn.ReLU(), _Residual(channels), map_layer(channels, joints + 1)
        )
        width = joints * joint_channels
        blocks = [AdaptiveBlock(joints, joint_channels) for _ in range(BLOCKS)]
        final = nn.Conv2d(width, 2 * joints, 1, groups=joints)
        self.offset = nn.Sequential(_conv_norm(in_channels, width, 1), nn.LeakyReLU(LEAK), *blocks, final)

    def forward(self, features: Tensor) -> Tensor:
        return torch.cat([self.heat(features), self.offset(features)], 1).contiguous()


class AdaptiveConv(nn.Module):
    """A grouped 3x3 convolution whose nine taps are placed anew at each pixel, by an affine map of each group.

    (B, groups * channels, h, w) -> the same shape. The map (2x2 and a shift) is predicted from the features; while its
    layer is 0 the taps lie on the usual grid. Taps outside count as 0. It is what a deformable convolution does (tests
    compare it with torchvision's); only operations of torch are used, so that it runs on every device and exports.
    """

    def __init__(self, groups: int, channels: int):
        super().__init__()
        width = groups * channels
        self.groups, self.channels = groups, channels
        self.affine = nn.Conv2d(width, groups * 6, 3, padding=1, groups=groups)
        nn.init.zeros_(self.affine.weight)
        nn.init.zeros_(self.affine.bias)
        self.weight = nn.Parameter(torch.empty(width, channels, 3, 3))
        nn.init.kaiming_uniform_(self.weight, a=5**0.5)
        steps = torch.tensor([-1.0, 0.0, 1.0])
        taps = torch.stack(torch.meshgrid(steps, steps, indexing="xy"), -1).reshape(9, 2)  # x, y, row by row
        self.register_buffer("taps", taps, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        batch, _, height, width = x.shape
        each = x.reshape(batch * self.groups, self.channels, height, width)
        # places in 16 bits would be off by up to a quarter of a pixel
        found = F.grid_sample(
            each.float(), self._places(x).float(), mode="bilinear", padding_mode="zeros", align_corners=True
        ).to(x.dtype)
        found = found.reshape(batch, self.groups * self.channels * 9, height, width)
        return F.conv2d(found, self.weight.reshape(len(self.weight), -1, 1, 1), groups=self.groups)

    def tap_offsets(self, x: Tensor) -> Tensor:
        """Where the taps lie, from their pixel: (B * groups, 9, h, w, 2), x and y in pixels."""
        batch, _, height, width = x.shape
        maps = self.affine(x).float().reshape(batch * self.groups, 6, 1, height, width)
        taps = self.taps.view(9, 2, 1, 1)
        tap_x, tap_y = taps[:, 0], taps[:, 1]
        along_x = (1 + maps[:, 0]) * tap_x + maps[:, 1] * tap_y + maps[:, 4]
        along_y = maps[:, 2] * tap_x + (1 + maps[:, 3]) * tap_y + maps[:, 5]
        return torch.stack([along_x, along_y], -1)

    def _places(self, x: Tensor) -> Tensor:
        """The taps for grid_sample, (B * groups, 9 * h, w, 2)."""
        height, width = x.shape[-2:]
        ys, xs = (torch.arange(n, device=x.device, dtype=torch.float32) for n in (height, width))
        pixels = torch.stack([xs.expand(height, width), ys.unsqueeze(-1).expand(height, width)], -1)
        size = x.new_tensor([max(width - 1, 1), max(height - 1, 1)], dtype=torch.float32)
        return ((self.tap_offsets(x) + pixels) * (2 / size) - 1).flatten(1, 2)


class AdaptiveBlock(nn.Module):
    """An adaptive convolution with BatchNorm, added to its input."""

    def __init__(self, groups: int, channels: int):
        super().__init__()
        self.conv = AdaptiveConv(groups, channels)
        self.bn = nn.BatchNorm2d(groups * channels)

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(self.bn(self.conv(x)) + x, LEAK)


class _Residual(nn.Module):
    """Two 3x3 convolutions beside the identity."""

    def __init__(self, channels: int):
        super().__init__()
        self.first, self.second = _conv_norm(channels, channels, 3), _conv_norm(channels, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.second(F.relu(self.first(x))) + x)


def _conv_norm(inputs: int, outputs: int, size: int) -> nn.Sequential:
    conv = nn.Conv2d(inputs, outputs, size, padding=size // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))
