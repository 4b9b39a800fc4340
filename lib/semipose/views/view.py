"""A view of a batch of base crops, and the maps between views.

All points and heatmaps that go from one view to another go through here.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from semipose.geometry import affine


def swap_rows(values: Tensor, flip_order: Tensor, rows: Tensor, axis: int = 1) -> Tensor:
    """`values` (B, ...) with left and right keypoints exchanged in the rows where `rows` (B,) is true.

    The keypoints lie along `axis`.
    """
    shape = (-1,) + (1,) * (values.dim() - 1)
    return torch.where(rows.view(shape), values.index_select(axis, flip_order), values)


@dataclass(frozen=True)
class ViewMap:
    """From a source view to a target view of the same crops.

    Attributes:
        to_source: (B, 2, 3) map from a target pixel to the source pixel that shows the same spot.
        swapped: (B,) bool, true where exactly one of the two views is mirrored.
        flip_order: (K,) int64, see `Skeleton.flip_order`.
    """

    to_source: Tensor
    swapped: Tensor
    flip_order: Tensor

    def points(self, points: Tensor) -> Tensor:
        """Keypoints (B, K, 2) or (B, N, K, 2) of the source view, in target pixels."""
        return self.swap(affine.apply(affine.invert(self.to_source), points), axis=-2)

    def swap(self, values: Tensor, axis: int = 1) -> Tensor:
        """Values (B, ...) of the source's keypoints, which lie along `axis`, in the order of the target's."""
        return swap_rows(values, self.flip_order, self.swapped, axis)


@dataclass(frozen=True)
class View:
    """What a network sees.

    Attributes:
        images: (B, 3, H, W) float in [0, 1].
        to_base: (B, 2, 3) map from view pixels to base-crop pixels.
        flipped: (B,) bool, mirrored against the base crop.
        flip_order: (K,) int64, see `Skeleton.flip_order`.
        mask: (B, 1, H, W) float, 0 where persons have no labels; None = 1 everywhere.
    """

    images: Tensor
    to_base: Tensor
    flipped: Tensor
    flip_order: Tensor
    mask: Tensor | None = None

    def __len__(self) -> int:
        return len(self.images)

    def with_images(self, images: Tensor) -> "View":
        """The same geometry with other pixels (colour, occlusion)."""
        return replace(self, images=images)

    def from_base(self) -> ViewMap:
        """The map for labels given in base-crop pixels."""
        return ViewMap(self.to_base, self.flipped, self.flip_order)

    def points_in_base(self, points: Tensor) -> Tensor:
        """Keypoints (B, K, 2) or (B, N, K, 2) of this view, in pixels and joint order of the base crop."""
        return self.values_in_base(affine.apply(self.to_base, points), axis=-2)

    def values_in_base(self, values: Tensor, axis: int = 1) -> Tensor:
        """Values (B, ...) of this view's keypoints, which lie along `axis`, in the joint order of the base crop."""
        return swap_rows(values, self.flip_order, self.flipped, axis)

    def map_to(self, target: "View") -> ViewMap:
        """The map for predictions made on this view, to be used on `target`."""
        to_source = affine.compose(affine.invert(self.to_base), target.to_base)
        return ViewMap(to_source, self.flipped ^ target.flipped, self.flip_order)


def centre_map(base: tuple[int, int], size: tuple[int, int], count: int, device: torch.device | None = None) -> Tensor:
    """(count, 2, 3) map from pixels of a centred view of (width, height) `size` to base-crop pixels."""
    offset = ((base[0] - size[0]) / 2, (base[1] - size[1]) / 2)
    return affine.scaling((1.0, 1.0), offset, device).repeat(count, 1, 1)
