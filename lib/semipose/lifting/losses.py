"""Losses in metres of 3D, or in the units of the 2D input; each joint with its weight."""

import torch
from torch import Tensor

from semipose.lifting.cameras import project
from semipose.lifting.codec import in_half_widths
from semipose.lifting.motion import LiftBatch
from semipose.lifting.networks import Lifted

OUTERMOST = 1.0  # |x / z| of projections, as in VideoPose3D: farther out their distortion would explode


def mean_distance(found: Tensor, wanted: Tensor, weights: Tensor) -> Tensor:
    """Mean distance of points (..., D), weighted by (...); 0 where all weights are 0. In 3D it is the MPJPE."""
    return (weights * (found - wanted).norm(dim=-1)).sum() / weights.sum().clamp_min(1e-8)


def trajectory_loss(roots: Tensor, wanted: Tensor, weights: Tensor) -> Tensor:
    """Mean distance of roots (B, 3), weighted by (B,) and 1 / depth: far roots cannot be known as well."""
    return mean_distance(roots, wanted, weights / wanted[..., 2].clamp_min(1.0))


def projection_loss(lifted: Lifted, batch: LiftBatch) -> Tensor:
    """How far the projection of the lifted pose is from the 2D keypoints that it was lifted from, in half widths of the
    image."""
    pixels = project(lifted.poses + lifted.roots.unsqueeze(-2), batch.intrinsics, OUTERMOST)
    found, wanted = (in_half_widths(points, batch.intrinsics) for points in (pixels, batch.points))
    return mean_distance(found, wanted, batch.seen)


def bone_lengths(poses: Tensor, bones: Tensor) -> Tensor:
    """(..., L) lengths of the bones (L, 2), pairs of joints, of poses (..., K, 3)."""
    return (poses[..., bones[:, 0], :] - poses[..., bones[:, 1], :]).norm(dim=-1)


def mean_lengths(poses: Tensor, weights: Tensor, bones: Tensor) -> tuple[Tensor, Tensor]:
    """(L,) mean length of each bone in labelled poses (B, K, 3), and (L,) 1 where one is labelled, else 0."""
    both = weights[:, bones[:, 0]] * weights[:, bones[:, 1]]
    counts = both.sum(0)
    return (both * bone_lengths(poses, bones)).sum(0) / counts.clamp_min(1e-8), (counts > 0).to(counts)


def bone_loss(poses: Tensor, bones: Tensor, lengths: Tensor, known: Tensor) -> Tensor:
    """How far the bones of each lifted pose (B, K, 3) are from `lengths` (L,), where they are `known` (L,).

    Of each pose, not of their mean as in VideoPose3D: with its lengths known, a projected bone has only two depths.
    """
    off = (bone_lengths(poses, bones) - lengths).abs().mean(0)
    return (known * off).sum() / known.sum().clamp_min(1)


def side_loss(poses: Tensor, bones: Tensor, partners: Tensor) -> Tensor:
    """Mean difference between the length of a bone and that of its `partners` (L,), the bone of the other side."""
    lengths = bone_lengths(poses, bones)
    return (lengths - lengths[..., partners]).abs().mean()


def bone_partners(links: list[tuple[int, int]], flip_order: list[int]) -> list[int]:
    """For each link the one that it becomes in a mirror; itself where there is none."""
    known = {frozenset(link): number for number, link in enumerate(links)}
    mirrored = [frozenset(flip_order[joint] for joint in link) for link in links]
    return [known.get(link, number) for number, link in enumerate(mirrored)]


def as_bones(links: list[tuple[int, int]]) -> Tensor:
    """(L, 2) int64."""
    return torch.tensor(links, dtype=torch.int64).reshape(-1, 2)
