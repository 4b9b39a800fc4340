"""What a run that lifts trains and validates on: sets of whole sequences."""

import hashlib
import os
from dataclasses import dataclass
from fnmatch import fnmatch

import numpy as np
from yacs.config import CfgNode

from semipose import __version__
from semipose.config.source_keys import SOURCE
from semipose.errors import ConfigError, DataError
from semipose.lifting.algorithms import LIFT_ALGORITHMS, LiftEntry
from semipose.lifting.cameras import read_cameras
from semipose.lifting.mocap import MocapSource, read_mocap
from semipose.lifting.motion import Motion
from semipose.lifting.track_csv import read_tracks
from semipose.skeletons import get_skeleton

UNITS = {"m": 1.0, "mm": 0.001}


@dataclass(frozen=True)
class LiftData:
    """What a run trains and validates on; `report` says how much of it."""

    labeled: Motion
    unlabeled: Motion | None
    validation: dict[str, Motion]

    @property
    def report(self) -> str:
        lines = {"labelled": self.labeled} | ({} if self.unlabeled is None else {"unlabelled": self.unlabeled})
        lines |= {f"validation {name}": motion for name, motion in self.validation.items()}
        return "\n".join(f"{name:16} {len(m.recordings):6} sequences {len(m):8} frames" for name, m in lines.items())


def lift_entry(config: CfgNode) -> LiftEntry:
    """The entry in the table of algorithms that lift; raises ConfigError listing the known names."""
    if config.ALGORITHM not in LIFT_ALGORITHMS:
        raise ConfigError(f"ALGORITHM is {config.ALGORITHM!r}; allowed with TASK lift: {', '.join(LIFT_ALGORITHMS)}")
    return LIFT_ALGORITHMS[config.ALGORITHM]


def build_lift_data(config: CfgNode) -> LiftData:
    """Read all sources; sets are of whole sequences.

    Raises:
        DataError: a source is missing or broken, nothing is labelled, or a validation sequence is trained on.
        ConfigError: a source is described wrongly.
    """
    whole = Motion.concatenate(list(read_lift_set(config, "TRAIN_SET").values()))
    labeled = whole.take(range(len(whole.recordings))[: config.DATASET.TRAIN_LEN or None])
    if not labeled.weights.any():
        raise DataError("the labelled set has no 3D pose (array S; see DATASET.TRAIN_SET)")
    unlabeled = None
    if lift_entry(config).takes_unlabeled:
        pool = read_lift_set(config, "TRAIN_UNSUP_SET")
        unlabeled = Motion.concatenate(list(pool.values())) if pool else whole
    validation = read_lift_set(config, "TEST_SET")
    for name, motion in validation.items():
        if not motion.weights.any():
            raise DataError(f"validation set {name!r} has no 3D pose (array S; see DATASET.TEST_SET)")
        _refuse_shared(name, motion, [labeled] if unlabeled is None else [labeled, unlabeled])
    return LiftData(labeled, unlabeled, validation)


def read_lift_set(config: CfgNode, key: str) -> dict[str, Motion]:
    """The sequences of each source of a set, by its name."""
    found = {}
    for entry in _entries(config, key):
        if entry["name"] in found:
            raise ConfigError(f"DATASET.{key}: two sources have the name {entry['name']!r}; give each its own 'name'")
        found[entry["name"]] = _chosen(_read_source(config, entry), entry)
    return found


def _entries(config: CfgNode, key: str) -> list[dict]:
    """All keys of each source of a set."""
    value = config.DATASET[key]
    entries = ([value] if value else []) if isinstance(value, str) else value
    if not entries and key == "TRAIN_SET":
        raise ConfigError(f"DATASET.{key} names no source")
    entries = [SOURCE | ({"annotation": entry} if isinstance(entry, str) else entry) for entry in entries]
    for entry in entries:
        entry["name"] = entry["name"] or os.path.splitext(os.path.basename(entry["annotation"]))[0]
    return entries


def _read_source(config: CfgNode, entry: dict) -> Motion:
    root, unit = config.DATASET.ROOT, UNITS[config.LIFT.UNIT]
    cameras = read_cameras(os.path.join(root, config.LIFT.CAMERAS), unit)
    skeleton, file = get_skeleton(config.DATASET.SKELETON), os.path.join(root, entry["annotation"])
    if file.lower().endswith(".csv"):
        return read_tracks(file, skeleton, cameras, entry["camera"])
    keypoints_2d = entry["keypoints_2d"] and os.path.join(root, entry["keypoints_2d"])
    return read_mocap(
        MocapSource(
            file, cameras, len(skeleton), unit, config.LIFT.SPACE == "world",
            entry["camera"], keypoints_2d,
        )
    )  # fmt: skip


def _chosen(motion: Motion, entry: dict) -> Motion:
    """The sequences that `exclude`, `start` and `length` leave."""
    names = [str(recording) for recording in motion.recordings]
    kept = [n for n, name in enumerate(names) if not any(fnmatch(name, pattern) for pattern in entry["exclude"])]
    kept = kept[entry["start"] :][: entry["length"] or None]
    if not kept:
        raise DataError(f"source {entry['name']!r}: no sequence is left of {len(names)}: exclude, start, length")
    return motion.take(kept)


def _refuse_shared(name: str, validation: Motion, training: list[Motion]) -> None:
    """Raises DataError for a sequence of validation that is trained on, with these 2D keypoints or with others."""
    known = set().union(*(_contents(motion, n) for motion in training for n in range(len(motion.recordings))))
    shared = [str(r) for n, r in enumerate(validation.recordings) if _contents(validation, n) & known]
    if shared:
        raise DataError(f"validation set {name!r}: {len(shared)} sequences are trained on too, such as {shared[0]}")


def _contents(motion: Motion, number: int) -> set[bytes]:
    """Keys of the 2D keypoints of a sequence and, if there are any, of its 3D poses."""
    own = motion.sequence == number
    arrays = [motion.keypoints[own]] + ([motion.poses[own]] if motion.weights[own].any() else [])
    return {hashlib.sha256(array.tobytes()).digest() for array in arrays}


def labelled_sequences(config: CfgNode, data: LiftData) -> dict:
    """What the labelled side is, for labeled.json."""
    return {"version": __version__, "sequences": [[r.source, str(r)] for r in data.labeled.recordings]}


def training_key(data: LiftData) -> str:
    """A key that changes with any track or label that is trained on."""
    digest = hashlib.sha256()
    for motion in (data.labeled, data.unlabeled):
        if motion is not None:
            arrays = (motion.keypoints, motion.seen, motion.sequence, motion.intrinsics)
            for array in arrays + ((motion.poses, motion.weights) if motion is data.labeled else ()):
                digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]
