"""Motion capture in .npz files, in the layout of MMPose's BaseMocapDataset: a row for each frame of each recording."""

import re
import zipfile
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import numpy as np

from semipose.errors import DataError
from semipose.lifting.cameras import Camera, camera_of
from semipose.lifting.motion import Motion, Recording

# Human3.6M as MMPose names its frames: S1_Directions_1.54138969_000001.jpg
_NAME = re.compile(r"(?P<subject>[^_.]+)_(?P<action>[^.]+)\.(?P<camera>[^_]+)_(?P<frame>\d+)")
_FRAME = re.compile(r"(\d+)$")


@dataclass(frozen=True)
class MocapSource:
    """One file, and how it is read.

    Attributes:
        file: .npz with `imgname` (n), `part` (n, K, 3: x, y, visible) and, for labels, `S` (n, K, 4: x, y, z, visible).
        cameras: by name, see `camera_of`.
        joints: K.
        unit: metres in one unit of `S`.
        world: `S` is in world coordinates, else in camera space.
        camera: name of the camera where the file names do not say it.
        keypoints_2d: .npy of a detector, (n, K, 2 or 3: x, y, score), in place of `part`; "" = none.
    """

    file: str
    cameras: dict[str, Camera] = field(repr=False)
    joints: int
    unit: float = 1.0
    world: bool = False
    camera: str = ""
    keypoints_2d: str = ""


def read_mocap(source: MocapSource) -> Motion:
    """All recordings of a file, the frames of each in order of their numbers.

    Raises:
        DataError: the file cannot be read, an array is missing or of another shape, a number is not finite, a frame
            comes twice (of two persons), or a camera is not known; the message names file and frame.
    """
    arrays = _load(source)
    names = [str(name) for name in arrays["imgname"]]
    parsed = [_parse(name, source) for name in names]
    order = {recording: number for number, recording in enumerate(dict.fromkeys(recording for recording, _ in parsed))}
    sequence = np.array([order[recording] for recording, _ in parsed], np.int32)
    frames = np.array([frame for _, frame in parsed])
    rows = np.lexsort((frames, sequence))
    again = np.flatnonzero((np.diff(sequence[rows]) == 0) & (np.diff(frames[rows]) == 0))
    if len(again):
        raise DataError(f"{source.file}: imgname {names[rows[again[0]]][:80]!a}: comes twice; one person expected")
    poses, weights = arrays["S"][..., :3] * source.unit, arrays["S"][..., 3] > 0
    cameras = [camera_of(source.cameras, r.subject, r.camera, f"{source.file}: {r}") for r in order]
    if source.world:
        poses = np.concatenate([cameras[n].from_world(pose[None]) for n, pose in zip(sequence, poses)])
    poses = np.where(weights[..., None], poses, 0)
    part = arrays["part"]
    return Motion(
        part[rows, :, :2].astype(np.float32), part[rows, :, 2].astype(np.float32), poses[rows].astype(np.float32),
        weights[rows].astype(np.float32), sequence[rows], np.stack([camera.intrinsics for camera in cameras]),
        tuple(order),
    )  # fmt: skip


def _parse(name: str, source: MocapSource) -> tuple[Recording, int]:
    """What a frame is of, and its number: as Human3.6M names it, else its folder is the recording."""
    path, where = PurePosixPath(name.replace("\\", "/")), Path(source.file).stem
    found = _NAME.fullmatch(path.stem)
    if found:
        return Recording(found["subject"], found["action"], source.camera or found["camera"], where), int(
            found["frame"]
        )
    number = _FRAME.search(path.stem)
    if not number:
        raise DataError(f"{source.file}: imgname {name[:80]!a}: ends in no frame number, such as walk/000012.jpg")
    folder = str(path.parent) if str(path.parent) != "." else path.stem[: number.start()].rstrip("_.-")
    return Recording("", folder, source.camera, where), int(number[1])


def _load(source: MocapSource) -> dict[str, np.ndarray]:
    """imgname (n,), part (n, K, 3) and S (n, K, 4), checked."""
    found = _read_npz(source.file, ("imgname", "part", "S"))
    if "imgname" not in found or not found["imgname"].size:
        raise DataError(f"{source.file}: has no imgname; arrays imgname, part and S expected")
    count = len(found["imgname"])
    if source.keypoints_2d:
        found["part"] = _read_npy(source.keypoints_2d)
    origin = source.keypoints_2d or f"{source.file}: part"
    if "part" not in found:
        raise DataError(f"{source.file}: has no part (2D keypoints), and no file of 'keypoints_2d' is given")
    found["part"] = _with_third(found["part"], 2)
    _check(found["part"], (count, source.joints, 3), origin)
    if "S" in found:
        found["S"] = _with_third(found["S"], 3)
        _check(found["S"], (count, source.joints, 4), f"{source.file}: S")
    else:
        found["S"] = np.zeros((count, source.joints, 4))
    return found


def _with_third(values: np.ndarray, size: int) -> np.ndarray:
    """Rows of `size` coordinates, with a 1 behind them where they have no visibility."""
    if values.ndim == 3 and values.shape[2] == size:
        return np.concatenate([values, np.ones_like(values[..., :1])], -1)
    return values


def _check(values: np.ndarray, shape: tuple[int, ...], where: str) -> None:
    if values.shape != shape:
        raise DataError(f"{where}: shape {values.shape}, expected {shape} (frames, keypoints of the skeleton, numbers)")
    if values.dtype.kind not in "fiu":
        raise DataError(f"{where}: holds {values.dtype}; numbers expected")
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        raise DataError(f"{where}: frame {bad[0][0]}, keypoint {bad[0][1]}: a number is not finite")


def _read_npz(file: str, names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Those of the arrays that are there; nothing in the file is executed."""
    try:
        with np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in names if name in archive.files}
    except (OSError, ValueError, zipfile.BadZipFile, AttributeError, EOFError) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise DataError(f"{file}: no .npz file of plain arrays can be read: {reason}") from error


def _read_npy(file: str) -> np.ndarray:
    try:
        values = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise DataError(f"{file}: no .npy file of numbers can be read: {reason}") from error
    if not isinstance(values, np.ndarray):
        raise DataError(f"{file}: is an .npz file; a .npy file with one array expected")
    return values
