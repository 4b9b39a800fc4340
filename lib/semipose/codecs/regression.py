"""regression: coordinates straight from pooled features, as in DeepPose (Toshev and Szegedy, CVPR 2014)."""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semipose.codecs.codec import Codec, CodecSettings
from semipose.codecs.heatmap import between
from semipose.codecs.map_head import hidden_layer

# A network can learn points a little outside the view, from the limb that leads there. Far outside is a guess, and its
# large error would outweigh points that can be seen.
MARGIN = 0.25  # of the view's side
ROUNDED = 0.01  # the loss is quadratic below it, so that the last steps get smaller; in sides of the view
INIT_STD = 0.001  # first coordinates near the middle of the view


class RegressionCodec(Codec):
    """Outputs and targets (B, K, 2): (x + 0.5) / W and (y + 0.5) / H, so that mirroring is x -> 1 - x.

    (MMPose divides without the half pixel.) The network does not tell how sure it is.
    """

    pools = True
    has_scores = False

    def __init__(self, settings: CodecSettings):
        super().__init__(settings)
        self.stride = 4.0  # there are no heatmap pixels: what other codecs have by default, in messages and thresholds

    @property
    def meaning(self) -> CodecSettings:
        return replace(self.settings, stride=0.0)  # the features are pooled

    def make_head(self, in_channels: int, hidden: int = 0) -> nn.Module:
        return PooledHead(in_channels, self.settings.joints, hidden)

    def encode(self, points: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Coordinates (B, K, 2), and weights (B, K) that are 0 also farther outside than a quarter of the view."""
        width, height = self.settings.size
        x, y = points.unbind(-1)
        target = torch.stack([(x + 0.5) / width, (y + 0.5) / height], -1)
        inside = between(target, -MARGIN, (1 + MARGIN, 1 + MARGIN))
        return target.clamp(-MARGIN, 1 + MARGIN), weights * inside

    def decode(self, output: Tensor) -> tuple[Tensor, Tensor]:
        """Points (B, K, 2) and scores (B, K), all 1."""
        points = self._to_view(output.float())
        return points, torch.ones_like(points[..., 0])

    def loss(self, output: Tensor, target: Tensor, head: nn.Module) -> Tensor:
        """Smooth L1, the mean over x and y."""
        return F.smooth_l1_loss(output.float(), target.float(), reduction="none", beta=ROUNDED).mean(-1)

    def unmirror(self, output: Tensor, flip_order: Tensor) -> Tensor:
        turned = output[:, flip_order]
        return torch.cat([1 - turned[..., :1], turned[..., 1:]], -1)

    def _to_view(self, coordinates: Tensor) -> Tensor:
        width, height = self.settings.size
        x, y = coordinates.unbind(-1)
        return torch.stack([x * width - 0.5, y * height - 0.5], -1)


class PooledHead(nn.Module):
    """Mean over the map and a linear layer: (B, C, h, w) -> (B, K, 2 + extra).

    Args:
        extra: numbers for each keypoint besides x and y; they start at 0, x and y at 0.5.
    """

    def __init__(self, in_channels: int, joints: int, hidden: int = 0, extra: int = 0):
        super().__init__()
        self.parts = 2 + extra
        self.hidden = hidden_layer(in_channels, hidden)
        self.final = nn.Linear(hidden or in_channels, joints * self.parts)
        nn.init.normal_(self.final.weight, std=INIT_STD)
        nn.init.zeros_(self.final.bias)
        with torch.no_grad():
            self.final.bias.view(joints, self.parts)[:, :2] = 0.5

    def forward(self, features: Tensor) -> Tensor:
        return self.final(self.hidden(features).mean((-2, -1))).unflatten(-1, (-1, self.parts))
