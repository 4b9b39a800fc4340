"""What a checkpoint says of itself: its configuration, and from it a predictor."""

import logging
from collections.abc import Sequence
from pathlib import Path

import torch
import yaml
from torch import nn
from yacs.config import CfgNode

from semipose import __version__
from semipose.algorithms.algorithm import load_networks
from semipose.assemble.devices import build_device
from semipose.assemble.networks import build_algorithm, build_plan
from semipose.assemble.other_checkpoint import build_others, is_own, needs_cfg
from semipose.assemble.set_rows import bottom_up
from semipose.config import config_of_text, default_config, flat_keys, load_config, split_words, to_plain
from semipose.data.pictures import PADDING
from semipose.errors import ConfigError, ModelError
from semipose.predict import Predictor
from semipose.predict.description import Description
from semipose.skeletons import Skeleton, get_skeleton

log = logging.getLogger(__name__)

# what a checkpoint's networks depend on; valid.py takes it from the checkpoint
NETWORK_KEYS = (
    "TASK", "LIFT", "ALGORITHM", "USE_EMA", "WEIGHT", "WORST", "REWEIGHT", "PSEUDO", "TRAIN.UNSUP_START",
    "TRAIN.WARM_EPOCH", "MODEL", "DATASET.SKELETON", "DATASET.CROP_MARGIN", "DATASET.BOX_PADDING",
)  # fmt: skip
ENSEMBLE = "ensemble"
FILES = ("best.pth", "last.pth")  # of a run folder, the better one first


def find_checkpoint(path: str | Path) -> Path:
    """The checkpoint itself, or the one of a run folder: best.pth, else last.pth.

    Raises:
        ModelError: there is none.
    """
    path = Path(path)
    if not path.is_dir():
        if not path.is_file():
            raise ModelError(f"{path}: no such checkpoint or run folder")
        return path
    found = next((path / name for name in FILES if (path / name).is_file()), None)
    if found is None:
        runs = sorted(str(file.parent) for file in path.glob(f"*/{FILES[0]}"))
        hint = f"; runs below it: {', '.join(runs[:5])}" if runs else ""
        raise ModelError(f"{path}: holds neither {' nor '.join(FILES)}{hint}")
    return found


def saved_config(state: dict, source: str) -> dict:
    """The configuration in a checkpoint, by full key; raises ModelError if it holds none."""
    try:
        tree = yaml.safe_load(state["config"])
    except (KeyError, AttributeError, yaml.YAMLError):
        tree = None
    if not isinstance(tree, dict):
        raise ModelError(f"{source}: not a checkpoint of semipose: it holds no configuration")
    return flat_keys(tree)


def network_keys(state: dict, source: str) -> dict:
    """Keys and values of the configuration that made a checkpoint, as far as its networks depend on them."""
    saved = {key: value for key, value in saved_config(state, source).items() if key.startswith(NETWORK_KEYS)}
    unknown = sorted(saved.keys() - flat_keys(to_plain(default_config())).keys())
    if unknown:
        raise ModelError(f"{source}: made by another version of semipose: it has the key {unknown[0]}")
    return saved


def whole_config(state: dict, source: str, flags: dict, pairs: list[str]) -> CfgNode:
    """The configuration that made a checkpoint, with changes; raises ConfigError for a key that is not known."""
    saved_config(state, source)
    return config_of_text(state["config"], f"{source} (its configuration)", flags, pairs)


def saved_skeleton(state: dict, config: CfgNode) -> Skeleton:
    """The skeleton in a checkpoint; of an older checkpoint that of the configuration."""
    return Skeleton.from_plain(state["skeleton"]) if state.get("skeleton") else get_skeleton(config.DATASET.SKELETON)


def build_predictor(
    state: dict, source: str, which: str = "", device: torch.device | str = "cpu", flip_test: bool = False,
    cfg: Sequence[str] = (),
) -> tuple[Predictor, Description]:  # fmt: skip
    """The predictor of a checkpoint, and its description.

    Args:
        which: a name of `Algorithm.predictors`, "ensemble" for the mean of the main ones, "" for the main result.
        cfg: for checkpoints of others, as in `api.load_model`.

    Raises:
        ModelError: the checkpoint is of another version, or does not fit. ConfigError: no network of that name;
            `cfg` is missing, or given for a checkpoint that has its own.
    """
    config = _config_for(state, source, cfg)
    if config.TASK == "lift":
        raise ModelError(
            f"{source}: lifts 2D tracks to 3D and takes no pictures; give a 2D run, and this one by --lift"
        )
    skeleton = saved_skeleton(state, config)
    networks, main = scored_networks(config, state, source, skeleton)
    which = which or (ENSEMBLE if len(main) > 1 else main[0])
    groups = {name: (name,) for name in networks} | ({ENSEMBLE: main} if len(main) > 1 else {})
    if which not in groups:
        raise ConfigError(f"{source}: no network {which!r}; it has: {', '.join(groups)}")
    if flip_test and is_own(state) and saved_config(state, source).get("AUGMENT.LABELED.FLIP") == 0:
        log.warning("%s: the networks never saw mirrored pictures, so a flip test may do harm", source)
    chosen = [networks[name].to(device).eval() for name in groups[which]]
    plans = tuple(build_plan(config, skeleton, second=name.endswith("second")) for name in groups[which])
    description = Description(
        which, plans, tuple(network.codec.settings.stride for network in chosen), config.DATASET.CROP_MARGIN,
        PADDING if bottom_up(config) else config.DATASET.BOX_PADDING, skeleton, version=__version__,
    )  # fmt: skip
    return description.predictor(chosen, flip_test), description


def scored_networks(
    config: CfgNode, state: dict, source: str, skeleton: Skeleton | None = None
) -> tuple[dict[str, nn.Module], tuple[str, ...]]:
    """The networks of a checkpoint by name, on the configured device, and the names of the main ones.

    Raises:
        ModelError: they do not fit the configuration.
    """
    if is_own(state):
        algorithm = build_algorithm(config, pretrained=False, skeleton=skeleton)
        load_networks(algorithm, state, source)
        return algorithm.predictors(), algorithm.main_predictors()
    device = build_device(config.GPUS)
    networks = {name: network.to(device) for name, network in build_others(config, state, source).items()}
    return networks, tuple(networks)


def _config_for(state: dict, source: str, cfg: Sequence[str]) -> CfgNode:
    if not is_own(state):
        if not cfg:
            raise needs_cfg(source, "give its configuration: --cfg FILE..., or cfg=[FILE, ...] of load_model")
        files, pairs = split_words(cfg)
        return load_config(files, {"GPUS": "cpu"}, pairs)
    if cfg:
        raise ConfigError(f"{source}: has its own configuration; cfg is for checkpoints of others")
    return load_config([], network_keys(state, source) | {"GPUS": "cpu"})
