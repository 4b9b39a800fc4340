"""Sources of persons: any of the formats, read in their own skeleton or in that of the networks."""

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from semipose.data.archives import image_root
from semipose.data.coordinates import refuse_no_pixels
from semipose.data.exclude import only_named, without_excluded
from semipose.data.formats import (
    locate_coco,
    read_aic,
    read_coco,
    read_crowdpose,
    read_detections,
    read_folder,
    read_jhmdb,
    read_mpii,
    read_ochuman,
    read_unlabeled_coco,
)
from semipose.data.formats.image_list import links_to
from semipose.data.formats.json_rows import WrongRows
from semipose.data.formats.labelme import read_labelme, read_unlabeled_labelme
from semipose.data.formats.lightning_pose import read_lightning_pose
from semipose.data.formats.lsp import read_lsp
from semipose.data.formats.video import read_video
from semipose.data.formats.yolo import read_yolo
from semipose.data.frame_persons import as_whole_frames
from semipose.data.group_ids import group_weights, load_group_mapping, with_group_ids
from semipose.data.readings import with_readings
from semipose.errors import ConfigError, DataError
from semipose.skeletons import KeypointConverter, Skeleton, converter_between
from semipose.structures import Persons

_log = logging.getLogger(__name__)

OWN_SKELETONS = ("mpii", "aic", "crowdpose", "jhmdb", "ochuman", "lsp")  # formats that are also the name of a skeleton
COCO_FILES = ("coco", "crowdpose", "jhmdb", "ochuman")  # formats whose files are COCO's
UNLABELED = ("images", "video")


@dataclass(frozen=True)
class Source:
    """Where persons come from; config/source_keys.py describes each field.

    Attributes:
        root: folder that paths are relative to.
        skeleton: of the annotation.
        frames: folder that frames of videos are kept in.
        links: folders besides that of the images that links among them may lead to.
        whole: images without a person are used too.
    """

    name: str
    format: str
    annotation: str
    images: str
    skeleton: Skeleton
    keypoint_pairs: tuple
    exclude: list
    ignore_unknown: bool
    split: str
    start: int
    length: int
    group_id_mapping_file: str
    group_id_weight: dict[int, float]
    boxes: str
    box_threshold: float
    head_boxes: str
    one_based: bool
    every: int
    exif: str
    white: float
    root: str
    frames: str
    links: tuple = ()
    whole: bool = False
    only: Sequence[str] = ()
    whole_frames: bool = False
    categories: Sequence[str] = ()
    box_categories: Sequence[int] = ()

    def path(self, relative: str) -> str:
        """A path of this source, joined with the root; "" stays "" (not given)."""
        return relative and os.path.join(self.root, relative)


def read_own(source: Source) -> Persons:
    """The labelled persons of a source in its own skeleton, or its detections; raises DataError or ConfigError."""
    if source.boxes:
        return _read_images(source, _detected)
    if source.format in UNLABELED:
        raise ConfigError(f"source {source.name!r}: format {source.format!r} has no labels; it can only be a pool")
    return _grouped(source, _read_images(source, _read))


def read_labeled(source: Source, skeleton: Skeleton) -> Persons:
    """The labelled persons in the keypoints of `skeleton`; those with none of them are left out."""
    if source.boxes:
        raise ConfigError(f"source {source.name!r}: boxes: detections have no keypoints to learn from")
    persons = convert_persons(read_own(source), converter(source, skeleton))
    posed = persons.keypoints[..., 2].any(axis=1)
    if not posed.all():
        _log.info("%s: left out %d persons without a keypoint of %s", source.name, (~posed).sum(), skeleton.name)
    return persons.take(posed)


def read_pool(source: Source, skeleton: Skeleton) -> Persons:
    """The persons of an unlabelled source. Its labels, if any, are kept as hidden labels in the keypoints of
    `skeleton`."""
    try:
        return _with_hidden_labels(source, _read_images(source, _read_boxes), skeleton)
    except WrongRows as error:  # it carries the sound persons
        if error.persons is not None:
            error.persons = _with_hidden_labels(source, error.persons, skeleton)
        raise


def chosen_persons(source: Source, persons: Persons) -> Persons:
    """The persons from `start` on, `length` of them, image by image in the order of the images; by default all.

    This is the order of the literature's 1K, 5K and 10K sets: the published loaders (Semi_Human_Pose, SSPCM) go through
    the images of the file, not through its annotations. In COCO's train2017 the two orders differ.
    """
    if not (source.start or source.length):
        return persons
    end = source.start + source.length
    if len(persons) < end or source.start >= len(persons):
        asked = f"start is {source.start} and length (or TRAIN_LEN) is {source.length}"
        raise ConfigError(f"source {source.name!r}: {asked}; it has {len(persons)} persons")
    by_image = np.argsort(persons.image_index, kind="stable")
    return persons.take(by_image[source.start : end if source.length else None])


def converter(source: Source, skeleton: Skeleton) -> KeypointConverter:
    """From the keypoints of a source to those of `skeleton`: its `keypoint_pairs`, or else equal names."""
    return converter_between(source.skeleton, skeleton, source.keypoint_pairs or None)


def convert_persons(persons: Persons, mapping: KeypointConverter) -> Persons:
    """The persons with the keypoints that `mapping` gives them."""
    return persons if mapping.is_identity else replace(persons, keypoints=mapping.convert(persons.keypoints))


