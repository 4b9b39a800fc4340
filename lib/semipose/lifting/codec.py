"""How a network is told of a pose: 2D without pixels, 3D around a root; and back to camera space."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from semipose.lifting.cameras import INTRINSICS, directions, mirrored
from semipose.lifting.motion import LiftBatch

OFF_DIRECTION = 0.1  # unit of how far a root is off the direction that it is seen in
CENTRED_SCALE = 5.0  # limbs are small beside the place of a person in the picture, and are learned faster magnified
USUAL_DEPTH = 5.0  # metres, where training starts
LOG_DEPTHS = (-6.0, 6.0)  # of it, so 12 mm to 2 km


@dataclass(frozen=True)
class LiftCodec:
    """Maps between pixels and metres, and what networks take and give.

    Attributes:
        joints: K.
        root: indices of one joint, or of two whose middle is the root.
        remove_root: networks give all joints but the root, which is a single one.
        by_camera: 2D input as directions from the camera, the same whatever its focal length and distortion; else from
            the image centre in half widths.
        centred: 2D joints around the 2D root and magnified, and the root itself as one more point, which only the
            trajectory network sees: so a pose does not depend on where in the picture it is.
        flip_order: K indices, as of a `Skeleton`.
    """

    joints: int
    root: tuple[int, ...]
    remove_root: bool = False
    by_camera: bool = False
    centred: bool = False
    flip_order: tuple[int, ...] = ()

    @property
    def inputs(self) -> int:
        """2D points that a network takes."""
        return self.joints + int(self.centred)

    @property
    def outputs(self) -> int:
        """Joints that a network gives."""
        return self.joints - int(self.remove_root)

    def encode_points(self, points: Tensor, intrinsics: Tensor) -> Tensor:
        """Network input (..., inputs, 2) of pixels (..., K, 2), for intrinsics (..., 11)."""
        flat = directions(points, intrinsics) if self.by_camera else in_half_widths(points, intrinsics)
        if not self.centred:
            return flat
        root = self.root_of(flat)
        return torch.cat([CENTRED_SCALE * (flat - root), root], -2)

    def encode_input(self, batch: LiftBatch) -> Tensor:
        """(B, T, inputs, 2), what a network takes."""
        return self.encode_points(batch.keypoints, batch.intrinsics.unsqueeze(1))

    def root_of(self, poses: Tensor) -> Tensor:
        """(..., 1, D) of poses (..., K, D)."""
        return poses[..., list(self.root), :].mean(-2, keepdim=True)

    def relative(self, poses: Tensor) -> Tensor:
        """Poses (..., K, 3) around their root."""
        return poses - self.root_of(poses)

    def root_weight(self, weights: Tensor) -> Tensor:
        """(...,) 1 where the root of weights (..., K) is labelled, else 0."""
        return weights[..., list(self.root)].amin(-1)

    def decode_root(self, output: Tensor, points: Tensor) -> Tensor:
        """Where the root is in camera space, (..., 3), of what a trajectory network gives (..., 3) for the encoded
        points (..., inputs, 2) of its frame.

        With `by_camera` it gives how far the root is off its 2D direction, in tenths, and the logarithm of its depth in
        units of `USUAL_DEPTH`; so a root is projected near where it is seen, before anything is learned. Else it gives
        x, y and z, as VideoPose3D does.
        """
        if not self.by_camera:
            return output
        depth = USUAL_DEPTH * output[..., 2:].clamp(*LOG_DEPTHS).exp()
        root = points[..., -1, :] if self.centred else self.root_of(points).squeeze(-2)
        flat = root + OFF_DIRECTION * output[..., :2]
        return torch.cat([flat * depth, depth], -1)

    def decode(self, output: Tensor) -> Tensor:
        """Poses (..., K, 3) around their root, which is at 0, of what a network gives (..., outputs, 3)."""
        if not self.remove_root:
            return self.relative(output)
        (root,) = self.root
        return torch.cat([output[..., :root, :], torch.zeros_like(output[..., :1, :]), output[..., root:, :]], -2)

    def flip(self, batch: LiftBatch, chosen: Tensor) -> LiftBatch:
        """The batch, with the windows of the mask `chosen` (B,) seen in a mirror: 2D, 3D and camera together."""
        order = list(self.flip_order)
        width = batch.intrinsics[:, INTRINSICS.index("w")]
        pixels = {
            "keypoints": _turned(batch.keypoints[:, :, order], width.view(-1, 1, 1)),
            "points": _turned(batch.points[:, order], width.view(-1, 1)),
            "poses": self.flip_poses(batch.poses), "intrinsics": mirrored(batch.intrinsics),
            "seen": batch.seen[:, order], "weights": batch.weights[:, order],
        }  # fmt: skip
        return replace(batch, **{name: _where(chosen, new, getattr(batch, name)) for name, new in pixels.items()})

    def flip_poses(self, poses: Tensor) -> Tensor:
        """Poses (..., K, 3), as in a mirror."""
        return _turned(poses[..., list(self.flip_order), :], 0.0)


def in_half_widths(points: Tensor, intrinsics: Tensor) -> Tensor:
    """Pixels (..., K, 2) from the image centre, in half widths of the image, for intrinsics (..., 11)."""
    size = intrinsics[..., -2:].unsqueeze(-2)
    return (points - size / 2) / (size[..., :1] / 2)


def _turned(points: Tensor, width: Tensor | float) -> Tensor:
    return torch.cat([(width - points[..., 0]).unsqueeze(-1), points[..., 1:]], -1)


def _where(chosen: Tensor, new: Tensor, old: Tensor) -> Tensor:
    return torch.where(chosen.view(-1, *[1] * (new.ndim - 1)), new, old)
