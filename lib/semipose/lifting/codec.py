"""How a network is told of a pose: 2D without pixels, 3D around a root; and back to camera space."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from semipose.lifting.cameras import INTRINSICS, mirrored
from semipose.lifting.motion import LiftBatch


@dataclass(frozen=True)
class LiftCodec:
    """Maps between pixels and metres, and what networks take and give.

    Attributes:
        joints: K.
        root: indices of one joint, or of two whose middle is the root.
        remove_root: networks give all joints but the root, which is a single one.
        by_camera: 2D input as directions, (pixel - c) / f, which are the same for every focal length; else from the
            image centre in half widths.
        flip_order: K indices, as of a `Skeleton`.
    """

    joints: int
    root: tuple[int, ...]
    remove_root: bool = False
    by_camera: bool = False
    flip_order: tuple[int, ...] = ()

    @property
    def outputs(self) -> int:
        """Joints that a network gives."""
        return self.joints - int(self.remove_root)

    def encode_points(self, points: Tensor, intrinsics: Tensor) -> Tensor:
        """Network input (..., K, 2) of pixels (..., K, 2), for intrinsics (..., 11)."""
        focal, centre, _, size = intrinsics.unsqueeze(-2).split((2, 2, 5, 2), dim=-1)
        if self.by_camera:
            return (points - centre) / focal
        return (points - size / 2) / (size[..., :1] / 2)

    def encode_input(self, batch: LiftBatch) -> Tensor:
        """(B, T, K, 2), what a network takes."""
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


def _turned(points: Tensor, width: Tensor | float) -> Tensor:
    return torch.cat([(width - points[..., 0]).unsqueeze(-1), points[..., 1:]], -1)


def _where(chosen: Tensor, new: Tensor, old: Tensor) -> Tensor:
    return torch.where(chosen.view(-1, *[1] * (new.ndim - 1)), new, old)
