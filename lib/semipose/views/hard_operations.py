"""The operations of hard views, by name. None of them moves a joint, so the pseudo-labels stay as they are.

To add one, write `operation(images, joints, policies, fill, generator) -> images`, with images (B, 3, H, W), and a line
in `HARD_OPERATIONS`. It must not change its input, must draw only from the generator (on the CPU), and must not wait
for the device: no `.item()`, no boolean indexing.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from semipose.errors import ConfigError
from semipose.views.box_cutout import draw_boxes, draw_cutmix, paste_boxes
from semipose.views.hiding_boxes import Boxes, fill_boxes, keep_boxes
from semipose.views.joint_cutout import draw_adaptive_cutout, draw_cutout, draw_joint_mask
from semipose.views.joint_paste import Patches, draw_cut_occlude, draw_donors, draw_joint_paste, paste_patches
from semipose.views.occlusion import OcclusionPolicies, PredictedJoints
from semipose.views.photometric import change_colors


def occlude(
    images: Tensor, operations: Sequence[str], joints: PredictedJoints, policies: OcclusionPolicies, fill: Tensor,
    generator: torch.Generator,
) -> Tensor:  # fmt: skip
    """Hard views (B, 3, H, W) from `images`, by the named operations in this order; the input stays as it is.

    Args:
        joints: what a teacher predicts in these images.
        fill: colour (3,) of hidden boxes, on the device of the images.

    Raises:
        ConfigError: unknown name.
    """
    check_operations(operations)
    for name in operations:
        images = HARD_OPERATIONS[name](images, joints, policies, fill, generator)
    return images


def check_operations(operations: Sequence[str]) -> None:
    """ConfigError unless `operations` is a list of names that `HARD_OPERATIONS` knows."""
    if isinstance(operations, str):
        raise ConfigError(f"hard view {operations!r}: must be a list of operations")
    for name in operations:
        if name not in HARD_OPERATIONS:
            raise ConfigError(f"hard view: unknown operation {name!r}; allowed: {', '.join(HARD_OPERATIONS)}")


def joint_cutout(images, joints, policies, fill, generator) -> Tensor:
    """A fixed number of joints is hidden (Xie et al., ICCV 2021)."""
    if policies.cutout.joints == 0:
        return images
    return fill_boxes(images, draw_cutout(policies.cutout, joints.keypoints, _size(images), generator), fill)


def adaptive_cutout(images, joints, policies, fill, generator) -> Tensor:
    """The more joints the teacher is sure of, the more are hidden."""
    return fill_boxes(images, _adaptive_mask(images, joints, policies, generator), fill)


def joint_mask(images, joints, policies, fill, generator) -> Tensor:
    """Four or five joints are hidden."""
    return fill_boxes(images, _fixed_mask(images, joints, policies, generator), fill)


def joint_paste(images, joints, policies, fill, generator) -> Tensor:
    """Joints of easy images are pasted on the same joints of every image."""
    return paste_patches(images, _easy_patches(images, joints, policies, generator))


def cut_occlude(images, joints, policies, fill, generator) -> Tensor:
    """Any joints of any image are pasted on any joints."""
    return paste_patches(images, draw_cut_occlude(policies.paste, joints.keypoints, _size(images), generator))


def cutout(images, joints, policies, fill, generator) -> Tensor:
    """Boxes anywhere are hidden."""
    return fill_boxes(images, draw_boxes(policies.boxes, len(images), _size(images), images.device, generator), fill)


def cutmix(images, joints, policies, fill, generator) -> Tensor:
    """A rectangle anywhere shows another image."""
    # a lone image is its own donor, which changes nothing
    donors, _ = draw_donors(None, len(images), images.device, generator)
    boxes = draw_cutmix(policies.cutmix, len(images), _size(images), images.device, generator)
    return paste_boxes(images, boxes, donors)


def by_difficulty(images, joints, policies, fill, generator) -> Tensor:
    """Easy images are made harder, hard ones easier; before the split is known, adaptive cutout."""
    if joints.easy is None:
        return adaptive_cutout(images, joints, policies, fill, generator)
    easy = joints.easy.unsqueeze(1)
    # pasted first: what an easy image donates is not masked yet
    patches = _easy_patches(images, joints, policies, generator)
    images = paste_patches(images, replace(patches, boxes=keep_boxes(patches.boxes, ~easy)))
    mask = _EASY_MASKS[policies.easy_mask](images, joints, policies, generator)
    return fill_boxes(images, keep_boxes(mask, easy), fill)


def rand_augment(images, joints, policies, fill, generator) -> Tensor:
    """Random changes of colour (Cubuk et al., 2020)."""
    return change_colors(images, policies.colors, generator)


def _size(images: Tensor) -> tuple[int, int]:
    return images.shape[-1], images.shape[-2]


def _fixed_mask(images, joints, policies, generator) -> Boxes:
    return draw_joint_mask(policies.cutout, policies.mask_joints, joints.keypoints, _size(images), generator)


def _adaptive_mask(images, joints, policies, generator) -> Boxes:
    return draw_adaptive_cutout(policies.cutout, joints.keypoints, joints.scores, _size(images), generator)


def _easy_patches(images, joints, policies, generator) -> Patches:
    return draw_joint_paste(policies.paste, joints.keypoints, joints.weights, joints.easy, _size(images), generator)


_EASY_MASKS = {"fixed": _fixed_mask, "adaptive": _adaptive_mask}

HARD_OPERATIONS = {
    "joint_cutout": joint_cutout,
    "adaptive_cutout": adaptive_cutout,
    "joint_mask": joint_mask,
    "joint_paste": joint_paste,
    "cut_occlude": cut_occlude,
    "cutout": cutout,
    "cutmix": cutmix,
    "by_difficulty": by_difficulty,
    "rand_augment": rand_augment,
}