def places(source: Source) -> tuple[str, str]:
    """The annotation file and the image folder or archive; raises DataError if they are not there (COCO's formats)."""
    return _located(source) if source.format in COCO_FILES else _files(source)


def _read_images(source: Source, read: Callable[[Source], Persons]) -> Persons:
    """What `read` gives: without excluded images, its coordinates looked at, and with how its images have to be
    read."""
    try:
        with links_to(source.links):
            persons = read(source)
        return _with_readings(source, persons)
    except WrongRows as error:  # it carries the sound persons
        if error.persons is not None:
            error.persons = _with_readings(source, error.persons)
        raise


def _with_readings(source: Source, persons: Persons) -> Persons:
    if source.only:
        persons = only_named(persons, source.only, source.root, source.name)
    if source.exclude:
        persons = without_excluded(persons, source.exclude, source.root, source.name)
    refuse_no_pixels(source.name, persons)
    if source.format == "video":  # its frames are our own files
        return persons
    upright, measured = source.format in ("labelme", "yolo"), source.format == "lightning_pose"
    persons = with_readings(source.name, persons, source.exif, upright, source.white, measured, source.whole)
    return as_whole_frames(persons, source.name) if source.whole_frames and not source.whole else persons


def _read_boxes(source: Source) -> Persons:
    """The persons of a pool as they are in its file, with or without keypoints."""
    if source.boxes:
        return _detected(source)
    if source.format in COCO_FILES:
        one_based = source.format == "jhmdb"
        return read_unlabeled_coco(*_located(source), source.skeleton, one_based, source.categories)
    if source.format == "labelme":
        return _read_labelme(source, read_unlabeled_labelme)
    return _read(source)


def _with_hidden_labels(source: Source, persons: Persons, skeleton: Skeleton) -> Persons:
    """The persons with the keypoints of `skeleton`; zero where the source has none of them."""
    shared = source.keypoint_pairs or set(source.skeleton.keypoints) & set(skeleton.keypoints)
    if shared and not source.boxes:
        return convert_persons(persons, converter(source, skeleton))
    return replace(persons, keypoints=np.zeros((len(persons), len(skeleton), 3), np.float32))


def _read(source: Source) -> Persons:
    if source.format not in READERS:
        raise ConfigError(f"source {source.name!r}: format {source.format!r} is not known; known: {', '.join(READERS)}")
    return READERS[source.format](source)


def _grouped(source: Source, persons: Persons) -> Persons:
    if source.group_id_mapping_file:
        persons = with_group_ids(persons, load_group_mapping(source.path(source.group_id_mapping_file)))
    return group_weights(persons, source.group_id_weight) if source.group_id_weight else persons


def _detected(source: Source) -> Persons:
    if source.start or source.length:
        raise ConfigError(f"source {source.name!r}: start and length choose labelled persons, not those of 'boxes'")
    if source.format not in COCO_FILES:
        raise ConfigError(f"source {source.name!r}: boxes need a COCO file with the images, not {source.format!r}")
    return read_detections(
        source.path(source.boxes), *_located(source), source.skeleton, source.box_threshold, source.categories,
        source.box_categories,
    )  # fmt: skip


def _located(source: Source) -> tuple[str, str]:
    return locate_coco(source.root, source.annotation, source.images)


def _files(source: Source) -> tuple[str, str]:
    """The annotation file and the image folder or archive, for formats that are not COCO's."""
    annotation = source.path(source.annotation)
    if source.images:
        if not image_root(source.path(source.images)):
            raise DataError(f"{source.path(source.images)}: image folder of source {source.name!r} does not exist")
        return annotation, image_root(source.path(source.images))
    beside = os.path.dirname(annotation)
    places = [os.path.join(beside, "images"), os.path.join(os.path.dirname(beside), "images"), source.path("images")]
    found = next(filter(os.path.isdir, places), "") or next(filter(None, map(image_root, places)), beside)
    return annotation, found


def _coco_reader(read: Callable) -> Callable[[Source], Persons]:
    return lambda source: read(*_located(source), source.skeleton, categories=source.categories)


def _read_mpii(source: Source) -> Persons:
    return read_mpii(*_files(source), source.skeleton, source.one_based, source.path(source.head_boxes))


def _read_yolo(source: Source) -> Persons:
    places = {"images": source.path(source.images), "root": source.root, "categories": source.categories}
    return read_yolo(source.path(source.annotation), source.skeleton, source.split, **places)


def _read_labelme(source: Source, read: Callable) -> Persons:
    return read(source.path(source.annotation), source.skeleton, source.path(source.images), source.ignore_unknown)


def _read_lightning_pose(source: Source) -> Persons:
    places = source.path(source.annotation), source.path(source.images)
    return read_lightning_pose(*places, source.skeleton, source.root, source.ignore_unknown, source.exif)


READERS = {
    "coco": _coco_reader(read_coco),
    "crowdpose": _coco_reader(read_crowdpose),
    "jhmdb": _coco_reader(read_jhmdb),
    "ochuman": _coco_reader(read_ochuman),
    "aic": lambda source: read_aic(*_files(source), source.skeleton),
    "mpii": _read_mpii,
    "lsp": lambda source: read_lsp(*_files(source), source.skeleton),
    "labelme": lambda source: _read_labelme(source, read_labelme),
    "lightning_pose": _read_lightning_pose,
    "yolo": _read_yolo,
    "images": lambda source: read_folder(source.path(source.annotation), len(source.skeleton)),
    "video": lambda source: read_video(
        source.path(source.annotation), len(source.skeleton), source.frames, source.every
    ),
}
