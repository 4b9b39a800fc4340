"""The maps that DEKR's head learns, and how much each of their pixels counts.

Geng et al., CVPR 2021; the weight of an instance goes to the pixels that it owns, and to no others.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

BACKGROUND = 0.1  # weight of heatmap pixels that no keypoint is near
REACH = 3.0  # standard deviations to the rim of a Gaussian; beyond it is background
SMALLEST = 32**0.5  # diagonal in map pixels of the smallest instance that has a root
ROOT_SIGMA = 2.0  # standard deviations of a root, in those of a keypoint


@dataclass(frozen=True)
class DekrTarget:
    """The target of B views. `joined` is one tensor of all, as codecs hand it on.

    Attributes:
        heat, heat_weights: (B, K + 1, h, w), the keypoints and then the root.
        offsets: (B, K, 2, h, w), keypoint minus pixel in map pixels.
        offset_weights: (B, K, h, w), 0 where no instance owns the pixel.
    """

    heat: Tensor
    heat_weights: Tensor
    offsets: Tensor
    offset_weights: Tensor

    @property
    def joined(self) -> Tensor:
        """(B, 5 K + 2, h, w)."""
        return torch.cat([self.heat, self.heat_weights, self.offsets.flatten(1, 2), self.offset_weights], 1)

    @staticmethod
    def of(joined: Tensor) -> "DekrTarget":
        joints = (joined.shape[1] - 2) // 5
        heat, heat_weights, offsets, weights = joined.split([joints + 1, joints + 1, 2 * joints, joints], 1)
        return DekrTarget(heat, heat_weights, offsets.unflatten(1, (joints, 2)), weights)


@dataclass(frozen=True)
class MapInstances:
    """N instances on maps, in an order that does not depend on the order they came in.

    Attributes:
        nodes: (B, N, K + 1, 2) keypoints and root, in map pixels.
        weights: (B, N, K + 1), 0 = not there, below 0 = there, but its surroundings teach nothing.
        sizes: (B, N) diagonals of the boxes around the labelled keypoints, map pixels.
    """

    nodes: Tensor
    weights: Tensor
    sizes: Tensor


def sorted_instances(points: Tensor, weights: Tensor) -> MapInstances:
    """Instances from small to large, with their roots: the means of the labelled keypoints.

    The weight of a root is the mean of those keypoint weights that are above 0.

    Args:
        points: (B, N, K, 2) in map pixels.
        weights: (B, N, K); 0 = not labelled, below 0 = labelled, but it teaches nothing.
    """
    labeled = (weights != 0).unsqueeze(-1)
    root = torch.where(labeled, points, 0).sum(-2) / labeled.sum(-2).clamp_min(1)
    low = torch.where(labeled, points, float("inf")).amin(-2)
    high = torch.where(labeled, points, -float("inf")).amax(-2)
    there = labeled.any(-2)
    sizes = torch.where(there, high - low, 0).square().sum(-1).sqrt()
    counted = weights > 0
    root_weights = torch.where(counted, weights, 0).sum(-1) / counted.sum(-1).clamp_min(1)
    root_weights = torch.where(counted.any(-1), root_weights, weights.amin(-1)) * (sizes >= SMALLEST)
    nodes = torch.cat([points, root.unsqueeze(-2)], -2)
    weights = torch.cat([weights, root_weights.unsqueeze(-1)], -1)
    order = _order((sizes, root[..., 0], root[..., 1], nodes.sum((-1, -2)), weights.sum(-1)))
    return MapInstances(_rows(nodes, order), _rows(weights, order), sizes.gather(1, order))


def draw_target(instances: MapInstances, size: tuple[int, int], sigma: float) -> DekrTarget:
    """The maps of (width, height) `size`.

    A heatmap is the maximum over the instances, and a pixel counts with the weight of the instance whose Gaussian is
    the maximum there. An offset belongs to the smallest instance whose root is near, for each keypoint by itself, and
    counts with its weight / diagonal.
    """
    pixels = torch.stack(torch.meshgrid(*(torch.arange(n) for n in size), indexing="xy"), -1)
    pixels = pixels.to(instances.nodes.device, instances.nodes.dtype, non_blocking=True)
    batch, count, joints = instances.weights.shape[0], instances.weights.shape[1], instances.weights.shape[2] - 1
    heat = pixels.new_zeros(batch, joints + 1, size[1], size[0])
    heat_weights = torch.full_like(heat, BACKGROUND)
    offsets, offset_weights = heat.new_zeros(batch, joints, size[1], size[0], 2), heat[:, :joints].clone()
    owned = torch.zeros_like(offset_weights, dtype=torch.bool)
    spread = pixels.new_full((joints + 1, 1, 1), sigma)
    spread[-1] = ROOT_SIGMA * sigma
    for n in range(count):
        nodes, weights = instances.nodes[:, n, :, None, None], instances.weights[:, n, :, None, None]
        away = nodes - pixels  # (B, K + 1, h, w, 2)
        squared = away.square().sum(-1) / spread.square()
        gaussian = torch.where((squared <= REACH**2) & (weights != 0), torch.exp(-squared / 2), 0)
        highest = gaussian > heat
        heat = torch.where(highest, gaussian, heat)
        heat_weights = torch.where(highest, weights.clamp_min(0), heat_weights)
        near_root = (squared[:, -1:] <= 1) & (weights[:, -1:] != 0)
        own = near_root & (weights[:, :-1] != 0) & _inside(nodes[:, :-1], size) & ~owned
        offsets = torch.where(own.unsqueeze(-1), away[:, :-1], offsets)
        share = weights[:, :-1].clamp_min(0) / instances.sizes[:, n, None, None, None].clamp_min(1)
        offset_weights = torch.where(own, share, offset_weights)
        owned = owned | own
    return DekrTarget(heat, heat_weights, offsets.movedim(-1, 2), offset_weights)


def _order(keys: tuple[Tensor, ...]) -> Tensor:
    """(B, N) the order by the first key, where that is equal by the second, and so on; each key is (B, N)."""
    order = torch.arange(keys[0].shape[1], device=keys[0].device).expand_as(keys[0])
    for key in reversed(keys):
        order = order.gather(1, key.gather(1, order).argsort(dim=1, stable=True))
    return order


def _rows(values: Tensor, order: Tensor) -> Tensor:
    """`values` (B, N, ...) in the order (B, N)."""
    return values.gather(1, order.view(*order.shape, *(1,) * (values.dim() - 2)).expand_as(values))


def _inside(points: Tensor, size: tuple[int, int]) -> Tensor:
    """(...) bool, whether points (..., 2) lie on a map of (width, height) `size`."""
    x, y = points.unbind(-1)
    return (x > -0.5) & (x < size[0] - 0.5) & (y > -0.5) & (y < size[1] - 0.5)
