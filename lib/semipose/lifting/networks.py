"""Networks that lift: SimpleBaseline3D for one frame, VideoPose3D for windows; and a lifter made of them."""

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from semipose.errors import ConfigError
from semipose.lifting.codec import LiftCodec

WIDTH = 3  # frames of each temporal convolution


class SimpleBaseline3D(nn.Module):
    """Two residual blocks of two layers on one frame (Martinez et al., ICCV 2017).

    Args:
        joints, outputs: points that come in (2D) and joints that go out (3D).
    """

    frames = 1

    def __init__(self, joints: int, outputs: int, channels: int = 1024, dropout: float = 0.5, blocks: int = 2):
        super().__init__()
        self.outputs = outputs
        self.expand = _dense(2 * joints, channels, dropout)
        self.blocks = nn.ModuleList(
            nn.Sequential(_dense(channels, channels, dropout), _dense(channels, channels, dropout))
            for _ in range(blocks)
        )
        self.shrink = nn.Linear(channels, 3 * outputs)

    def forward(self, windows: Tensor) -> Tensor:
        """(B, 1, K, 2) -> (B, outputs, 3)."""
        features = self.expand(windows.flatten(1))
        for block in self.blocks:
            features = features + block(features)
        return self.shrink(features).unflatten(1, (self.outputs, 3))

    def over_time(self, tracks: Tensor, step: int = 1) -> Tensor:
        """(B, L, K, 2) -> (B, L, outputs, 3): each frame on its own."""
        return self(tracks.flatten(0, 1).unsqueeze(1)).unflatten(0, tracks.shape[:2])


class VideoPose3D(nn.Module):
    """Temporal convolutions over 3, 9, 27, 81 or 243 frames (Pavllo et al., CVPR 2019).

    The same weights in two forms. A window of `frames` gives one pose: its convolutions take strides, so that nothing
    is computed that the pose does not need. A track of any length gives a pose for each window in it: its convolutions
    are dilated, so that windows share their work.

    Args:
        causal: the pose is that of the last frame, else of the middle one.
    """

    def __init__(
        self, joints: int, outputs: int, frames: int = 27, causal: bool = False, channels: int = 1024,
        dropout: float = 0.25,
    ):  # fmt: skip
        super().__init__()
        self.frames, self.outputs = frames, outputs
        self._kept = WIDTH - 1 if causal else WIDTH // 2  # which frame of each convolution goes on in the residual
        self.expand = _layer(2 * joints, channels, WIDTH, dropout)
        blocks = [
            nn.ModuleList([_layer(channels, channels, WIDTH, dropout), _layer(channels, channels, 1, dropout)])
            for _ in range(_levels(frames) - 1)
        ]
        self.blocks = nn.ModuleList(blocks)
        self.shrink = nn.Conv1d(channels, 3 * outputs, 1)

    def forward(self, windows: Tensor) -> Tensor:
        """(B, frames, K, 2) -> (B, outputs, 3): the strided form."""
        features = _convolved(self.expand, windows.flatten(2).transpose(1, 2), stride=WIDTH)
        for wide, narrow in self.blocks:
            kept = features[..., self._kept :: WIDTH]
            features = kept + _convolved(narrow, _convolved(wide, features, stride=WIDTH))
        return self.shrink(features).squeeze(-1).unflatten(1, (self.outputs, 3))

    def over_time(self, tracks: Tensor, step: int = 1) -> Tensor:
        """(B, L, K, 2) -> (B, L - (frames - 1) * step, outputs, 3): the dilated form.

        Args:
            step: frames of the track from one frame of a window to the next.
        """
        features = _convolved(self.expand, tracks.flatten(2).transpose(1, 2), dilation=step)
        for wide, narrow in self.blocks:
            step *= WIDTH
            end = features.shape[-1] - (WIDTH - 1 - self._kept) * step
            kept = features[..., self._kept * step : end]
            features = kept + _convolved(narrow, _convolved(wide, features, dilation=step))
        return self.shrink(features).transpose(1, 2).unflatten(2, (self.outputs, 3))


class Lifted(NamedTuple):
    """What a lifter gives: poses (..., K, 3) around their root, and where the root is in camera space (..., 3), or
    None without a trajectory network; metres."""

    poses: Tensor
    roots: Tensor | None


class Lifter(nn.Module):
    """A network for the pose and, for the semi-supervised form, one for the trajectory of its root.

    Args:
        target: which frame of a window the pose is of.
    """

    def __init__(self, codec: LiftCodec, pose: nn.Module, trajectory: nn.Module | None = None, target: int = 0):
        super().__init__()
        self.codec, self.pose, self.trajectory, self.target = codec, pose, trajectory, target

    def forward(self, windows: Tensor) -> Lifted:
        """Of encoded windows (B, T, K, 2)."""
        poses = self.codec.decode(self.pose(windows[:, :, : self.codec.joints]))
        if self.trajectory is None:
            return Lifted(poses, None)
        roots = self.trajectory(windows).squeeze(-2)
        return Lifted(poses, self.codec.decode_root(roots, windows[:, self.target]))

    def over_time(self, tracks: Tensor, step: int = 1) -> Lifted:
        """Of encoded tracks (B, L, K, 2), for each whole window in them."""
        poses = self.codec.decode(self.pose.over_time(tracks[:, :, : self.codec.joints], step))
        if self.trajectory is None:
            return Lifted(poses, None)
        roots, start = self.trajectory.over_time(tracks, step).squeeze(-2), self.target * step
        return Lifted(poses, self.codec.decode_root(roots, tracks[:, start : start + roots.shape[1]]))


def _dense(inputs: int, outputs: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs), nn.ReLU(), nn.Dropout(dropout))


def _layer(inputs: int, outputs: int, width: int, dropout: float) -> nn.Sequential:
    convolution = nn.Conv1d(inputs, outputs, width, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm1d(outputs), nn.ReLU(), nn.Dropout(dropout))


def _convolved(layer: nn.Sequential, features: Tensor, stride: int = 1, dilation: int = 1) -> Tensor:
    convolution, *rest = layer
    features = F.conv1d(features, convolution.weight, stride=stride, dilation=dilation)
    for part in rest:
        features = part(features)
    return features


def _levels(frames: int) -> int:
    """How many convolutions see so many frames; raises ConfigError for a number that is no power of 3."""
    levels = 1
    while WIDTH**levels < frames:
        levels += 1
    if WIDTH**levels != frames:
        raise ConfigError(f"LIFT.FRAMES is {frames}; videopose3d takes 3, 9, 27, 81 or 243")
    return levels
