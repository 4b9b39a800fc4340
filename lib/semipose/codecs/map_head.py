"""A head that puts out maps, and the hidden layer that all heads may have."""

from torch import Tensor, nn

INIT_STD = 0.001  # small first heatmaps: training starts from "no keypoint anywhere"


class MapHead(nn.Module):
    """A 1x1 convolution, SimpleBaseline's last layer: (B, C, h, w) -> (B, K, h, w), contiguous.

    Args:
        hidden: channels of a 3x3 convolution with ReLU before it; 0 = none.
        parts: maps for each keypoint; with more than one the output is (B, K, parts, h, w).
    """

    def __init__(self, in_channels: int, joints: int, hidden: int = 0, parts: int = 1):
        super().__init__()
        self.parts = parts
        self.hidden = hidden_layer(in_channels, hidden)
        self.final = map_layer(hidden or in_channels, joints * parts)

    def forward(self, features: Tensor) -> Tensor:
        maps = self.final(self.hidden(features)).contiguous()
        return maps if self.parts == 1 else maps.unflatten(1, (-1, self.parts))


def map_layer(in_channels: int, maps: int) -> nn.Conv2d:
    """A 1x1 convolution whose first maps are nearly 0."""
    layer = nn.Conv2d(in_channels, maps, kernel_size=1)
    nn.init.normal_(layer.weight, std=INIT_STD)
    nn.init.zeros_(layer.bias)
    return layer


def hidden_layer(in_channels: int, hidden: int) -> nn.Module:
    """A 3x3 convolution to `hidden` channels with ReLU; nothing if `hidden` is 0."""
    if not hidden:
        return nn.Identity()
    return nn.Sequential(nn.Conv2d(in_channels, hidden, 3, padding=1), nn.ReLU(inplace=True))
