"""Sources and data sets of a run."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from yacs.config import CfgNode

from semipose.algorithms import ALGORITHMS, AlgorithmEntry
from semipose.assemble.overlaps import build_parts, find_overlaps, without_overlap
from semipose.assemble.set_rows import as_rows, bottom_up, choose_rows, of_rows, refuse_boxes, report_rows
from semipose.config.convert import convert
from semipose.config.load import skeleton_file
from semipose.config.source_keys import SOURCE
from semipose.data.context_crops import ContextCrops
from semipose.data.crop_cache import make_crop_source
from semipose.data.overlap import LABELLED, POOL
from semipose.data.person_dataset import PersonDataset
from semipose.data.picture_dataset import PictureDataset
from semipose.data.pictures import PADDING, picture_rows, picture_sizes, unlabelled_regions
from semipose.data.regions import Region
from semipose.data.same_files import RealPaths
from semipose.data.source_format import guess_format
from semipose.data.source_mix import SourceMix
from semipose.data.sources import OWN_SKELETONS, Source, converter, read_labeled, read_own, read_pool
from semipose.data.summary import DataReport
from semipose.errors import ConfigError, DataError
from semipose.runtime.ranks import local_ranks
from semipose.skeletons import Skeleton, get_skeleton
from semipose.structures import Persons


@dataclass(frozen=True)
class RunData:
    """The persons of a run; `unlabeled` is None for a supervised algorithm.

    Bottom-up, all images of the persons are used, and they are what the mixes count.

    Attributes:
        labeled, unlabeled: the sources of each side, one after the other.
        labeled_mix, unlabeled_mix: how batches are drawn from the sources of a side.
        validation: by the name of the source, in its own skeleton.
        regions: bottom-up: where persons of the labelled side have no labels, by image path.
        known: bottom-up: (I, K) bool, the keypoints that the source of each labelled picture has.
    """

    labeled: Persons
    unlabeled: Persons | None
    labeled_mix: SourceMix
    unlabeled_mix: SourceMix | None
    validation: dict[str, Persons]
    report: DataReport
    regions: dict[str, list[Region]] = field(default_factory=dict)
    known: np.ndarray | None = None


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
    train = [choose_rows(config, source, persons, LABELLED) for source, persons in zip(sources, whole)]
    parts, pool_entries, pool = build_parts(config, LABELLED, entries, _rows(config, train)), entries, []
    if algorithm_entry(config).takes_unlabeled:
        pool_entries, pool = _read_pool(config, skeleton) if config.DATASET.TRAIN_UNSUP_SET else (entries, whole)
        parts += build_parts(config, POOL, pool_entries, _rows(config, pool))
    validation, files = read_validation(config) if config.DATASET.TEST_SET else {}, RealPaths()
    overlaps = find_overlaps(config, parts, _rows(config, validation.values()), files)
    left = without_overlap(config, parts, overlaps)[len(train) :]
    pool = [of_rows(config, persons, rows) for persons, rows in zip(pool, left)]
    labeled, unlabeled = Persons.concatenate(train), Persons.concatenate(pool) if pool else None
    report = report_rows(config, labeled, unlabeled, list(validation.values()), overlaps, files)
    unlabeled_mix = build_mix(config, pool_entries, pool) if pool else None
    notes = (_read_regions(sources, train), _known(sources, train, skeleton)) if bottom_up(config) else ()
    return RunData(labeled, unlabeled, build_mix(config, entries, train), unlabeled_mix, validation, report, *notes)


def _rows(config: CfgNode, persons: Iterable[Persons]) -> list[Persons]:
    return [as_rows(config, part) for part in persons]


def read_validation(config: CfgNode) -> dict[str, Persons]:
    """The persons of each validation set, with ground-truth or detector boxes, by the name of its source.

    Raises:
        DataError: a set has no person.
        ConfigError: there is no set, two sources have the same name, or detections are asked for and not named.
    """
    persons, sources = {}, build_test_sources(config)
    if not sources:
        raise ConfigError("DATASET.TEST_SET is empty: there is nothing to validate on")
    for source in sources:
        if source.name in persons:
            raise ConfigError(f"DATASET.TEST_SET: two sources have the name {source.name!r}; give each its own 'name'")
        persons[source.name] = choose_rows(config, source, read_own(source), "validation")
        if not len(persons[source.name]):
            raise DataError(f"validation set {source.name!r} has no person (see DATASET.TEST_SET)")
    return persons


def build_test_sources(config: CfgNode) -> list[Source]:
    """The sources of DATASET.TEST_SET; if TEST.USE_GT_BBOX is False, with the boxes of TEST.COCO_BBOX_FILE."""
    test, entries = config.TEST, source_entries(config, "TEST_SET")
    if not test.USE_GT_BBOX:
        refuse_boxes(config, "TEST.USE_GT_BBOX is False")
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
    entries = ([value] if value else []) if isinstance(value, str) else value
    if not entries and key == "TRAIN_SET":
        raise ConfigError(f"DATASET.{key} names no source")
    folder = {"TRAIN_SET": data.TRAIN_IMAGES, "TEST_SET": data.TEST_IMAGES}.get(key, "")
    plain = {"images": folder if len(entries) == 1 else ""}
    entries = [SOURCE | ({"annotation": e} | plain if isinstance(e, str) else e) for e in entries]
    for entry in entries:
        entry["name"] = entry["name"] or _stem(os.path.join(data.ROOT, entry["annotation"]))
        entry["split"] = entry["split"] or ("val" if key == "TEST_SET" else "train")
        entry["format"] = entry["format"] or guess_format(data.ROOT, entry["annotation"], key == "TRAIN_UNSUP_SET")
    if key == "TRAIN_SET" and data.TRAIN_LEN:
        if len(entries) > 1 or entries[0]["length"]:
            raise ConfigError("DATASET.TRAIN_LEN is for one TRAIN_SET without 'length'; give each source its 'length'")
        entries[0]["length"] = data.TRAIN_LEN
    return entries


def build_source(config: CfgNode, entry: dict) -> Source:
    """The source that all keys of one entry describe."""
    data = config.DATASET
    if entry["boxes"]:
        refuse_boxes(config, f"source {entry['name']!r}: boxes")
    own = entry["format"] if entry["format"] in OWN_SKELETONS else data.SKELETON
    skeleton = get_skeleton(skeleton_file(data.ROOT, entry["skeleton"] or own))
    links = tuple(os.path.join(data.ROOT, folder) for folder in data.LINKS)
    places = {
        "root": data.ROOT,
        "frames": os.path.join(data.CACHE_DIR, "frames"),
        "links": links,
        "whole": bottom_up(config),
    }
    fields = Source.__dataclass_fields__.keys() & entry.keys()
    return Source(**{name: entry[name] for name in fields} | places | {"skeleton": skeleton})


def build_mix(config: CfgNode, entries: list[dict], persons: list[Persons]) -> SourceMix:
    """How the batches of one side are drawn from its sources."""
    ratios = tuple(entry["sample_ratio_factor"] for entry in entries)
    shares = tuple(entry["source_ratio"] for entry in entries)
    return SourceMix(
        lengths=tuple(len(as_rows(config, part)) for part in persons),
        ratios=None if set(ratios) == {1} else ratios,
        shares=shares if any(shares) else None,
        names=tuple(entry["name"] for entry in entries),
    )


def _read_pool(config: CfgNode, skeleton: Skeleton) -> tuple[list[dict], list[Persons]]:
    entries = source_entries(config, "TRAIN_UNSUP_SET")
    sources = [build_source(config, entry) for entry in entries]
    return entries, [choose_rows(config, source, read_pool(source, skeleton), POOL) for source in sources]


def _known(sources: list[Source], persons: list[Persons], skeleton: Skeleton) -> np.ndarray:
    mapped = [converter(source, skeleton).mapped for source in sources]
    return np.repeat(mapped, [len(part.image_paths) for part in persons], axis=0).astype(bool)


def _read_regions(sources: list[Source], persons: list[Persons]) -> dict[str, list[Region]]:
    """Of a picture that several sources have, the regions of all of them."""
    regions = {}
    for pair in zip(sources, persons):
        for path, parts in unlabelled_regions(*pair).items():
            regions[path] = [*regions.get(path, ()), *parts]
    return regions


def _stem(annotation: str) -> str:
    name = os.path.basename(os.path.abspath(annotation))
    return os.path.splitext(name)[0] if "." in name else name


def build_crops(config: CfgNode, persons: Persons) -> ContextCrops:
    """Where the context crop of each person lies in its image, or (bottom-up) that of each image."""
    data, size = config.DATASET, tuple(config.MODEL.IMAGE_SIZE)
    if bottom_up(config):
        return ContextCrops(picture_rows(persons, picture_sizes(persons)), size, data.CROP_MARGIN, PADDING)
    return ContextCrops(persons, size, data.CROP_MARGIN, data.BOX_PADDING)


def build_dataset(
    config: CfgNode, persons: Persons, on_fault: str, labeled: bool = False,
    regions: dict[str, list[Region]] | None = None, known: np.ndarray | None = None,
) -> PersonDataset | PictureDataset:  # fmt: skip
    """Context crops of `persons` from the configured cache; bottom-up their whole pictures.

    Args:
        regions: bottom-up, where persons have no labels, by image path.
        known: bottom-up, the keypoints that the source of each picture has, (I, K) bool.
    """
    cache, folder = config.DATASET.CACHE, Path(config.DATASET.CACHE_DIR)
    source = make_crop_source(build_crops(config, persons), cache, folder, local_ranks())
    weighted = labeled and config.LOSS.USE_KEYPOINT_WEIGHTS
    weights = get_skeleton(config.DATASET.SKELETON).keypoint_weights if weighted else [1.0] * persons.keypoints.shape[1]
    if not bottom_up(config):
        return PersonDataset(source, weights, on_fault)
    instances = persons if labeled else replace(persons, weights=np.ones(len(persons), np.float32))
    return PictureDataset(source, instances, weights, on_fault, regions, known)
