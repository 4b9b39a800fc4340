"""Paths in a configuration: `~` and environment variables stand for what they are on this machine."""

import os
import re

from yacs.config import CfgNode

from semipose.errors import ConfigError

PATHS = (
    "OUTPUT_DIR", "DATASET.ROOT", "DATASET.SKELETON", "DATASET.TRAIN_SET", "DATASET.TRAIN_IMAGES",
    "DATASET.TRAIN_UNSUP_SET", "DATASET.TEST_SET", "DATASET.TEST_IMAGES", "DATASET.LINKS", "DATASET.CACHE_DIR",
    "MODEL.PRETRAINED", "MODEL.SECOND.PRETRAINED", "TEST.COCO_BBOX_FILE", "LIFT.CAMERAS",
)  # fmt: skip
SOURCE_PATHS = (
    "annotation", "images", "skeleton", "exclude", "only", "group_id_mapping_file", "boxes", "head_boxes",
    "keypoints_2d",
)  # fmt: skip
_VARIABLE = re.compile(r"\$(\w+|\{[^}]*\})")


def expand_paths(config: CfgNode) -> None:
    """Expand `~`, `$HOME` and `${HOME}` in all paths, in place; raises ConfigError for a variable that is not set."""
    for full in PATHS:
        *sections, name = full.split(".")
        node = config
        for section in sections:
            node = node[section]
        node[name] = _expanded(node[name], full)


def _expanded(value: object, full: str) -> object:
    if isinstance(value, list):
        return [_expanded(item, full) for item in value]
    if isinstance(value, dict):
        return {key: _expanded(item, f"{full}.{key}") if key in SOURCE_PATHS else item for key, item in value.items()}
    if full == "DATASET.SKELETON" and value.startswith("{"):  # the skeleton itself
        return value
    path = os.path.expanduser(os.path.expandvars(value))
    unknown = _VARIABLE.search(path)
    if unknown:
        raise ConfigError(f"{full}: {value!r}: the environment has no variable {unknown.group()}")
    return path
