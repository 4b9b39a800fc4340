"""Random rotation, scale, mirror and half body: parameters are drawn here and applied as maps."""

from dataclasses import dataclass

import torch
from torch import Tensor

from semipose.geometry import affine

HALF_BODY_MIN_JOINTS = 9
HALF_BODY_PADDING = 1.5


@dataclass(frozen=True)
class AffinePolicy:
    """How strongly a view may differ from the view it is made from.

    Attributes:
        rotation: standard deviation in degrees, clipped at two standard deviations.
        rotation_prob: share of samples that are turned at all.
        scale: standard deviation of the zoom factor around 1.
        scale_clip: largest deviation of the zoom factor from 1.
        flip: share of mirrored samples.
        translate: largest shift along x and y, as a share of the shorter side; uniform.
        half_body: share of samples (of those with at least 9 labelled joints) cropped to the upper or lower body.
    """

    rotation: float = 30.0
    rotation_prob: float = 0.6
    scale: float = 0.25
    scale_clip: float = 0.25
    flip: float = 0.5
    half_body: float = 0.0
    translate: float = 0.0


@dataclass(frozen=True)
class AffineDraw:
    """Drawn parameters of B samples: `degrees`, `scale` (B,), `mirrored` (B,) bool, `shift` (B, 2) in shorter sides."""

    degrees: Tensor
    scale: Tensor
    mirrored: Tensor
    shift: Tensor

    def to(self, device: torch.device) -> "AffineDraw":
        values = (self.degrees, self.scale, self.mirrored, self.shift)
        return AffineDraw(*(value.to(device, non_blocking=True) for value in values))


def draw_affine(policy: AffinePolicy, count: int, generator: torch.Generator) -> AffineDraw:
    """Parameters for `count` samples; the same generator state gives the same parameters on every device."""
    degrees = torch.randn((count,), generator=generator) * policy.rotation
    degrees = degrees.clamp(-2 * policy.rotation, 2 * policy.rotation)
    turned = torch.rand((count,), generator=generator) < policy.rotation_prob
    zoom = torch.randn((count,), generator=generator) * policy.scale
    mirrored = torch.rand((count,), generator=generator) < policy.flip
    shift = torch.zeros(count, 2)
    if policy.translate:  # else nothing is drawn
        shift = (2 * torch.rand((count, 2), generator=generator) - 1) * policy.translate
    return AffineDraw(degrees * turned, 1 + zoom.clamp(-policy.scale_clip, policy.scale_clip), mirrored, shift)


def view_change(draw: AffineDraw, size: tuple[int, int]) -> Tensor:
    """(B, 2, 3) maps from pixels of the new view to pixels of the view it is made from, both (width, height) `size`.

    A scale above 1 makes the person larger. The centre of the view stays where it is, but for the shift.
    """
    centre = torch.tensor([(size[0] - 1) / 2, (size[1] - 1) / 2]).to(draw.degrees.device, non_blocking=True)
    centre = centre.expand(len(draw.degrees), 2)
    moved = centre + draw.shift * min(size)
    return affine.invert(affine.similarity(draw.degrees, draw.scale, draw.mirrored, centre, moved))


def half_body_maps(
    to_base: Tensor, keypoints: Tensor, labeled: Tensor, upper: Tensor, policy: AffinePolicy,
    size: tuple[int, int], generator: torch.Generator,
) -> Tensor:  # fmt: skip
    """`to_base`, but some samples are zoomed to the upper or the lower body.

    Args:
        to_base: (B, 2, 3) maps from view to base-crop pixels.
        keypoints: (B, K, 2) in base-crop pixels, labeled: (B, K) bool.
        upper: (K,) bool, the upper body; at least one must be true.
        size: (width, height) of the view.

    Returns:
        (B, 2, 3). A sample is changed only if it has 9 labelled joints and 3 of the chosen half
        (MSPN / HRNet half-body transform).
    """
    count = len(keypoints)
    chosen = torch.rand((count,), generator=generator) < policy.half_body
    wants_upper = torch.rand((count,), generator=generator) < 0.7
    if policy.half_body == 0:
        return to_base
    chosen, wants_upper = (drawn.to(to_base.device, non_blocking=True) for drawn in (chosen, wants_upper))
    up, low = labeled & upper, labeled & ~upper
    use_upper = torch.where(wants_upper, up.sum(1) >= 3, low.sum(1) < 3)
    part = torch.where(use_upper[:, None], up, low)
    chosen = chosen & (labeled.sum(1) >= HALF_BODY_MIN_JOINTS) & (part.sum(1) >= 3)
    low_corner = torch.where(part[..., None], keypoints, float("inf")).amin(1)
    high_corner = torch.where(part[..., None], keypoints, -float("inf")).amax(1)
    low_corner, high_corner = (torch.where(chosen[:, None], c, torch.zeros_like(c)) for c in (low_corner, high_corner))
    shape = torch.tensor(size, dtype=torch.float32).to(to_base.device, non_blocking=True)
    zoom = ((high_corner - low_corner) * HALF_BODY_PADDING / shape).amax(1).clamp_min(0.2)
    centre = (shape - 1) / 2
    upright = torch.zeros_like(chosen)
    part_map = affine.similarity(
        torch.zeros_like(zoom), zoom, upright, centre.expand(count, 2), (low_corner + high_corner) / 2
    )
    return torch.where(chosen[:, None, None], part_map, to_base)
