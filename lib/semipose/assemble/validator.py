"""Validation sets: where their labels come from, in which keypoints they are scored, and by which metrics."""

import logging
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from yacs.config import CfgNode

from semipose.assemble.devices import build_workers
from semipose.assemble.set_rows import bottom_up
from semipose.assemble.sources_and_sets import build_dataset, build_test_sources, source_entries
from semipose.codecs import BOTTOM_UP
from semipose.data.formats import read_crowd_index
from semipose.data.formats.coco_categories import category_names
from semipose.data.loaders import evaluation_loader
from semipose.data.pictures import persons_without_labels
from semipose.data.sources import COCO_FILES, Source, convert_persons, converter, places, read_own
from semipose.errors import ConfigError
from semipose.evaluation import (
    METRICS,
    NORMS,
    CocoGroundTruth,
    CocoReading,
    LabelledSet,
    MetricOptions,
    boxes_are_frames,
    ground_truth_from_persons,
    group_key,
    load_ground_truth,
    missing_need,
    person_norm,
    restrict,
    sized_by_keypoints,
    with_categories,
    with_groups,
    with_keypoints,
    with_sizes,
    with_unlabelled,
    with_visible,
)
from semipose.evaluation.picture_metrics import FOUND, OF_ALL_FOUND
from semipose.evaluation.validation import ValidationSet, Validator
from semipose.skeletons import KeypointConverter, Skeleton, converter_between, get_skeleton
from semipose.structures import Persons

log = logging.getLogger(__name__)

READ_AS_THEY_ARE = ("coco", "crowdpose", "ochuman")  # formats of COCO files that the evaluation reads directly
USUAL_METRICS = ("oks", "pck")
FORMAT_METRICS = {"mpii": ("pckh",), "crowdpose": ("crowdpose",), "jhmdb": ("jhmdb",)}  # metrics; else TEST.METRICS
FRAMED = "boxes are whole frames, so areas and the norm 'box' come from the labelled keypoints"


def build_validator(
    config: CfgNode, persons: dict[str, Persons], on_faults: Callable = lambda lines: None,
    poll: Callable = lambda: None,
) -> Validator:  # fmt: skip
    """The validator of DATASET.TEST_SET, whose persons are given by source (see `read_validation`); none, without sets.

    Raises:
        ConfigError: a metric that is not known or that a set cannot give; keypoints that fit no skeleton.
    """
    options = build_metric_options(config)
    sources = {source.name: source for source in build_test_sources(config)}
    entries = {entry["name"]: entry for entry in source_entries(config, "TEST_SET")}
    sets = {name: _build_set(config, sources[name], entries[name], persons[name], options) for name in persons}
    return Validator(
        sets, get_skeleton(config.DATASET.SKELETON), tuple(config.MODEL.IMAGE_SIZE),
        config.TEST.FLIP_TEST, options, _scales(config), on_faults, poll,
    )  # fmt: skip


def _scales(config: CfgNode) -> tuple[float, ...]:
    """TEST.SCALES; raises ConfigError for others than [1.0] where a person in its box is looked at."""
    scales = tuple(config.TEST.SCALES)
    if not scales:
        raise ConfigError("TEST.SCALES is []; one number or more expected")
    if scales != (1.0,) and not bottom_up(config):
        raise ConfigError(
            f"TEST.SCALES is {list(scales)}: only for {', '.join(BOTTOM_UP)}, not for MODEL.CODEC {config.MODEL.CODEC}"
        )
    return scales


def build_metric_options(config: CfgNode) -> MetricOptions:
    """The part of TEST that metrics depend on; raises ConfigError for an unknown norm.

    Bottom-up there are no duplicates left for OKS_NMS.
    """
    test = config.TEST
    return MetricOptions(
        nms="none" if bottom_up(config) else test.OKS_NMS, nms_threshold=test.OKS_THRESHOLD,
        pck_threshold=test.PCK_THRESHOLD, pck_norm=_norm(config, "PCK_NORM"), pixels=test.PIXELS,
        nme_norm=_norm(config, "NME_NORM"),
    )  # fmt: skip


