"""The worst-case head of Debiased Self-Training (Chen et al., NeurIPS 2022), as a head for heatmaps."""

from torch import Tensor, nn

MOST_CHANNELS = 64


class WorstHead(nn.Module):
    """Two convolutions, 3x3 with BatchNorm and 1x1: features (B, C, h, w) -> logits (B, K, h, w).

    Logits of a softmax over pixels, so the last layer needs no bias: a constant over a map changes nothing.

    Between the convolutions there are at most 64 channels: with the 256 of a ResNet's neck, a training step would take
    50 % longer.
    """

    def __init__(self, in_channels: int, num_keypoints: int):
        super().__init__()
        width = min(in_channels, MOST_CHANNELS)
        self.hidden = nn.Sequential(
            nn.Conv2d(in_channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(inplace=True)
        )
        self.final = nn.Conv2d(width, num_keypoints, 1, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        return self.final(self.hidden(features)).contiguous()
