"""AI Challenger human keypoints (Wu et al. 2017): its own JSON, or the COCO file that others made of it."""

import logging
import re

import numpy as np

from semipose.data.formats.coco import read_coco
from semipose.data.formats.image_list import box_areas, by_first_appearance, checked_paths
from semipose.data.formats.json_rows import Table, load_json, refuse_wrong_rows
from semipose.geometry.boxes import complete_boxes
from semipose.skeletons import Skeleton
from semipose.structures import Persons

_log = logging.getLogger(__name__)
_NOT_LABELED = 3  # the others: 1 visible, 2 not visible


def read_aic(annotation_file: str, image_dir: str, skeleton: Skeleton) -> Persons:
    """The annotated persons, in file order.

    A COCO file (a JSON object) goes to `read_coco`. The set's own file is a list of `{image_id, human_annotations:
    {human1: [x1, y1, x2, y2]}, keypoint_annotations: {human1: [x, y, v] * 14}}`, where the image file is `image_id` +
    ".jpg". Ids and image ids run from 1. Its boxes lie inside the images, so they are taken as they are: the file has
    no image sizes to clip them to. Areas are estimated from the boxes.

    Persons without a labelled keypoint are left out. A box that is missing or empty comes from the labelled keypoints
    (`complete_boxes`). In a file without any keypoints all persons with a box are read, with zero keypoints.

    Args:
        annotation_file: JSON file.
        image_dir: folder with the images.
        skeleton: the K keypoints of the file, in the file's order.

    Raises:
        DataError: naming the file, the image and person, the field and the reason.
    """
    if not _is_list(annotation_file):
        return read_coco(annotation_file, image_dir, skeleton)
    images = Table(annotation_file, "image", load_json(annotation_file))
    files = [f"{name}.jpg" for name in images.texts("image_id")]
    names, row_of = by_first_appearance(checked_paths(images, "image_id", files, image_dir))
    table, image_of = _person_table(images)
    keypoints = _keypoints(table, skeleton)
    boxes, new = complete_boxes(_boxes(table), keypoints, np.full((len(table), 2), np.nan))
    boxes = boxes.astype(np.float32)
    if new.any():
        _log.warning(
            "%s: %d boxes that are missing or without area are those of the keypoints", annotation_file, new.sum()
        )
    persons = Persons(
        image_paths=np.array(names, str),
        image_ids=np.arange(1, len(names) + 1),
        image_index=row_of[image_of],
        ids=np.arange(1, len(table) + 1),
        boxes=boxes,
        keypoints=keypoints,
        areas=box_areas(boxes),
        scores=np.ones(len(table), np.float32),
    )
    kept = _kept(annotation_file, persons)
    persons = persons.take(kept & table.sound & images.sound[image_of])
    refuse_wrong_rows((images, table), persons)
    return persons


def _is_list(file: str) -> bool:
    """Whether the file's first character opens a list; the reader that follows reports a fault."""
    try:
        with open(file, "rb") as content:
            return re.match(rb"\s*\[", content.read(1000)) is not None
    except OSError:
        return False


def _kept(file: str, persons: Persons) -> np.ndarray:
    posed = persons.keypoints[:, :, 2].any(axis=1)
    if not posed.any():
        posed[:] = True
    filled = (persons.boxes[:, 2:] > 0).all(axis=1)
    _log.info(
        "%s: %d persons; left out: %d without keypoints, %d without a box",
        file, (posed & filled).sum(), (~posed).sum(), (posed & ~filled).sum(),
    )  # fmt: skip
    return posed & filled


def _person_table(images: Table) -> tuple[Table, np.ndarray]:
    """One row `{id, box, keypoints}` for each person, and (N,) the row of its image; what is missing is None."""
    rows, image_of = [], []
    for number, image in enumerate(images.rows):
        boxes, keypoints = (_people(images, number, f"{kind}_annotations") for kind in ("human", "keypoint"))
        for name in dict.fromkeys([*boxes, *keypoints]):
            label = f"{name} of image {image.get('image_id')}"
            rows.append({"id": label, "box": boxes.get(name), "keypoints": keypoints.get(name)})
            image_of.append(number)
    return Table(images.file, "person", rows), np.array(image_of, np.int64)


def _people(images: Table, number: int, field: str) -> dict:
    people = images.rows[number].get(field)
    if people is None:
        return {}
    if not isinstance(people, dict):
        images.fault(number, field, "must be an object with the persons by name")
        return {}
    return people


def _boxes(table: Table) -> np.ndarray:
    """(N, 4) float32 xywh; zero where there is none."""
    given = np.array([row["box"] is not None for row in table.rows], bool)
    corners = table.where(given).vectors("box", 4, "x1, y1, x2, y2")
    boxes = np.zeros((len(table), 4), np.float32)
    boxes[given] = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
    return boxes


def _keypoints(table: Table, skeleton: Skeleton) -> np.ndarray:
    """(N, K, 3) float32; zero where not labelled."""
    given = np.array([bool(row["keypoints"]) for row in table.rows], bool)
    rows, count = table.where(given), len(skeleton)
    points = rows.vectors("keypoints", 3 * count, f"x, y, v of the {count} keypoints of skeleton {skeleton.name!r}")
    points = points.reshape(-1, count, 3)
    flags = points[:, :, 2:]
    rows.refuse(~np.isin(flags, (1, 2, 3)).all(axis=(1, 2)), "keypoints", "v must be 1, 2 or 3")
    keypoints = np.zeros((len(table), count, 3), np.float32)
    keypoints[given] = np.concatenate([points[:, :, :2], np.ones_like(flags)], axis=2) * (flags != _NOT_LABELED)
    return keypoints
