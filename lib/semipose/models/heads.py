"""Between backbone and heatmaps: the neck brings features to heatmap size, a head turns them into heatmaps.

A head has `in_channels` and `num_keypoints` and is made from these two, so that a second one can be made like it.
"""

from torch import Tensor, nn

INIT_STD = 0.001  # small first heatmaps: training starts from "no keypoint anywhere"


class DeconvNeck(nn.Module):
    """Transposed convolutions (4x4, stride 2), from SimpleBaseline (Xiao et al., ECCV 2018).

    (B, in_channels, h, w) -> (B, width, 8h, 8w) with the three layers of the paper; `upscale` is the factor.
    """

    def __init__(self, in_channels: int, width: int = 256, layers: int = 3):
        super().__init__()
        self.out_channels, self.upscale = width, 2**layers
        self.deconv = nn.Sequential()
        for inputs in (in_channels, *[width] * (layers - 1)):
            deconv = nn.ConvTranspose2d(inputs, width, kernel_size=4, stride=2, padding=1, bias=False)
            nn.init.normal_(deconv.weight, std=INIT_STD)
            self.deconv.extend([deconv, nn.BatchNorm2d(width), nn.ReLU(inplace=True)])

    def forward(self, features: Tensor) -> Tensor:
        return self.deconv(features)


class LinearHead(nn.Module):
    """A 1x1 convolution, SimpleBaseline's last layer: (B, C, h, w) -> (B, K, h, w), contiguous."""

    def __init__(self, in_channels: int, num_keypoints: int):
        super().__init__()
        self.in_channels, self.num_keypoints = in_channels, num_keypoints
        self.final = _final(in_channels, num_keypoints)

    def forward(self, features: Tensor) -> Tensor:
        return self.final(features).contiguous()


class ConvHead(nn.Module):
    """A 3x3 and a 1x1 convolution: (B, C, h, w) -> (B, K, h, w), contiguous."""

    def __init__(self, in_channels: int, num_keypoints: int, width: int = 48):
        super().__init__()
        self.in_channels, self.num_keypoints = in_channels, num_keypoints
        self.hidden = nn.Sequential(nn.Conv2d(in_channels, width, 3, padding=1), nn.ReLU(inplace=True))
        self.final = _final(width, num_keypoints)

    def forward(self, features: Tensor) -> Tensor:
        return self.final(self.hidden(features)).contiguous()


def _final(inputs: int, num_keypoints: int) -> nn.Conv2d:
    conv = nn.Conv2d(inputs, num_keypoints, kernel_size=1)
    nn.init.normal_(conv.weight, std=INIT_STD)
    nn.init.zeros_(conv.bias)
    return conv
