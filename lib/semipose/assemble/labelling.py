"""What a run brings to the choice of the next pictures to label: its networks, and what it knows already."""

from pathlib import Path

import numpy as np
import torch
from yacs.config import CfgNode

from semipose.assemble.constraints import multiview_of_labels
from semipose.assemble.from_checkpoint import network_keys, saved_config, saved_skeleton, scored_networks, whole_config
from semipose.assemble.set_rows import bottom_up, choose_rows
from semipose.assemble.sources_and_sets import build_data, build_source, read_validation, source_entries
from semipose.config import load_config
from semipose.data.archives import real_path
from semipose.data.overlap import LABELLED
from semipose.data.sources import read_labeled
from semipose.data.thumbnails import read_thumbnails
from semipose.errors import ConfigError
from semipose.evaluation import boxes_are_frames
from semipose.predict import Predictor
from semipose.predict.next_to_label.committee import Committee
from semipose.predict.next_to_label.labelling_round import Known
from semipose.predict.next_to_label.shots import features_of, shots_of_persons
from semipose.skeletons import get_skeleton
from semipose.structures import Persons


def build_committee(state: dict, source: str, device: torch.device) -> Committee:
    """The networks of a checkpoint: its main ones, and for moving averages the networks that these follow.

    Raises:
        ModelError: they do not fit. ConfigError: the run is bottom-up.
    """
    config = load_config([], network_keys(state, source) | {"GPUS": "cpu"})
    if bottom_up(config):
        raise ConfigError(
            f"{source}: is bottom-up (MODEL.CODEC {config.MODEL.CODEC}); label needs a network for single persons"
        )
    skeleton = saved_skeleton(state, config)
    networks, main = scored_networks(config, state, source, skeleton)
    networks = {name: network.to(device).eval() for name, network in networks.items()}
    students = [networks[name] for name in map(_student_of, main) if name in networks]
    size, data = tuple(config.MODEL.IMAGE_SIZE), config.DATASET
    predictor = Predictor([networks[name] for name in main], skeleton, size, data.CROP_MARGIN, data.BOX_PADDING)
    mirrored = saved_config(state, source).get("AUGMENT.LABELED.FLIP", 0) > 0
    return Committee(predictor, students, mirrored)


def _student_of(name: str) -> str:
    return "student" if name == "ema" else name.removeprefix("ema_") if name.startswith("ema_") else ""


def run_config(state: dict, source: str, root: str = "") -> CfgNode:
    """The configuration of the run; `root` in place of DATASET.ROOT. Raises ConfigError for a key that is unknown."""
    return whole_config(state, source, {"GPUS": "cpu"}, ["DATASET.ROOT", root] if root else [])


def read_pool_of(config: CfgNode) -> Persons:
    """The unlabelled persons of a run, without those that validation shows.

    Raises:
        ConfigError: the run has none. DataError: a set cannot be read.
    """
    pool = build_data(config).unlabeled
    if pool is None:
        raise ConfigError(f"ALGORITHM {config.ALGORITHM} has no unlabelled pool; name the pictures: a SOURCE")
    return pool


def read_labels_of(config: CfgNode) -> Persons:
    """The labelled persons of a run. Raises DataError if they cannot be read."""
    skeleton = get_skeleton(config.DATASET.SKELETON)
    sources = [build_source(config, entry) for entry in source_entries(config, "TRAIN_SET")]
    parts = [choose_rows(config, source, read_labeled(source, skeleton), LABELLED) for source in sources]
    return Persons.concatenate(parts)


def build_known(config: CfgNode, labeled: Persons, committee: Committee) -> Known:
    """What is labelled or held out, so that it is not chosen again. Raises DataError if a set cannot be read."""
    held_out = read_validation(config) if config.DATASET.TEST_SET else {}
    paths = [str(path) for persons in (labeled, *held_out.values()) for path in _used(persons)]
    thumbnails = read_thumbnails(paths, str(Path(config.DATASET.CACHE_DIR) / "thumbnails"))
    features = features_of(committee, shots_of_persons(labeled, LABELLED))
    names = tuple(pattern for each in source_entries(config, "TEST_SET") for pattern in each["only"])
    multiview = multiview_of_labels(config, labeled)
    files, labelled = frozenset(map(real_path, paths)), labeled.keypoints[..., 2].mean(axis=0)
    return Known(files, thumbnails, features, labelled, multiview, config.DATASET.ROOT, names)


def labels_whole_pictures(labeled: Persons) -> bool:
    """Whether the boxes of the labelled persons are their whole pictures."""
    return boxes_are_frames(labeled)


def _used(persons: Persons) -> np.ndarray:
    return persons.image_paths[np.unique(persons.image_index)]
