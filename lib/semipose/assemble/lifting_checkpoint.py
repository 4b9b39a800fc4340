"""Lifters of a checkpoint: to be scored, and to lift the tracks of `semipose predict`."""

from pathlib import Path

import numpy as np
import torch
from yacs.config import CfgNode

from semipose.algorithms.algorithm import load_networks
from semipose.assemble.from_checkpoint import find_checkpoint, network_keys, saved_config, saved_skeleton
from semipose.assemble.lifting import build_lift_validator, build_lifting, build_window_plan
from semipose.assemble.lifting_data import read_lift_set
from semipose.assemble.other_checkpoint import is_own
from semipose.config import load_config
from semipose.engine.checkpoint import load_checkpoint
from semipose.errors import ConfigError, DataError, ModelError
from semipose.lifting.algorithms import Lifting
from semipose.lifting.cameras import read_cameras
from semipose.lifting.export import ExportedLifter, export_onnx
from semipose.lifting.networks import Lifter
from semipose.lifting.tracks import TrackLifter
from semipose.lifting.validator import ENSEMBLE
from semipose.skeletons import Skeleton, converter_between


def load_lifting(config: CfgNode, state: dict, source: str) -> Lifting:
    """The networks of a checkpoint, on the configured device; raises ModelError where they do not fit."""
    algorithm = build_lifting(config, saved_skeleton(state, config))
    load_networks(algorithm, state, source)
    return algorithm


def score_lifting(config: CfgNode, state: dict, source: str) -> dict[str, dict[str, dict[str, float]]]:
    """All metrics of each network, by set and network; the main result comes last."""
    algorithm = load_lifting(config, state, source)
    validation = read_lift_set(config, "TEST_SET")
    if not validation:
        raise ConfigError("DATASET.TEST_SET is empty: there is nothing to validate on")
    validator = build_lift_validator(config, validation, algorithm.recipe.codec)
    networks, main = algorithm.predictors(), algorithm.main_predictors()
    return {name: validator.score_each(entry, networks, main) for name, entry in validator.sets.items()}


def build_track_lifter(run: str, keypoints: Skeleton, device: torch.device | str, camera: str = "") -> TrackLifter:
    """The lifter of a run folder or a checkpoint, for tracks of a 2D network.

    Args:
        keypoints: skeleton of the 2D network; it must have all keypoints of the lifter.
        camera: camera file, or FILE@NAME; "" = not known.

    Raises:
        ModelError: no such checkpoint, or one that does not lift.
        ConfigError: the 2D network lacks a keypoint, or the camera is needed or wrong.
    """
    source, state = open_checkpoint(run)
    if not lifts(state, source):
        raise ModelError(f"{source}: does not lift 2D tracks; --lift takes a run of TASK lift (docs/lifting.md)")
    config, algorithm = open_lifter(state, source)
    skeleton = saved_skeleton(state, config)
    lacking = [name for name in skeleton.keypoints if name not in keypoints.keypoints]
    if lacking:
        raise ConfigError(
            f"--lift: {source} needs {len(lacking)} keypoints that skeleton {keypoints.name!r} of the 2D network does "
            f"not have: {', '.join(lacking)}"
        )
    if config.LIFT.INPUT == "camera" and not camera:
        raise ConfigError(f"--lift: {source} was trained with LIFT.INPUT camera, so it needs the camera: --camera FILE")
    return TrackLifter(
        tuple(network.to(device) for network in main_lifters(algorithm)), algorithm.recipe.codec,
        build_window_plan(config), skeleton, keypoints,
        converter_between(keypoints, skeleton), read_intrinsics(camera) if camera else None,
        f"semipose_{source.resolve().parent.name}",
    )  # fmt: skip


def open_checkpoint(run: str) -> tuple[Path, dict]:
    """The checkpoint of a run folder, or the file itself, and what is in it."""
    source = find_checkpoint(run)
    return source, load_checkpoint(source)


def lifts(state: dict, source: Path) -> bool:
    """Whether a checkpoint is of a run that lifts."""
    return is_own(state) and saved_config(state, str(source)).get("TASK") == "lift"


def open_lifter(state: dict, source: Path) -> tuple[CfgNode, Lifting]:
    """Configuration, as far as networks depend on it, and networks of a checkpoint, on the CPU."""
    config = load_config([], network_keys(state, str(source)) | {"GPUS": "cpu"})
    return config, load_lifting(config, state, str(source))


def main_lifters(algorithm: Lifting, which: str = "") -> tuple[Lifter, ...]:
    """The lifters whose mean is the main result, or the one named, in eval mode; ConfigError for another name."""
    networks, main = algorithm.predictors(), algorithm.main_predictors()
    chosen = main if which in ("", ENSEMBLE) else (which,)
    if which not in ("", *networks) and not (which == ENSEMBLE and len(main) > 1):
        raise ConfigError(f"no network {which!r}; it has: {', '.join(networks)}")
    return tuple(getattr(networks[name], "module", networks[name]).eval() for name in chosen)  # EMAs wrap theirs


def export_lifter(run: str, out: Path, which: str = "") -> str:
    """Write the lifter of a run as an ONNX file; returns a line on what was written and how near it is."""
    source, state = open_checkpoint(run)
    config, algorithm = open_lifter(state, source)
    lifter = ExportedLifter(main_lifters(algorithm, which), algorithm.recipe.codec, build_window_plan(config))
    far = export_onnx(lifter, saved_skeleton(state, config), out)
    return f"{out}: lifter of {source}, {out.stat().st_size / 2**20:.1f} MiB, at most {far:.2g} m from the checkpoint"


def read_intrinsics(camera: str) -> np.ndarray:
    """(11,) of the camera FILE@NAME, or of the only one in FILE."""
    file, _, name = camera.partition("@")
    cameras = read_cameras(Path(file))
    if not name and len(cameras) > 1:
        raise ConfigError(f"--camera {file}: has {len(cameras)} cameras; name one: {file}@{next(iter(cameras))}")
    if name and name not in cameras:
        raise DataError(f"--camera {file}: has no camera {name!r}; it has: {', '.join(list(cameras)[:8])}")
    return cameras[name or next(iter(cameras))].intrinsics
