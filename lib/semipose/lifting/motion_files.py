"""Lifted poses as files: a csv as DeepLabCut's with z, and an npz for programs."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from semipose.errors import write_error
from semipose.predict.writers.whole_file import whole_file
from semipose.skeletons import Skeleton

ROOT = "root_in_camera"  # body part of the csv


@dataclass(frozen=True)
class Motion3D:
    """N lifted poses, a row for each frame and person, by frame.

    Attributes:
        frames, persons: (N,) numbers.
        poses: (N, K, 3) metres around the root; x right, y down, z away from the camera.
        roots: (N, 3) where the root is in camera space, metres; None without a trajectory network.
        names: of all frames, by number.
        skeleton: K keypoints.
    """

    frames: np.ndarray
    persons: np.ndarray
    poses: np.ndarray
    roots: np.ndarray | None
    names: dict[int, str]
    skeleton: Skeleton

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def people(self) -> list[int]:
        """All persons, sorted; one where there is none."""
        return np.unique(self.persons).tolist() or [0]


def write_csv(path: Path, motion: Motion3D, scorer: str) -> None:
    """Rows scorer, (individuals,) bodyparts, coords as in the 2D file; x, y, z in metres around the root, and the root
    in camera space as the body part `root_in_camera`. Raises SemiposeError if it cannot be written."""
    parts = [*motion.skeleton.keypoints, *([] if motion.roots is None else [ROOT])]
    columns = [(person, part, axis) for person in motion.people for part in parts for axis in "xyz"]
    values = motion.poses if motion.roots is None else np.concatenate([motion.poses, motion.roots[:, None]], 1)
    rows: dict[int, dict[int, np.ndarray]] = {frame: {} for frame in motion.names}
    for frame, person, own in zip(motion.frames.tolist(), motion.persons.tolist(), values):
        rows[frame][person] = own
    with whole_file(path) as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["scorer", *[scorer] * len(columns)])
        if len(motion.people) > 1:
            out.writerow(["individuals", *[f"individual{person}" for person, _, _ in columns]])
        out.writerow(["bodyparts", *[part for _, part, _ in columns]])
        out.writerow(["coords", *[axis for _, _, axis in columns]])
        for frame, found in rows.items():
            cells = [_cells(found.get(person), 3 * len(parts)) for person in motion.people]
            out.writerow([motion.names[frame], *sum(cells, [])])


def write_npz(path: Path, motion: Motion3D) -> None:
    """Arrays frame, individual (N,), poses (N, K, 3), keypoints (K,), links (L, 2), names (N,) of the pictures, and
    roots (N, 3) if they are known. Raises SemiposeError if it cannot be written."""
    arrays = {
        "frame": motion.frames, "individual": motion.persons, "poses": motion.poses.astype(np.float32),
        "keypoints": np.array(motion.skeleton.keypoints), "names": np.array([motion.names[n] for n in motion.frames]),
        "links": np.array(motion.skeleton.link_indices, np.int64).reshape(-1, 2),
    }  # fmt: skip
    arrays |= {} if motion.roots is None else {"roots": motion.roots.astype(np.float32)}
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    temporary = path.with_name(path.name + ".tmp")
    try:
        temporary.write_bytes(content.getvalue())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise write_error(error, path) from error


def _cells(values: np.ndarray | None, count: int) -> list[str]:
    return [""] * count if values is None else [f"{value:.5f}" for value in values.ravel().tolist()]
