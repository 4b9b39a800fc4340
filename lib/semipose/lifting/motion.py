"""Frames of many sequences as arrays, and the windows of frames that a network sees."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Recording:
    """What a sequence is a recording of."""

    subject: str
    action: str
    camera: str
    source: str = ""

    @property
    def kind(self) -> str:
        """The action without the number of its take: `Directions` of `Directions_1`."""
        return re.sub(r"[_ ]\d$", "", self.action)

    def __str__(self) -> str:
        return "/".join(filter(None, (self.subject, self.action, self.camera))) or self.source


@dataclass(frozen=True)
class Motion:
    """N frames of S sequences that follow each other.

    Attributes:
        keypoints: (N, K, 2) float32, pixels.
        seen: (N, K) float32, how far a 2D keypoint is trusted, 0 = not at all.
        poses: (N, K, 3) float32, camera space in metres; 0 where there is no label.
        weights: (N, K) float32, 1 where a pose is labelled, else 0.
        sequence: (N,) int32, which sequence a frame is of; in order, so each sequence is one block.
        intrinsics: (S, 11) float32, see `cameras.INTRINSICS`.
        recordings: (S,) what they are.
    """

    keypoints: np.ndarray
    seen: np.ndarray
    poses: np.ndarray
    weights: np.ndarray
    sequence: np.ndarray
    intrinsics: np.ndarray
    recordings: tuple[Recording, ...]

    def __len__(self) -> int:
        return len(self.sequence)

    def take(self, sequences: Sequence[int]) -> "Motion":
        """These sequences, whole."""
        rows = [np.flatnonzero(self.sequence == number) for number in sequences]
        frames = np.concatenate(rows) if rows else np.empty(0, np.int64)
        per_frame = {name: getattr(self, name)[frames] for name in ("keypoints", "seen", "poses", "weights")}
        return replace(
            self, **per_frame, sequence=np.repeat(np.arange(len(rows), dtype=np.int32), list(map(len, rows))),
            intrinsics=self.intrinsics[list(sequences)], recordings=tuple(self.recordings[n] for n in sequences),
        )  # fmt: skip

    @staticmethod
    def concatenate(parts: "Sequence[Motion]") -> "Motion":
        """All sequences of several sources, in order."""
        starts = np.cumsum([0, *(len(part.recordings) for part in parts)])
        arrays = {
            field.name: np.concatenate([getattr(part, field.name) for part in parts])
            for field in fields(Motion)
            if field.name not in ("recordings", "sequence")
        }
        sequence = np.concatenate([part.sequence + start for part, start in zip(parts, starts)]).astype(np.int32)
        return Motion(**arrays, sequence=sequence, recordings=sum((part.recordings for part in parts), ()))


@dataclass(frozen=True)
class WindowPlan:
    """Which frames a network sees for a target frame.

    Attributes:
        frames: T, odd.
        step: frames from one of them to the next.
        causal: the target is the last of them, else the middle one.
        pad: at the ends of a sequence the first or last frame is repeated; else targets there are left out.
    """

    frames: int = 27
    step: int = 1
    causal: bool = False
    pad: bool = True

    @property
    def target(self) -> int:
        """Place of the target frame in a window."""
        return self.frames - 1 if self.causal else self.frames // 2

    @property
    def before(self) -> int:
        """Frames of the sequence that a window reaches back from its target."""
        return self.target * self.step

    @property
    def after(self) -> int:
        """And forward."""
        return (self.frames - 1) * self.step - self.before


def window_rows(length: int, plan: WindowPlan) -> tuple[np.ndarray, np.ndarray]:
    """The windows (W, T) of a sequence of `length` frames, and their targets (W,), as numbers of frames."""
    targets = np.arange(length) if plan.pad else np.arange(plan.before, length - plan.after)
    offsets = np.arange(plan.frames) * plan.step - plan.before
    return (targets[:, None] + offsets).clip(0, length - 1), targets


@dataclass(frozen=True)
class LiftBatch:
    """B windows of T frames, and the pose of their target frames.

    Attributes:
        keypoints: (B, T, K, 2) pixels.
        seen: (B, K) how far the keypoints of the target frame are trusted.
        points: (B, K, 2) pixels, keypoints of the target frame.
        poses: (B, K, 3) camera space, metres; 0 in an unlabelled batch.
        weights: (B, K) 1 where a pose is labelled.
        intrinsics: (B, 11).
        index: (B,) int64, row of each window.
    """

    keypoints: Tensor
    seen: Tensor
    points: Tensor
    poses: Tensor
    weights: Tensor
    intrinsics: Tensor
    index: Tensor

    def __len__(self) -> int:
        return len(self.index)

    def to(self, device: torch.device) -> "LiftBatch":
        return replace(self, **{f.name: getattr(self, f.name).to(device, non_blocking=True) for f in fields(self)})

    def without_labels(self) -> "LiftBatch":
        """The same windows with all poses and weights zero, so that no label can leak."""
        return replace(self, poses=torch.zeros_like(self.poses), weights=torch.zeros_like(self.weights))


class Windows:
    """All windows of a motion, made when they are asked for.

    Attributes:
        motion: where they are cut from.
        targets: (W,) int64, target frame of each.
    """

    def __init__(self, motion: Motion, plan: WindowPlan):
        self.motion, self.plan = motion, plan
        lengths = np.bincount(motion.sequence, minlength=len(motion.recordings))
        starts = np.cumsum([0, *lengths[:-1]])
        parts = [window_rows(int(length), plan) for length in lengths]
        self._rows = np.concatenate([rows + start for (rows, _), start in zip(parts, starts)])
        self.targets = np.concatenate([targets + start for (_, targets), start in zip(parts, starts)])

    def __len__(self) -> int:
        return len(self.targets)

    def batch(self, index: Sequence[int]) -> LiftBatch:
        """The windows of these rows."""
        index = np.asarray(index, np.int64)
        motion, target = self.motion, self.targets[index]
        arrays = (
            motion.keypoints[self._rows[index]], motion.seen[target], motion.keypoints[target], motion.poses[target],
            motion.weights[target], motion.intrinsics[motion.sequence[target]], index,
        )  # fmt: skip
        return LiftBatch(*map(torch.from_numpy, arrays))
