"""Lifters of a checkpoint: to be scored, and to lift the tracks of `semipose predict`."""

from pathlib import Path

import numpy as np
import torch
from torch import nn
from yacs.config import CfgNode

from semipose.algorithms.algorithm import load_networks
from semipose.assemble.from_checkpoint import find_checkpoint, network_keys, saved_config, saved_skeleton
from semipose.assemble.lifting import build_lift_validator, build_lifting, build_window_plan
from semipose.assemble.lifting_data import read_lift_set
from semipose.config import load_config
from semipose.engine.checkpoint import load_checkpoint
from semipose.errors import ConfigError, DataError, ModelError
from semipose.lifting.algorithms import Lifting
from semipose.lifting.cameras import read_cameras
from semipose.lifting.tracks import TrackLifter
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
    return {name: validator.score_each(name, networks, main) for name in validator.sets}


def build_track_lifter(run: str, keypoints: Skeleton, device: torch.device | str, camera: str = "") -> TrackLifter:
    """The lifter of a run folder or a checkpoint, for tracks of a 2D network.

    Args:
        keypoints: skeleton of the 2D network; it must have all keypoints of the lifter.
        camera: camera file, or FILE@NAME; "" = not known.

    Raises:
        ModelError: no such checkpoint, or one that does not lift.
        ConfigError: the 2D network lacks a keypoint, or the camera is needed or wrong.
    """
    source = find_checkpoint(run)
    state = load_checkpoint(source)
    if saved_config(state, str(source)).get("TASK") != "lift":
        raise ModelError(f"{source}: does not lift 2D tracks; --lift takes a run of TASK lift (docs/lifting.md)")
    config = load_config([], network_keys(state, str(source)) | {"GPUS": "cpu"})
    skeleton = saved_skeleton(state, config)
    lacking = [name for name in skeleton.keypoints if name not in keypoints.keypoints]
    if lacking:
        raise ConfigError(
            f"--lift: {source} needs {len(lacking)} keypoints that skeleton {keypoints.name!r} of the 2D network does "
            f"not have: {', '.join(lacking)}"
        )
    if config.LIFT.INPUT == "camera" and not camera:
        raise ConfigError(f"--lift: {source} was trained with LIFT.INPUT camera, so it needs the camera: --camera FILE")
    algorithm = load_lifting(config, state, str(source))
    networks: list[nn.Module] = [algorithm.predictors()[name] for name in algorithm.main_predictors()]
    networks = [getattr(network, "module", network).to(device).eval() for network in networks]  # EMAs wrap theirs
    return TrackLifter(
        tuple(networks), algorithm.recipe.codec, build_window_plan(config), skeleton,
        converter_between(keypoints, skeleton), read_intrinsics(camera) if camera else None,
        f"semipose_{source.resolve().parent.name}",
    )  # fmt: skip


def read_intrinsics(camera: str) -> np.ndarray:
    """(11,) of the camera FILE@NAME, or of the only one in FILE."""
    file, _, name = camera.partition("@")
    cameras = read_cameras(Path(file))
    if not name and len(cameras) > 1:
        raise ConfigError(f"--camera {file}: has {len(cameras)} cameras; name one: {file}@{next(iter(cameras))}")
    if name and name not in cameras:
        raise DataError(f"--camera {file}: has no camera {name!r}; it has: {', '.join(list(cameras)[:8])}")
    return cameras[name or next(iter(cameras))].intrinsics
