"""Sources and data sets of a run."""

import os
from dataclasses import dataclass
from pathlib import Path

from yacs.config import CfgNode

from semipose.algorithms import ALGORITHMS, Algorithm
from semipose.data.context_crops import ContextCrops
from semipose.data.crop_cache import make_crop_source
from semipose.data.person_dataset import PersonDataset
from semipose.data.readers import (
    has_annotation,
    locate_coco,
    read_coco,
    read_detections,
    read_folder,
    read_unlabeled_coco,
)
from semipose.data.report import DataReport, report_data
from semipose.errors import ConfigError
from semipose.skeletons import Skeleton, get_skeleton
from semipose.structures import Persons


@dataclass(frozen=True)
class RunData:
    """The persons of a run; `unlabeled` is None for a supervised algorithm."""

    labeled: Persons
    unlabeled: Persons | None
    validation: Persons
    report: DataReport


def algorithm_type(config: CfgNode) -> type[Algorithm]:
    """The class in the table; raises ConfigError listing the known names."""
    if config.ALGORITHM not in ALGORITHMS:
        raise ConfigError(f"ALGORITHM is {config.ALGORITHM!r}; allowed: {', '.join(ALGORITHMS)}")
    return ALGORITHMS[config.ALGORITHM]


def build_data(config: CfgNode) -> RunData:
    """Read all sources and check them against each other.

    Raises:
        DataError: a source is missing or broken, a set is empty, or validation images are trained on.
    """
    data, skeleton = config.DATASET, get_skeleton(config.DATASET.SKELETON)
    train = read_coco(*locate_coco(data.ROOT, data.TRAIN_SET, data.TRAIN_IMAGES), skeleton)
    if len(train) < data.TRAIN_LEN:
        raise ConfigError(f"DATASET.TRAIN_LEN is {data.TRAIN_LEN}; {data.TRAIN_SET} has {len(train)} persons")
    labeled = train.take(slice(0, data.TRAIN_LEN)) if data.TRAIN_LEN else train
    unlabeled = None
    if algorithm_type(config).uses_unlabeled:
        sources = [_read_unlabeled(data.ROOT, name, skeleton) for name in data.TRAIN_UNSUP_SET]
        unlabeled = Persons.concatenate(sources) if sources else train
    validation = read_validation(config)
    return RunData(labeled, unlabeled, validation, report_data(labeled, unlabeled, validation))


def read_validation(config: CfgNode) -> Persons:
    """The validation persons, with ground-truth or detector boxes."""
    data, skeleton = config.DATASET, get_skeleton(config.DATASET.SKELETON)
    located = locate_coco(data.ROOT, data.TEST_SET, data.TEST_IMAGES)
    if config.TEST.USE_GT_BBOX:
        return read_coco(*located, skeleton)
    if not config.TEST.COCO_BBOX_FILE:
        raise ConfigError("TEST.USE_GT_BBOX is False but TEST.COCO_BBOX_FILE names no detections")
    boxes = os.path.join(data.ROOT, config.TEST.COCO_BBOX_FILE)
    return read_detections(boxes, *located, skeleton, config.TEST.BBOX_THRESHOLD)


def _read_unlabeled(root: str, name: str, skeleton: Skeleton) -> Persons:
    folder = os.path.join(root, name)
    if os.path.isdir(folder) and not has_annotation(root, name):
        return read_folder(folder, len(skeleton))
    return read_unlabeled_coco(*locate_coco(root, name), skeleton)


def build_dataset(config: CfgNode, persons: Persons, on_fault: str, labeled: bool = False) -> PersonDataset:
    """Context crops of `persons` from the configured cache."""
    skeleton = get_skeleton(config.DATASET.SKELETON)
    crops = ContextCrops(
        persons, tuple(config.MODEL.IMAGE_SIZE), config.DATASET.CROP_MARGIN, config.DATASET.BOX_PADDING
    )
    source = make_crop_source(crops, config.DATASET.CACHE, Path(config.DATASET.CACHE_DIR))
    weighted = labeled and config.LOSS.USE_KEYPOINT_WEIGHTS
    return PersonDataset(source, skeleton.keypoint_weights if weighted else [1.0] * len(skeleton), on_fault)
