"""The views of a training step: labelled, easy, and hard on top of easy (Xie et al., ICCV 2021)."""

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from semipose.geometry import affine
from semipose.skeletons import Skeleton
from semipose.structures import PoseBatch
from semipose.views.affine_draws import AffinePolicy, draw_affine, half_body_maps, view_change
from semipose.views.hard_operations import occlude
from semipose.views.occlusion import OcclusionPolicies, PredictedJoints
from semipose.views.photometric import ColorPolicy, change_colors
from semipose.views.view import View, centre_map


@dataclass(frozen=True)
class ViewPolicies:
    """What is done to make each kind of view.

    Attributes:
        hard_views: for each hard view of an image the names of its operations (`HARD_OPERATIONS`), in order.
    """

    labeled: AffinePolicy = field(default_factory=AffinePolicy)
    easy: AffinePolicy = field(default_factory=AffinePolicy)
    hard: AffinePolicy = field(default_factory=AffinePolicy)
    labeled_colors: ColorPolicy = field(default_factory=ColorPolicy)
    hard_colors: ColorPolicy = field(default_factory=ColorPolicy)
    occlusion: OcclusionPolicies = field(default_factory=OcclusionPolicies)
    hard_views: tuple[tuple[str, ...], ...] = (("joint_cutout",),)


class ViewSampler:
    """Makes the views of one step. Every draw is a function of (seed, step, rank), so a resumed run repeats it.

    Args:
        policies: strengths.
        skeleton: for mirroring and half body.
        size: (width, height) of a view.
        fill: colour (3,) in [0, 1] of hidden boxes.
        seed: 0 or more, below 2**32.
        rank: which process this is. Ranks draw different numbers.
    """

    def __init__(
        self, policies: ViewPolicies, skeleton: Skeleton, size: tuple[int, int], fill: Tensor, seed: int,
        rank: int = 0,
    ):  # fmt: skip
        if not skeleton.upper_body:
            policies = replace(policies, labeled=replace(policies.labeled, half_body=0.0))
        if not skeleton.mirrors:
            sides = ("labeled", "easy", "hard")
            policies = replace(policies, **{side: replace(getattr(policies, side), flip=0.0) for side in sides})
        self.policies, self.size, self.fill, self.seed = policies, tuple(size), fill, seed
        self.rank = rank
        self.flip_order = torch.tensor(skeleton.flip_order)
        self.upper_body = torch.tensor(skeleton.upper_body_mask)
        self._constants = {}

    def constants(self, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
        """`flip_order`, `upper_body` and `fill` on the device, copied there once."""
        if device not in self._constants:
            self._constants[device] = tuple(t.to(device) for t in (self.flip_order, self.upper_body, self.fill))
        return self._constants[device]

    def at_step(self, step: int) -> "StepViews":
        """What makes the views of step `step`."""
        # torch takes the lower 32 bits of a seed only; a large odd factor keeps ranks far apart in them
        number = self.seed * 1_000_003 + step + self.rank * 2_654_435_761
        return StepViews(self, torch.Generator().manual_seed(number))


class StepViews:
    """Makes the views of one step. Its random numbers depend on the order of the calls.

    Attributes:
        generator: of all draws of the step, on the CPU.
    """

    def __init__(self, sampler: ViewSampler, generator: torch.Generator):
        self._sampler, self.generator = sampler, generator
        self._policies, self._size = sampler.policies, sampler.size
        self._crops = self._pixels = None

    def labeled(self, batch: PoseBatch) -> View:
        """A view for the supervised loss: affine, half body, light colour changes."""
        _, upper_body, _ = self._sampler.constants(batch.images.device)
        to_base = half_body_maps(
            self._centre(batch), batch.keypoints, batch.weights > 0, upper_body,
            self._policies.labeled, self._size, self.generator,
        )  # fmt: skip
        view = self._move(batch, to_base, torch.zeros_like(batch.index, dtype=torch.bool), self._policies.labeled)
        return view.with_images(change_colors(view.images, self._policies.labeled_colors, self.generator))

    def easy(self, batch: PoseBatch) -> View:
        """A view that a teacher can read: weak affine change, no colour change."""
        unflipped = torch.zeros_like(batch.index, dtype=torch.bool)
        return self._move(batch, self._centre(batch), unflipped, self._policies.easy)

    def hard(self, batch: PoseBatch, easy: View) -> View:
        """A further change of `easy`, sampled again from the base crops, with colour changes."""
        view = self._move(batch, easy.to_base, easy.flipped, self._policies.hard)
        return view.with_images(change_colors(view.images, self._policies.hard_colors, self.generator))

    def occlude(self, images: Tensor, operations: tuple[str, ...], joints: PredictedJoints) -> Tensor:
        """Images (B, 3, H, W) of a hard view after its operations; `joints` are predicted by a teacher."""
        _, _, fill = self._sampler.constants(images.device)
        return occlude(images, operations, joints, self._policies.occlusion, fill, self.generator)

    def _centre(self, batch: PoseBatch) -> Tensor:
        height, width = batch.images.shape[-2:]
        return centre_map((width, height), self._size, len(batch), batch.images.device)

    def _move(self, batch: PoseBatch, to_base: Tensor, flipped: Tensor, policy: AffinePolicy) -> View:
        draw = draw_affine(policy, len(batch), self.generator).to(batch.images.device)
        to_base = affine.compose(to_base, view_change(draw, self._size))
        flip_order, _, _ = self._sampler.constants(batch.images.device)
        images = affine.warp(self._pixels_of(batch), to_base, self._size)
        return View(images, to_base, flipped ^ draw.mirrored, flip_order)

    def _pixels_of(self, batch: PoseBatch) -> Tensor:
        """The crops in [0, 1]; the easy and the hard view of a batch share them."""
        if self._crops is not batch.images:
            self._crops, self._pixels = batch.images, batch.images.float() / 255
        return self._pixels


def centred_view(batch: PoseBatch, size: tuple[int, int], flip_order: Tensor) -> View:
    """The view used for evaluation: the middle of the base crop, unchanged."""
    height, width = batch.images.shape[-2:]
    to_base = centre_map((width, height), size, len(batch), batch.images.device)
    left, top = (width - size[0]) // 2, (height - size[1]) // 2
    images = batch.images[..., top : top + size[1], left : left + size[0]].float() / 255
    unflipped = torch.zeros_like(batch.index, dtype=torch.bool)
    return View(images, to_base, unflipped, flip_order.to(batch.images.device, non_blocking=True))
