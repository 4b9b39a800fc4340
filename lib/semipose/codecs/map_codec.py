"""What codecs whose network puts out maps of the view have in common: the pixels of the maps."""

import torch
from torch import Tensor

from semipose.codecs.codec import Codec, CodecSettings


class MapCodec(Codec):
    """A codec with maps (h, w). Where their pixels lie in the view is a matter of each codec.

    Attributes:
        size: (width, height) of a map.
        sigma: standard deviation of the Gaussian in map pixels.
        steps, offsets: for x and y, `view pixel = map pixel * step + offset`.
    """

    def __init__(self, settings: CodecSettings):
        super().__init__(settings)
        self.size, self.sigma = settings.map_size, settings.sigma
        self.steps = (settings.stride, settings.stride)
        self.offsets = (0.0, 0.0)

    def to_heatmap(self, points: Tensor) -> Tensor:
        """Map pixels of points (..., 2) in view pixels."""
        axes = zip(points.unbind(-1), self.steps, self.offsets)
        return torch.stack([(values - offset) / step for values, step, offset in axes], -1)

    def to_view(self, points: Tensor) -> Tensor:
        """View pixels of points (..., 2) in map pixels."""
        axes = zip(points.unbind(-1), self.steps, self.offsets)
        return torch.stack([values * step + offset for values, step, offset in axes], -1)


def aligned_offsets(stride: float) -> tuple[float, float]:
    """Offsets with which the outer borders of view and map coincide, and so do those of their mirror images."""
    return (stride - 1) / 2, (stride - 1) / 2


def corner_steps(view: tuple[int, int], size: tuple[int, int]) -> tuple[float, float]:
    """Steps with which the centres of the corner pixels of view and map coincide (UDP), both (width, height)."""
    return (view[0] - 1) / max(size[0] - 1, 1), (view[1] - 1) / max(size[1] - 1, 1)
