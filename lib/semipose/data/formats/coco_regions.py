"""The regions of a COCO file that hold persons without labels: crowds, and persons without keypoints."""

import logging
from collections import defaultdict

import numpy as np

from semipose.data.formats.json_rows import Table, describe, load_json
from semipose.data.regions import Region, box_region, parse_segmentation
from semipose.structures import Persons

_log = logging.getLogger(__name__)


def read_regions(annotation_file: str, labelled: Persons) -> dict[int, list[Region]]:
    """The regions by image id, of all annotations in the categories of the labelled persons that are not among them.

    A region is the segmentation of an annotation, or else its box. Where a segmentation cannot be read the box stands
    in for it; the log says how many these are.

    Args:
        annotation_file: JSON file that has been read already.
        labelled: the persons that are learned from. Other images than theirs do not matter.

    Raises:
        DataError: the file cannot be read.
    """
    images, known = set(labelled.image_ids.tolist()), set(labelled.ids.tolist())

    def unlabelled(row: dict) -> bool:
        return _number(row, "image_id") in images and _number(row, "id") not in known

    rows = Table(annotation_file, "annotation", load_json(annotation_file, unlabelled)["annotations"]).rows
    kinds = {_number(row, "category_id") for row in rows if _number(row, "id") in known}
    regions, faults = defaultdict(list), []
    for row in filter(unlabelled, rows):
        if {None, _number(row, "category_id")} & kinds:
            regions[row["image_id"]] += _regions_of(row, faults)
    regions = {image: parts for image, parts in regions.items() if parts}
    if regions:
        _log.info("%s: %d images have regions of persons without labels", annotation_file, len(regions))
    if faults:
        _log.warning(
            "%s: %d segmentations of persons without labels cannot be read, their boxes serve; the first: %s",
            annotation_file, len(faults), faults[0],
        )  # fmt: skip
    return regions


def _regions_of(row: dict, faults: list[str]) -> list[Region]:
    try:
        found = parse_segmentation(row.get("segmentation"))
    except ValueError as error:
        found = []
        faults.append(f"annotation id {describe(row.get('id'))}: segmentation: {error}")
    return found or _box_of(row)


def _box_of(row: dict) -> list[Region]:
    box = row.get("bbox")
    numbers = isinstance(box, list) and len(box) == 4 and set(map(type, box)) <= {int, float}
    return [box_region(box)] if numbers and np.isfinite(box).all() and min(box[2:]) > 0 else []


def _number(row: dict, field: str) -> int | None:
    value = row.get(field)
    return value if type(value) is int else None
