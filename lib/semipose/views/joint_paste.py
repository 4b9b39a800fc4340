"""Patches around joints, copied from one image of the batch to another.

*Joint paste* puts a joint of an easy image on the same joint of the receiver, which makes the receiver easier to read.
*Cut-Occlude* (Huang et al., SSPCM, CVPR 2023) puts any joint of any image on any other joint, which makes it harder.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from semipose.views.hiding_boxes import Boxes, draw_half_sizes, keep_boxes, largest_half_size
from semipose.views.joint_cutout import take_joints


@dataclass(frozen=True)
class PastePolicy:
    """Patches of joint paste and Cut-Occlude.

    Attributes:
        joints: number of distinct joints that receive a patch; 0 switches pasting off.
        half_size: (smallest, largest) half side of a patch, in pixels of a 256x192 crop.
    """

    joints: int = 2
    half_size: tuple[float, float] = (18.0, 30.0)


@dataclass(frozen=True)
class Patches:
    """n patches for each of B receivers.

    Attributes:
        donors: (B,) index of the image from which the patches of a receiver come.
        boxes: (B, n) where they go, in pixels of the receiver; where two overlap, the later one is on top.
        shifts: (B, n, 2) whole pixels from a place in the receiver to its source in the donor.
        reach: the largest half side of a box, in pixels.
    """

    donors: Tensor
    boxes: Boxes
    shifts: Tensor
    reach: int


def draw_donors(
    allowed: Tensor | None, batch: int, device: torch.device, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """A random other image for each of `batch` images, out of those with `allowed` (B,) bool (None = all).

    Returns:
        (B,) indices, and (B,) bool that is false where no other image is allowed; such an index has no meaning.
    """
    keys = torch.rand(batch, batch, generator=generator).fill_diagonal_(-1.0).to(device, non_blocking=True)
    if allowed is not None:
        keys = keys.masked_fill(~allowed, -1.0)
    best = keys.max(dim=1)
    return best.indices, best.values >= 0


def draw_joint_paste(
    policy: PastePolicy, keypoints: Tensor, weights: Tensor, easy: Tensor | None, size: tuple[int, int],
    generator: torch.Generator,
) -> Patches:  # fmt: skip
    """Patches from easy images, each on the same joint.

    Args:
        keypoints: (B, K, 2) predicted joints in view pixels.
        weights: (B, K), above 0 where the pseudo-label is kept. Only joints kept in donor and receiver are pasted;
            if there are none, any joint may be pasted.
        easy: (B,) bool, or None where the split is not known and every image may donate.
        size: (width, height) of the view.
    """
    batch, joints = keypoints.shape[:2]
    count = min(policy.joints, joints)
    donors, found = draw_donors(easy, batch, keypoints.device, generator)
    keys = torch.rand((batch, joints), generator=generator).to(keypoints.device, non_blocking=True)
    shared = (weights > 0) & (weights > 0).index_select(0, donors)
    allowed = shared | ~shared.any(1, keepdim=True)
    drawn = keys.masked_fill(~allowed, -1.0).topk(count, dim=1)
    active = (drawn.values >= 0) & found.unsqueeze(1)
    return _patches(policy, keypoints, donors, (drawn.indices, drawn.indices), active, size, generator)


def draw_cut_occlude(
    policy: PastePolicy, keypoints: Tensor, size: tuple[int, int], generator: torch.Generator
) -> Patches:
    """Patches from any other image, of any joint on any joint; arguments as for `draw_joint_paste`."""
    batch, joints = keypoints.shape[:2]
    count = min(policy.joints, joints)
    donors, found = draw_donors(None, batch, keypoints.device, generator)
    orders = torch.rand((2, batch, joints), generator=generator).topk(count).indices
    orders = orders.to(keypoints.device, non_blocking=True)
    return _patches(policy, keypoints, donors, orders, found.unsqueeze(1), size, generator)


def _patches(policy, keypoints, donors, orders, active, size, generator) -> Patches:
    """From the joint `orders[0]` (B, n) of the donor to the joint `orders[1]` (B, n) of the receiver."""
    sources = take_joints(keypoints.index_select(0, donors), orders[0])
    places = take_joints(keypoints, orders[1])
    half = draw_half_sizes(policy.half_size, orders[1].shape, size, generator)
    boxes = Boxes(places, half.to(keypoints.device, non_blocking=True))
    reach = largest_half_size(policy.half_size, size)
    return Patches(donors, keep_boxes(boxes, active), (sources - places).round(), reach)


def paste_patches(images: Tensor, patches: Patches) -> Tensor:
    """Images (B, C, H, W) with the patches copied in, pixel by pixel; what lies outside the donor is not copied."""
    batch, channels, height, width = images.shape
    source = images.reshape(-1)
    result = source.clone()
    own = torch.arange(batch, device=images.device)
    channel = torch.arange(channels, device=images.device)
    to_plane, from_plane = (((row[:, None] * channels + channel) * height * width) for row in (own, patches.donors))
    for number in range(patches.shifts.shape[1]):
        to_x, from_x, hit_x = _along_axis(patches, number, 0, width)
        to_y, from_y, hit_y = _along_axis(patches, number, 1, height)
        to_pixel = _pixels(to_plane, to_y * width, to_x)
        from_pixel = _pixels(from_plane, from_y * width, from_x)
        hit = (hit_y[:, :, None] & hit_x[:, None, :]).unsqueeze(1).expand(-1, channels, -1, -1).flatten()
        changed = torch.where(hit, source.index_select(0, from_pixel), result.index_select(0, to_pixel))
        result.scatter_(0, to_pixel, changed)
    return result.view(images.shape)


def _along_axis(patches: Patches, number: int, axis: int, length: int) -> tuple[Tensor, Tensor, Tensor]:
    """For one patch of each image, each (B, P): places, their sources, and whether the source is copied.

    The P places are a window of fixed length that contains the patch.
    """
    centre = patches.boxes.centres[:, number, axis, None]
    half = patches.boxes.half_sizes[:, number, axis, None]
    window = min(length, 2 * patches.reach + 2)
    start = (centre.floor().long() - patches.reach).clamp(0, length - window)
    place = start + torch.arange(window, device=centre.device)
    source = place + patches.shifts[:, number, axis, None].long()
    hit = ((place - centre).abs() <= half) & (source >= 0) & (source < length)
    return place, source.clamp(0, length - 1), hit


def _pixels(planes: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """(B * C * P * Q) indices from planes (B, C), rows (B, P) and columns (B, Q)."""
    return (planes[:, :, None, None] + (rows[:, :, None] + columns[:, None, :]).unsqueeze(1)).flatten()
