"""Heads: backbone features -> heatmaps. `upscale` is heatmap size per feature size."""

from torch import Tensor, nn

INIT_STD = 0.001  # small first heatmaps: training starts from "no keypoint anywhere"


class DeconvHead(nn.Module):
    """Transposed convolutions (4x4, stride 2) and a 1x1 convolution (Xiao et al., "SimpleBaseline", ECCV 2018).

    (B, in_channels, h, w) -> (B, num_keypoints, 8h, 8w) with the three layers of the paper.
    """

    def __init__(self, in_channels: int, num_keypoints: int, width: int = 256, layers: int = 3):
        super().__init__()
        self.upscale = 2**layers
        self.deconv = nn.Sequential()
        for inputs in (in_channels, *[width] * (layers - 1)):
            deconv = nn.ConvTranspose2d(inputs, width, kernel_size=4, stride=2, padding=1, bias=False)
            nn.init.normal_(deconv.weight, std=INIT_STD)
            self.deconv.extend([deconv, nn.BatchNorm2d(width), nn.ReLU(inplace=True)])
        self.final = _final(width, num_keypoints)

    def forward(self, features: Tensor) -> Tensor:
        return self.final(self.deconv(features))


class ConvHead(nn.Module):
    """A 3x3 and a 1x1 convolution, for features that already have heatmap size: (B, C, h, w) -> (B, K, h, w)."""

    upscale = 1

    def __init__(self, in_channels: int, num_keypoints: int, width: int = 48):
        super().__init__()
        self.hidden = nn.Sequential(nn.Conv2d(in_channels, width, 3, padding=1), nn.ReLU(inplace=True))
        self.final = _final(width, num_keypoints)

    def forward(self, features: Tensor) -> Tensor:
        return self.final(self.hidden(features))


def _final(inputs: int, num_keypoints: int) -> nn.Conv2d:
    conv = nn.Conv2d(inputs, num_keypoints, kernel_size=1)
    nn.init.normal_(conv.weight, std=INIT_STD)
    nn.init.zeros_(conv.bias)
    return conv
