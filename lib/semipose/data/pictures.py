"""Whole pictures (bottom-up): the images of `Persons` are the rows of a set, and all persons on them its instances."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np

from semipose.data.formats.coco_regions import read_regions
from semipose.data.formats.image_list import box_areas
from semipose.data.images import image_size
from semipose.data.orientation import turned_size
from semipose.data.regions import Region, box_region
from semipose.data.sources import COCO_FILES, Source, places, read_pool
from semipose.errors import ConfigError, DataError
from semipose.structures import Persons

PADDING = 1.0  # growth of the frame; at scale 1 a network's input shows all of the picture


def picture_rows(persons: Persons, sizes: np.ndarray | None = None) -> Persons:
    """One row for each image, whether or not a person is on it, with the image's id and no keypoints.

    Args:
        sizes: (I, 2) of the images, whose frames are then the boxes; None = boxes are zero.
    """
    count, joints = len(persons.image_paths), persons.keypoints.shape[1]
    boxes = np.zeros((count, 4), np.float32)
    if sizes is not None:
        boxes[:, 2:] = sizes
    return replace(
        persons, image_index=np.arange(count, dtype=np.int32), ids=persons.image_ids, boxes=boxes,
        keypoints=np.zeros((count, joints, 3), np.float32), areas=box_areas(boxes), scores=np.ones(count, np.float32),
        weights=None, group_ids=None, head_sizes=None,
    )  # fmt: skip


def picture_sizes(persons: Persons) -> np.ndarray:
    """(I, 2) int64 width and height of the pictures; where none is known by its header, 1 x 1 if it has none."""
    sizes, unknown = persons.image_sizes.astype(np.int64), np.flatnonzero((persons.image_sizes <= 0).any(1))
    with ThreadPoolExecutor() as threads:
        found = list(
            threads.map(_size, persons.image_paths[unknown].tolist(), persons.image_orientations[unknown].tolist())
        )
    sizes[unknown] = np.reshape(found, (-1, 2))
    return sizes


def labelled_pictures(persons: Persons) -> Persons:
    """Without the images on which nobody is labelled."""
    posed = persons.keypoints[..., 2].any(axis=1)
    return persons.take_images(np.isin(np.arange(len(persons.image_paths)), persons.image_index[posed]))


def chosen_pictures(source: Source, persons: Persons, side: str) -> Persons:
    """The pictures that a side of a run uses, in the order of the images.

    Labelled are those with a labelled person; of a pool and of a validation set all serve. From these `start` and
    `length` choose. In a validation set these and `only` choose from those with a labelled person alone.

    Args:
        side: "labelled", "unlabelled" or "validation".

    Raises:
        ConfigError: there are not as many.
    """
    cut = source.start or source.length
    if side == "labelled" or (side == "validation" and (cut or source.only)):
        persons = labelled_pictures(persons)
    if not cut:
        return persons
    rows, end = np.arange(len(persons.image_paths)), source.start + source.length
    if len(rows) < end or source.start >= len(rows):
        asked = f"start is {source.start} and length (or TRAIN_LEN) is {source.length}"
        raise ConfigError(f"source {source.name!r}: {asked}; it has {len(rows)} pictures")
    return persons.take_images((rows >= source.start) & (rows < (end if source.length else len(rows))))


def unlabelled_regions(source: Source, labelled: Persons) -> dict[str, list[Region]]:
    """Where the images of the `labelled` persons of a source show persons without labels, by image path.

    COCO files have segmentations, labelme files rectangles; other formats say nothing of such persons.
    """
    if source.format in COCO_FILES:
        regions = read_regions(places(source)[0], labelled)
        paths = zip(labelled.image_ids.tolist(), labelled.image_paths.tolist())
        return {path: regions[number] for number, path in paths if number in regions}
    return _boxes_of_others(source, labelled) if source.format == "labelme" else {}


def persons_without_labels(source: Source, labelled: Persons) -> Persons:
    """The persons of a labelme source that have no keypoints, on the images of the `labelled` ones; their boxes are
    known."""
    everyone = read_pool(source, source.skeleton)
    others = everyone.take(~np.isin(everyone.ids, labelled.ids))
    return others.take(np.isin(others.image_paths[others.image_index], labelled.image_paths))


def _boxes_of_others(source: Source, labelled: Persons) -> dict[str, list[Region]]:
    others, regions = persons_without_labels(source, labelled), {}
    for row, box in enumerate(others.boxes):
        regions.setdefault(others.path(row), []).append(box_region(box))
    return regions


def _size(path: str, orientation: int) -> tuple[int, int]:
    try:
        return turned_size(image_size(path), orientation)
    except DataError:
        return 1, 1  # it cannot be read either, which is said when it is asked for
