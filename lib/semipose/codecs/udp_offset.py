"""udp_offset: a disc around the keypoint and, inside it, the way to its centre (UDP's second form, CVPR 2020)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semipose.codecs.codec import CodecSettings
from semipose.codecs.heatmap import highest_pixels
from semipose.codecs.map_codec import MapCodec, corner_steps
from semipose.codecs.map_head import MapHead

RADIUS = 0.0546875  # of the disc, in the longer side of a map: 3.5 pixels of 64


class UdpOffsetCodec(MapCodec):
    """Outputs and targets (B, K, 3, h, w): a disc of ones, and (keypoint - pixel) / radius for x and y.

    An offset cannot be warped, so this codec has no maps in the sense of the contract. The grid is that of `udp`.
    (Huang et al., "The Devil is in the Details", CVPR 2020; loss and decoding as in MMPose.)
    """

    def __init__(self, settings: CodecSettings):
        super().__init__(settings)
        self.steps = corner_steps(settings.size, self.size)
        self.radius = RADIUS * max(self.size)

    def make_head(self, in_channels: int, hidden: int = 0) -> nn.Module:
        return MapHead(in_channels, self.settings.joints, hidden, parts=3)

    def encode(self, points: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Maps (B, K, 3, h, w), and weights (B, K) that are 0 also where no pixel lies on the disc."""
        centre = self.to_heatmap(points)
        xs, ys = (torch.arange(count, device=points.device, dtype=centre.dtype) for count in self.size)
        width, height = self.size
        along_x = ((centre[..., :1] - xs) / self.radius).unsqueeze(-2).expand(*points.shape[:2], height, width)
        along_y = ((centre[..., 1:] - ys) / self.radius).unsqueeze(-1).expand(*points.shape[:2], height, width)
        disc = along_x.square() + along_y.square() <= 1
        seen = (disc & (weights > 0)[..., None, None]).unsqueeze(2)
        maps = torch.stack([torch.ones_like(along_x), along_x, along_y], 2)
        return torch.where(seen, maps, torch.zeros_like(maps)), weights * disc.flatten(2).any(-1)

    def decode(self, output: Tensor) -> tuple[Tensor, Tensor]:
        """Points (B, K, 2) and scores (B, K), the maxima of the discs."""
        disc, along_x, along_y = output.float().unbind(2)
        peak, _ = highest_pixels(self._blur(disc))
        place = (peak[..., 1:] * self.size[0] + peak[..., :1]).long()
        step = torch.cat([maps.flatten(2).gather(-1, place) for maps in (along_x, along_y)], -1)
        # the blur lowers a disc as it likes; the reference scales it back to its own maximum
        return self.to_view(peak + step * self.radius), disc.flatten(2).amax(-1)

    def loss(self, output: Tensor, target: Tensor, head: nn.Module) -> Tensor:
        """Half the mean over pixels of the squared differences of the disc, and inside it of both offsets."""
        difference = (output.float() - target).square()
        inside = target[:, :, :1]
        return 0.5 * torch.cat([difference[:, :, :1], difference[:, :, 1:] * inside], 2).sum(2).mean((-2, -1))

    def unmirror(self, output: Tensor, flip_order: Tensor) -> Tensor:
        disc, along_x, along_y = output.flip(-1)[:, flip_order].unbind(2)
        return torch.stack([disc, -along_x, along_y], 2)

    def _blur(self, disc: Tensor) -> Tensor:
        """Blurred by a kernel about as wide as the disc: in its middle it is highest, and noise counts less."""
        reach = max(1, round(1.4 * self.radius))  # kernels of 11 for 64 pixels and 15 for 96, as in the reference
        xs = torch.arange(-reach, reach + 1, device=disc.device, dtype=disc.dtype)
        kernel = torch.exp(-xs.square() / (2 * (0.3 * (reach - 1) + 0.8) ** 2))
        kernel = kernel / kernel.sum()
        maps = disc.flatten(0, 1).unsqueeze(1)
        maps = F.conv2d(maps, kernel.view(1, 1, 1, -1), padding=(0, reach))
        maps = F.conv2d(maps, kernel.view(1, 1, -1, 1), padding=(reach, 0))
        return maps.squeeze(1).unflatten(0, disc.shape[:2])
