"""Sources and data sets of a run."""

import os
from dataclasses import dataclass
from pathlib import Path

from yacs.config import CfgNode

from semipose.algorithms import ALGORITHMS, AlgorithmEntry
from semipose.config.convert import convert
from semipose.config.load import skeleton_file
from semipose.config.source_keys import SOURCE
from semipose.data.context_crops import ContextCrops
from semipose.data.crop_cache import make_crop_source
from semipose.data.person_dataset import PersonDataset
from semipose.data.source_mix import SourceMix
from semipose.data.sources import OWN_SKELETONS, Source, chosen_persons, guess_format, read_labeled, read_own, read_pool
from semipose.data.summary import DataReport, report_data
from semipose.errors import ConfigError, DataError
from semipose.runtime.ranks import local_ranks
from semipose.skeletons import Skeleton, get_skeleton
from semipose.structures import Persons


@dataclass(frozen=True)
class RunData:
    """The persons of a run; `unlabeled` is None for a supervised algorithm.

    Attributes:
        labeled, unlabeled: the sources of each side, one after the other.
        labeled_mix, unlabeled_mix: how batches are drawn from the sources of a side.
        validation: by the name of the source, in its own skeleton.
    """

    labeled: Persons
    unlabeled: Persons | None
    labeled_mix: SourceMix
    unlabeled_mix: SourceMix | None
    validation: dict[str, Persons]
    report: DataReport


def algorithm_entry(config: CfgNode) -> AlgorithmEntry:
    """The entry in the table of algorithms; raises ConfigError listing the known names."""
    if config.ALGORITHM not in ALGORITHMS:
        raise ConfigError(f"ALGORITHM is {config.ALGORITHM!r}; allowed: {', '.join(ALGORITHMS)}")
    return ALGORITHMS[config.ALGORITHM]


def build_data(config: CfgNode) -> RunData:
    """Read all sources and check them against each other.

    Raises:
        DataError: a source is missing or broken, a set is empty, or validation images are trained on.
        ConfigError: a source is described wrongly.
    """
    skeleton = get_skeleton(config.DATASET.SKELETON)
    entries = source_entries(config, "TRAIN_SET")
    sources = [build_source(config, entry) for entry in entries]
    whole = [read_labeled(source, skeleton) for source in sources]
    train = [chosen_persons(source, persons) for source, persons in zip(sources, whole)]
    labeled, unlabeled = Persons.concatenate(train), None
    pool_entries, pool = entries, whole
    if algorithm_entry(config).takes_unlabeled:
        if config.DATASET.TRAIN_UNSUP_SET:
            pool_entries, pool = _read_pool(config, skeleton)
        unlabeled = Persons.concatenate(pool)
    validation = read_validation(config)
    report = report_data(labeled, unlabeled, list(validation.values()))
    unlabeled_mix = None if unlabeled is None else build_mix(pool_entries, pool)
    return RunData(labeled, unlabeled, build_mix(entries, train), unlabeled_mix, validation, report)


def read_validation(config: CfgNode) -> dict[str, Persons]:
    """The persons of each validation set, with ground-truth or detector boxes, by the name of its source.

    Raises:
        DataError: a set has no person.
        ConfigError: two sources have the same name, or detections are asked for and not named.
    """
    persons = {}
    for source in build_test_sources(config):
        if source.name in persons:
            raise ConfigError(f"DATASET.TEST_SET: two sources have the name {source.name!r}; give each its own 'name'")
        persons[source.name] = chosen_persons(source, read_own(source))
        if not len(persons[source.name]):
            raise DataError(f"validation set {source.name!r} has no person (see DATASET.TEST_SET)")
    return persons


def build_test_sources(config: CfgNode) -> list[Source]:
    """The sources of DATASET.TEST_SET; if TEST.USE_GT_BBOX is False, with the boxes of TEST.COCO_BBOX_FILE."""
    test, entries = config.TEST, source_entries(config, "TEST_SET")
    if not test.USE_GT_BBOX and not all(entry["boxes"] for entry in entries):
        if not test.COCO_BBOX_FILE:
            raise ConfigError("TEST.USE_GT_BBOX is False but TEST.COCO_BBOX_FILE names no detections")
        if len(entries) > 1:
            raise ConfigError("TEST.COCO_BBOX_FILE is for one validation set; give each source its own 'boxes'")
        kinds = [convert(0, kind, "TEST.BBOX_CATEGORIES", "configuration") for kind in test.BBOX_CATEGORIES]
        boxes = {"boxes": test.COCO_BBOX_FILE, "box_threshold": test.BBOX_THRESHOLD, "box_categories": kinds}
        entries[0] |= boxes
    return [build_source(config, entry) for entry in entries]


