"""What a checkpoint says of itself: its configuration, and from it a predictor."""

import logging
from pathlib import Path

import torch
import yaml
from yacs.config import CfgNode

from semipose import __version__
from semipose.algorithms.algorithm import load_networks
from semipose.assemble.networks import build_algorithm, build_plan
from semipose.config import config_of_text, default_config, flat_keys, load_config, to_plain
from semipose.errors import ConfigError, ModelError
from semipose.predict import Predictor
from semipose.predict.description import Description
from semipose.skeletons import Skeleton, get_skeleton

log = logging.getLogger(__name__)

# what a checkpoint's networks depend on; valid.py takes it from the checkpoint
NETWORK_KEYS = (
    "ALGORITHM", "USE_EMA", "WEIGHT", "WORST", "REWEIGHT", "PSEUDO", "TRAIN.UNSUP_START", "TRAIN.WARM_EPOCH", "MODEL",
    "DATASET.SKELETON", "DATASET.CROP_MARGIN",
    "DATASET.BOX_PADDING",
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
    state: dict, source: str, which: str = "", device: torch.device | str = "cpu", flip_test: bool = False
) -> tuple[Predictor, Description]:
    """The predictor of a checkpoint, and its description.

    Args:
        which: a name of `Algorithm.predictors`, "ensemble" for the mean of the main ones, "" for the main result.

    Raises:
        ModelError: the checkpoint is of another version. ConfigError: no network of that name.
    """
    config = load_config([], network_keys(state, source) | {"GPUS": "cpu"})
    skeleton = saved_skeleton(state, config)
    algorithm = build_algorithm(config, pretrained=False, skeleton=skeleton)
    load_networks(algorithm, state, source)
    networks, main = algorithm.predictors(), algorithm.main_predictors()
    which = which or (ENSEMBLE if len(main) > 1 else main[0])
    groups = {name: (name,) for name in networks} | ({ENSEMBLE: main} if len(main) > 1 else {})
    if which not in groups:
        raise ConfigError(f"{source}: no network {which!r}; it has: {', '.join(groups)}")
    if flip_test and saved_config(state, source).get("AUGMENT.LABELED.FLIP") == 0:
        log.warning("%s: the networks never saw mirrored pictures, so a flip test may do harm", source)
    chosen = [networks[name].to(device).eval() for name in groups[which]]
    plans = tuple(build_plan(config, skeleton, second=name.endswith("second")) for name in groups[which])
    description = Description(
        which, plans, tuple(network.codec.settings.stride for network in chosen), config.DATASET.CROP_MARGIN,
        config.DATASET.BOX_PADDING, skeleton, version=__version__,
    )  # fmt: skip
    return description.predictor(chosen, flip_test), description