def _norm(config: CfgNode, key: str) -> str | tuple[str, str]:
    """A name of `NORMS`, or two keypoints of the networks."""
    value, skeleton = config.TEST[key], get_skeleton(config.DATASET.SKELETON)
    names = tuple(value.split())
    if value in NORMS:
        return value
    if len(names) == 2 and set(names) <= set(skeleton.keypoints):
        return names
    known = f"{', '.join(NORMS)}, or two keypoints of skeleton {skeleton.name!r}, such as 'left_eye right_eye'"
    raise ConfigError(f"TEST.{key} is {value!r}; allowed: {known}")


def best_metric(config: CfgNode, validator: Validator) -> str:
    """The metric that best.pth is chosen by: TEST.BEST, or else the first metric of the first set; "" without sets.

    Raises:
        ConfigError: no set has it, or there is none and something depends on it.
    """
    if not validator.sets:
        for key, value in (("TEST.BEST", config.TEST.BEST), ("TRAIN.PATIENCE", config.TRAIN.PATIENCE)):
            if value:
                raise ConfigError(f"{key} is {value!r}, but there is no validation set (DATASET.TEST_SET)")
        return ""
    first, *_ = validator.sets.values()
    known = _metric_keys(config, first)
    if len(validator.sets) > 1:
        known += [f"{name}/{key}" for name, entry in validator.sets.items() for key in _metric_keys(config, entry)]
    if config.TEST.BEST and config.TEST.BEST not in known:
        raise ConfigError(f"TEST.BEST is {config.TEST.BEST!r}; allowed: {', '.join(known)}")
    return config.TEST.BEST or METRICS[first.metrics[0]].main


def _metric_keys(config: CfgNode, entry: ValidationSet) -> list[str]:
    """What a set reports."""
    keys = [key for name in entry.metrics for key in METRICS[name].keys if key != "PCK_px" or config.TEST.PIXELS > 0]
    keys += [FOUND] if entry.whole and not set(entry.metrics) <= OF_ALL_FOUND.keys() else []
    annotations = entry.labels.ground_truth.dataset["annotations"]
    for field in entry.groups:
        keys += [group_key(field, group) for group in sorted({a[field] for a in annotations})]
    return keys


def _build_set(
    config: CfgNode, source: Source, entry: dict, persons: Persons, options: MetricOptions
) -> ValidationSet:  # fmt: skip
    dataset = build_dataset(config, persons, on_fault="omit")
    loader = evaluation_loader(dataset, config.TEST.BATCH_SIZE, build_workers(config))
    network, by_category = get_skeleton(config.DATASET.SKELETON), config.TEST.CATEGORY_AP
    labels, outputs = _labels(source, entry, persons, network, by_category)
    metrics = _metrics(config, entry, labels, options)
    if labels.framed:
        norm = np.median(person_norm(labels.persons, labels.skeleton, "box"))
        log.info("set %s: %s; median norm %.1f px", source.name, FRAMED, norm)
    groups = _groups(labels) if "oks" in metrics else ()
    return ValidationSet(loader, dataset, labels, metrics, outputs, groups)


def _groups(labels: LabelledSet) -> tuple[str, ...]:
    """The fields of annotations by which AP is given: those that tell persons apart."""
    annotations = labels.ground_truth.dataset["annotations"]
    used = {
        "group_id": any(a["group_id"] >= 0 for a in annotations),
        "category": any("category" in a for a in annotations),
    }
    return tuple(field for field, used in used.items() if used)


