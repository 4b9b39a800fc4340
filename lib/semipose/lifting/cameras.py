"""Cameras: where they stand, how they see, and the file that says so.

Camera space has x to the right, y down and z forward, in metres. Intrinsics are the 11 numbers of `INTRINSICS`, so that
a batch of them is one tensor.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from semipose.errors import DataError
from semipose.lifting.camera_pickle import read_camera_pickle
from semipose.plain_yaml import parse_yaml

# focal lengths, principal point, radial and tangential distortion as in OpenCV, image size; pixels
INTRINSICS = ("fx", "fy", "cx", "cy", "k1", "k2", "k3", "p1", "p2", "w", "h")
NEAREST = 0.1  # metres; points nearer to the camera, or behind it, are projected as from here
UNDO_STEPS = 10  # of the fixed point that undoes distortion
STRONGEST = 0.2  # of distortion: what a direction is shortened to; farther out a polynomial folds back
MAX_BYTES = 10_000_000
_LENGTHS = {"R": 9, "T": 3, "f": 2, "c": 2, "k": 3, "p": 2, "w": 1, "h": 1}
_OPTIONAL = {"R": np.eye(3), "T": np.zeros(3), "k": np.zeros(3), "p": np.zeros(2)}


@dataclass(frozen=True)
class Camera:
    """One camera.

    Attributes:
        rotation: (3, 3) from world to camera axes.
        centre: (3,) where it stands in the world, metres.
        intrinsics: (11,) float32, see `INTRINSICS`.
    """

    rotation: np.ndarray
    centre: np.ndarray
    intrinsics: np.ndarray

    def from_world(self, points: np.ndarray) -> np.ndarray:
        """Points (..., 3) of the world in camera space."""
        return (points - self.centre) @ self.rotation.T


def project(points: Tensor, intrinsics: Tensor, limit: float = float("inf")) -> Tensor:
    """Pixels (..., K, 2) of points (..., K, 3) in camera space; OpenCV's model (`cv2.projectPoints`).

    Args:
        intrinsics: (..., 11).
        limit: largest |x / z| and |y / z|, beyond which a point stays there; distortion is a polynomial that says
            nothing about points far outside the picture.
    """
    focal, centre, *_ = _parts(intrinsics)
    flat = (points[..., :2] / points[..., 2:].clamp_min(NEAREST)).clamp(-limit, limit)
    factor, shift = _distortion(flat, intrinsics)
    return (flat * factor + shift) * focal + centre


def directions(pixels: Tensor, intrinsics: Tensor) -> Tensor:
    """x / z and y / z (..., K, 2) of what is seen at `pixels` (..., K, 2): distortion is undone, as by OpenCV's
    `undistortPoints`."""
    focal, centre, *_ = _parts(intrinsics)
    bent = (pixels - centre) / focal
    flat = bent
    for _ in range(UNDO_STEPS):
        factor, shift = _distortion(flat, intrinsics)
        flat = (bent - shift) / factor.clamp_min(STRONGEST)
    return flat


def _parts(intrinsics: Tensor) -> tuple[Tensor, ...]:
    """Focal lengths, principal point, radial and tangential distortion and size, each (..., 1, n)."""
    return intrinsics.unsqueeze(-2).split((2, 2, 3, 2, 2), dim=-1)


def _distortion(flat: Tensor, intrinsics: Tensor) -> tuple[Tensor, Tensor]:
    """What directions (..., K, 2) are multiplied by (..., K, 1), and what is added (..., K, 2)."""
    _, _, radial, tangential, _ = _parts(intrinsics)
    r2 = flat.square().sum(-1, keepdim=True)
    bent = 1 + r2 * (radial[..., :1] + r2 * (radial[..., 1:2] + r2 * radial[..., 2:]))
    # x: 2 p1 x y + p2 (r2 + 2 x x); y: p1 (r2 + 2 y y) + 2 p2 x y
    across = tangential.flip(-1)
    return bent + 2 * (across * flat).sum(-1, keepdim=True), across * r2


def mirrored(intrinsics: Tensor) -> Tensor:
    """Intrinsics (..., 11) of the camera that sees the mirrored picture."""
    sign = intrinsics.new_ones(len(INTRINSICS))
    sign[[INTRINSICS.index("cx"), INTRINSICS.index("p2")]] = -1
    shift = torch.zeros_like(intrinsics)
    shift[..., INTRINSICS.index("cx")] = intrinsics[..., INTRINSICS.index("w")]
    return intrinsics * sign + shift


def read_cameras(file: str | Path, unit: float = 1.0) -> dict[str, Camera]:
    """Cameras by name, from a .json, .yaml or .pkl file: {NAME: {R, T, f, c, k, p, w, h}}.

    R (3, 3) turns world into camera axes and T (3) is where the camera stands, as in Human3.6M: camera = R (world - T).
    R, T, k and p may be left out. A name may be that of one recording, such as `S1.54138969`, or in
    a pickle ("S1", "54138969").

    Args:
        unit: metres in one unit of T.

    Raises:
        DataError: the file cannot be read, or an entry is wrong; the message names both.
    """
    path = Path(file)
    try:
        content = path.read_bytes()[: MAX_BYTES + 1]
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    if len(content) > MAX_BYTES:
        raise DataError(f"{path}: larger than {MAX_BYTES} bytes")
    rows = _parsed(content, path)
    if not isinstance(rows, dict) or not rows or not all(isinstance(row, dict) for row in rows.values()):
        raise DataError(f"{path}: {{NAME: {{R, T, f, c, k, p, w, h}}}} expected")
    return {str(name): _camera(row, f"{path}: camera {name!r}", unit) for name, row in rows.items()}


def camera_of(cameras: dict[str, Camera], subject: str, name: str, where: str) -> Camera:
    """The camera `SUBJECT.NAME` of a recording, or `NAME`, or the only one where a recording names none."""
    if not name and len(cameras) == 1:
        return next(iter(cameras.values()))
    found = cameras.get(f"{subject}.{name}", cameras.get(name))
    if found is None:
        known = ", ".join(list(cameras)[:8])
        raise DataError(f"{where}: camera {name!r} is not in the camera file; it has: {known}")
    return found


def _parsed(content: bytes, path: Path) -> object:
    if path.suffix == ".pkl":
        return read_camera_pickle(content, str(path))
    if path.suffix != ".json":
        return parse_yaml(content, str(path))
    try:
        return json.loads(content)
    except ValueError as error:
        raise DataError(f"{path}: is no JSON: {error}") from error


def _camera(row: dict, where: str, unit: float) -> Camera:
    values = {}
    for name, length in _LENGTHS.items():
        given = row.get(name, _OPTIONAL.get(name))
        try:
            values[name] = np.asarray(given, np.float64).ravel()
        except (TypeError, ValueError):
            values[name] = np.empty(0)
        if values[name].size != length or not np.isfinite(values[name]).all():
            raise DataError(f"{where}: {name} is {str(given)[:60]}; {length} numbers expected")
    if min(*values["f"], *values["w"], *values["h"]) <= 0:
        raise DataError(f"{where}: f, w and h must be above 0")
    rotation = values["R"].reshape(3, 3)
    if not np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-3):
        raise DataError(f"{where}: R is no rotation: its rows are not at right angles, or not of length 1")
    intrinsics = np.concatenate([values[name] for name in ("f", "c", "k", "p", "w", "h")]).astype(np.float32)
    return Camera(rotation, values["T"] * unit, intrinsics)