def source_entries(config: CfgNode, key: str) -> list[dict]:
    """All keys of each source of one of the three SETs; a plain name also takes TRAIN_IMAGES or TEST_IMAGES."""
    data = config.DATASET
    value = data[key]
    entries = [value] if isinstance(value, str) else value
    if not entries and key != "TRAIN_UNSUP_SET":
        raise ConfigError(f"DATASET.{key} names no source")
    folder = {"TRAIN_SET": data.TRAIN_IMAGES, "TEST_SET": data.TEST_IMAGES}.get(key, "")
    plain = {"images": folder if len(entries) == 1 else ""}
    entries = [SOURCE | ({"annotation": e} | plain if isinstance(e, str) else e) for e in entries]
    for entry in entries:
        entry["name"] = entry["name"] or _stem(entry["annotation"])
        entry["format"] = entry["format"] or guess_format(data.ROOT, entry["annotation"], key == "TRAIN_UNSUP_SET")
    if key == "TRAIN_SET" and data.TRAIN_LEN:
        if len(entries) > 1 or entries[0]["length"]:
            raise ConfigError("DATASET.TRAIN_LEN is for one TRAIN_SET without 'length'; give each source its 'length'")
        entries[0]["length"] = data.TRAIN_LEN
    return entries


def build_source(config: CfgNode, entry: dict) -> Source:
    """The source that all keys of one entry describe."""
    data = config.DATASET
    own = entry["format"] if entry["format"] in OWN_SKELETONS else data.SKELETON
    skeleton = get_skeleton(skeleton_file(data.ROOT, entry["skeleton"] or own))
    places = {"root": data.ROOT, "frames": os.path.join(data.CACHE_DIR, "frames")}
    fields = Source.__dataclass_fields__.keys() & entry.keys()
    return Source(**{name: entry[name] for name in fields} | places | {"skeleton": skeleton})


def build_mix(entries: list[dict], persons: list[Persons]) -> SourceMix:
    """How the batches of one side are drawn from its sources."""
    ratios = tuple(entry["sample_ratio_factor"] for entry in entries)
    shares = tuple(entry["source_ratio"] for entry in entries)
    return SourceMix(
        lengths=tuple(map(len, persons)),
        ratios=None if set(ratios) == {1} else ratios,
        shares=shares if any(shares) else None,
        names=tuple(entry["name"] for entry in entries),
    )


def _read_pool(config: CfgNode, skeleton: Skeleton) -> tuple[list[dict], list[Persons]]:
    entries = source_entries(config, "TRAIN_UNSUP_SET")
    sources = [build_source(config, entry) for entry in entries]
    return entries, [chosen_persons(source, read_pool(source, skeleton)) for source in sources]


def _stem(annotation: str) -> str:
    name = os.path.basename(os.path.normpath(annotation))
    return os.path.splitext(name)[0] if "." in name else name


def build_crops(config: CfgNode, persons: Persons) -> ContextCrops:
    """Where the context crop of each person lies in its image."""
    data = config.DATASET
    return ContextCrops(persons, tuple(config.MODEL.IMAGE_SIZE), data.CROP_MARGIN, data.BOX_PADDING)


def build_dataset(config: CfgNode, persons: Persons, on_fault: str, labeled: bool = False) -> PersonDataset:
    """Context crops of `persons` from the configured cache."""
    cache, folder = config.DATASET.CACHE, Path(config.DATASET.CACHE_DIR)
    source = make_crop_source(build_crops(config, persons), cache, folder, local_ranks())
    weighted = labeled and config.LOSS.USE_KEYPOINT_WEIGHTS
    weights = get_skeleton(config.DATASET.SKELETON).keypoint_weights if weighted else [1.0] * persons.keypoints.shape[1]
    return PersonDataset(source, weights, on_fault)
