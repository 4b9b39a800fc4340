"""2D tracks of any video, from the csv of `semipose predict` (or of DeepLabCut): unlabelled sequences."""

from pathlib import Path

import numpy as np

from semipose.data.formats.pose_csv import PoseCsv, read_pose_csv
from semipose.errors import ConfigError, DataError
from semipose.lifting.cameras import Camera
from semipose.lifting.motion import Motion, Recording
from semipose.skeletons import Skeleton


def read_tracks(file: str, skeleton: Skeleton, cameras: dict[str, Camera], camera: str) -> Motion:
    """Each individual is a sequence, and another one after each frame without it; nothing is labelled.

    A keypoint that is missing in a frame is put on a line between its neighbours in time and has `seen` 0. Else that is
    the likelihood, at most 1.

    Args:
        camera: name of the camera that took the video; "" = the only one.

    Raises:
        DataError: the file is no such csv, or holds nobody. ConfigError: no such camera.
    """
    if not camera and len(cameras) == 1:
        camera = next(iter(cameras))
    if camera not in cameras:
        raise ConfigError(f"source {file}: give its 'camera': one of {', '.join(list(cameras)[:8])}")
    table, name = read_pose_csv(file, skeleton, ignore_unknown=True), Path(file).stem
    parts = [_track(table, individual, skeleton) for individual in table.individuals]
    if table.faults:
        raise DataError(next(iter(table.faults.values())))
    numbers = _frame_numbers(table)
    keypoints, seen, sequence, recordings = [], [], [], []
    for individual, (points, found) in zip(table.individuals, parts):
        there = np.flatnonzero(found.any(1))
        cuts = np.flatnonzero(np.diff(numbers[there]) != 1) + 1
        for count, rows in enumerate(np.split(there, cuts) if len(there) else [], 1):
            keypoints.append(_filled(points[rows], found[rows] > 0))
            seen.append(found[rows])
            sequence.append(np.full(len(rows), len(recordings), np.int32))
            recordings.append(Recording(individual, name if count == 1 else f"{name} {count}", camera, name))
    if not recordings:
        raise DataError(f"{file}: no keypoint in any frame")
    seen, shape = np.concatenate(seen).astype(np.float32), (sum(map(len, seen)), len(skeleton))
    return Motion(
        np.concatenate(keypoints).astype(np.float32), seen, np.zeros((*shape, 3), np.float32),
        np.zeros(shape, np.float32), np.concatenate(sequence),
        np.stack([cameras[camera].intrinsics] * len(recordings)), tuple(recordings),
    )  # fmt: skip


def _track(table: PoseCsv, individual: str, skeleton: Skeleton) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (N, K, 2) and how far they are trusted (N, K), 0 where there are none."""
    labelled = table.keypoints(individual, skeleton)
    seen = labelled[..., 2].copy()
    for joint, name in enumerate(skeleton.keypoints):
        column = table.columns.get((individual, name), {}).get("likelihood")
        if column is not None:
            values = [float(row[column]) if _is_number(row[column]) else 0.0 for _, row in table.rows]
            seen[:, joint] *= np.clip(values, 0, 1)
    return labelled[..., :2].astype(np.float64), seen


def _frame_numbers(table: PoseCsv) -> np.ndarray:
    """(N,) of the first column, where it has numbers; else the lines follow each other."""
    names = table.names()
    return np.array([int(name) for name in names]) if all(map(str.isdecimal, names)) else np.arange(len(names))


def _filled(points: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Points (N, K, 2) with those that are not `there` (N, K) on a line between their neighbours in time; a keypoint
    that is never there is in the middle of the others."""
    filled, frames = points.copy(), np.arange(len(points))
    for joint in range(points.shape[1]):
        known = there[:, joint]
        for axis in range(2) if known.any() else ():
            filled[:, joint, axis] = np.interp(frames, frames[known], points[known, joint, axis])
    never = ~there.any(0)
    filled[:, never] = filled[:, ~never].mean(1, keepdims=True)
    return filled


def _is_number(cell: str) -> bool:
    try:
        return np.isfinite(float(cell))
    except ValueError:
        return False