def _labels(
    source: Source, entry: dict, persons: Persons, network: Skeleton, by_category: bool
) -> tuple[LabelledSet, KeypointConverter | None]:
    """The labels of a set, and the converter from the network's keypoints to those of the set."""
    indices = entry["output_keypoint_indices"]
    truth, persons, framed = _sized(source, persons, by_category)
    if source.keypoint_pairs:
        if indices:
            raise ConfigError(f"source {source.name!r}: give keypoint_pairs or output_keypoint_indices, not both")
        mapping = converter(source, network)
        truth = with_keypoints(truth, mapping.convert, np.array(network.sigmas))
        return LabelledSet(source.name, truth, convert_persons(persons, mapping), network, framed), None
    if indices and len(indices) != len(source.skeleton):
        raise ConfigError(
            f"source {source.name!r}: output_keypoint_indices has {len(indices)} numbers; skeleton "
            f"{source.skeleton.name!r} has {len(source.skeleton)} keypoints"
        )
    pairs = [[index, number] for number, index in enumerate(indices)] or None
    outputs = converter_between(network, source.skeleton, pairs)
    if outputs.is_identity:
        return LabelledSet(source.name, truth, persons, source.skeleton, framed), None
    truth = with_visible(truth, outputs.mapped)
    persons = replace(persons, keypoints=persons.keypoints * outputs.mapped[:, None])
    return LabelledSet(source.name, truth, persons, source.skeleton, framed), outputs


def _sized(source: Source, persons: Persons, by_category: bool) -> tuple[CocoGroundTruth, Persons, bool]:
    """Ground truth and persons, both with sizes of the keypoints if the boxes are whole frames, and whether they are.

    Boxes of a detector stay as they are.
    """
    labeled = read_own(replace(source, boxes="")) if source.boxes else persons
    truth = _ground_truth(source, labeled, by_category)
    if not boxes_are_frames(labeled):
        return truth, persons, False
    sized = sized_by_keypoints(labeled)
    return with_sizes(truth, sized), persons if source.boxes else sized, True


def _ground_truth(source: Source, labeled: Persons, by_category: bool) -> CocoGroundTruth:
    """A COCO file is read again, with its crowds and unlabelled persons; for other formats the persons are enough.

    In whole pictures persons without labels are found too, so there all that the file says of them counts.
    """
    sigmas = np.array(source.skeleton.sigmas)
    annotation, images = places(source) if source.format in COCO_FILES else ("", "")
    cut = source.start or source.length
    if source.format not in READ_AS_THEY_ARE or (cut and not source.whole):
        crowds = read_crowd_index(annotation) if source.format == "crowdpose" else None
        truth = ground_truth_from_persons(labeled, sigmas, crowds)
    else:
        groups = dict(zip(labeled.ids.tolist(), labeled.group_ids.tolist()))
        reading = CocoReading(source.skeleton, source.categories, images)
        truth = with_groups(load_ground_truth(annotation, sigmas, reading), groups)
        truth = restrict(truth, labeled.image_ids.tolist()) if cut or source.exclude or source.only else truth
    if source.whole and source.format == "labelme":
        others, numbers = persons_without_labels(source, labeled), dict(zip(labeled.image_paths, labeled.image_ids))
        truth = with_unlabelled(truth, [numbers[others.path(row)] for row in range(len(others))], others.boxes)
    return with_categories(truth, category_names(annotation)) if by_category and annotation else truth


def _metrics(config: CfgNode, entry: dict, labels: LabelledSet, options: MetricOptions) -> tuple[str, ...]:
    """The metrics that a source names; else those of its format, or of TEST.METRICS, as far as its labels allow."""
    if entry["metrics"]:
        return tuple(entry["metrics"])
    usual = ("epe", *USUAL_METRICS) if labels.framed else USUAL_METRICS
    wanted = FORMAT_METRICS.get(entry["format"], tuple(config.TEST.METRICS) or usual)
    wanted += ("epe",) if options.pixels > 0 and "epe" not in wanted else ()
    lacking = {name: missing_need(name, labels, options) for name in wanted if name in METRICS}
    given = tuple(name for name in wanted if not lacking.get(name))
    if not given:
        raise ConfigError(f"set {labels.name!r}: {lacking[wanted[0]]}; name its 'metrics'")
    for name in set(wanted) - set(given):
        log.info("set %s: no metric %s: it %s", labels.name, name, lacking[name])
    return given
