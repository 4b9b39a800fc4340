"""COCO keypoint annotations (Lin et al. 2014, format of cocodataset.org) as `Persons`."""

import copy
import logging
from collections.abc import Sequence

import numpy as np

from semipose.data.formats.coco_categories import (
    categories_of,
    chosen_categories,
    has_other_keypoints,
    person_categories,
    say_left_out,
    taken_categories,
    taken_rows,
)
from semipose.data.formats.coco_rows import crowds, file_boxes, join_whole_body, keypoints, with_keypoints
from semipose.data.formats.image_list import ImageList, box_areas, whole_frames
from semipose.data.formats.json_rows import Table, load_json, refuse_wrong_rows
from semipose.data.formats.notices import warn_once
from semipose.errors import DataError
from semipose.geometry.boxes import complete_boxes
from semipose.skeletons import Skeleton
from semipose.structures import Persons

_log = logging.getLogger(__name__)


def read_coco(
    annotation_file: str, image_dir: str, skeleton: Skeleton, one_based: bool = False, categories: Sequence[str] = ()
) -> Persons:
    """The annotated persons of a COCO keypoint file, top-down, in annotation order.

    All categories that have the keypoints of the skeleton are one class; annotations of the others are left out. So are
    crowds and persons without a labelled keypoint. A box that is missing or empty inside the image comes from the
    labelled keypoints (`complete_boxes`). An area that is missing or zero is max(1, 0.53 * width * height) of the box.
    The log has the number of all that is left out or filled in.

    Args:
        annotation_file: JSON file.
        image_dir: folder that its file names refer to.
        skeleton: the K keypoints of the file, in the file's order.
        one_based: coordinates count from 1; 1 is subtracted from boxes and keypoints.
        categories: ids or names of the categories to read; empty = all that have the keypoints.

    Raises:
        DataError: naming the file, the id, the field and the reason.
        ConfigError: a category is asked for that the file does not have.
    """
    document = load_document(annotation_file)
    images, table = _annotations(annotation_file, image_dir, document, skeleton)
    kinds = categories_of(annotation_file, document)
    taken = taken_categories(table, kinds, skeleton, categories)
    rows = taken_rows(table, kinds, taken, categories)
    say_left_out(table, kinds, rows, categories)
    table = table.where(rows)
    crowd = crowds(table)
    table = table.where(~crowd & with_keypoints(table))
    persons = _persons(images, table, skeleton, int(one_based))

    posed = persons.keypoints[:, :, 2].any(axis=1)
    filled = _has_filled_box(persons)
    _log.info(
        "%s: %d persons%s; left out: %d crowds, %d without keypoints, %d with an empty box",
        annotation_file, (posed & filled).sum(), _as_one(table), crowd.sum(), (~crowd).sum() - posed.sum(),
        (posed & ~filled).sum(),
    )  # fmt: skip
    persons = persons.take(posed & filled & table.sound & images.sound(persons.image_index))
    refuse_wrong_rows((kinds, images.table, table), persons)
    return persons


def read_unlabeled_coco(
    annotation_file: str, image_dir: str, skeleton: Skeleton, one_based: bool = False, categories: Sequence[str] = ()
) -> Persons:
    """The person boxes of a COCO file, with or without keypoints, in annotation order.

    Crowds, other categories than persons and boxes that are empty inside the image are left out; those of labelled
    persons come from their keypoints, as in `read_coco`. A category is of persons if it has keypoints. If none has, the
    category named 'person' counts, or else all. An annotation without a category is a person. Keypoints that the file
    has are kept as hidden labels, to judge pseudo-labels by; the others are zero. If no category has the keypoints of
    the skeleton and one names another number of them, only the boxes are used, and all keypoints are zero. In a file
    without annotations, such as `image_info_unlabeled2017.json`, each image is one person with the whole frame as its
    box and ids run from 1.

    Args:
        annotation_file: JSON file.
        image_dir: folder that its file names refer to.
        skeleton: the K keypoints of the file, in the file's order.
        one_based, categories: as in `read_coco`.

    Raises:
        DataError, ConfigError: as `read_coco`.
    """
    document = load_document(annotation_file)
    if document.get("annotations") in (None, []):
        images = ImageList(annotation_file, image_dir, document)
        _log.info("%s: no annotations; %d whole images", annotation_file, len(images.ids))
        persons = whole_frames(images.paths, images.ids, images.sizes, len(skeleton))
        persons = persons.take(images.sound(persons.image_index))
        refuse_wrong_rows((images.table,), persons)
        return persons
    images, table = _annotations(annotation_file, image_dir, document, skeleton)
    kinds = categories_of(annotation_file, document)
    if has_other_keypoints(table, kinds, skeleton, categories):
        _log.info("%s: not the keypoints of skeleton %r; only its boxes serve", annotation_file, skeleton.name)
        taken, table = chosen_categories(kinds, categories), _without_keypoints(table)
    else:
        taken = taken_categories(table, kinds, skeleton, categories)
    person = _of_persons(table, person_categories(kinds, taken, bool(categories)))
    crowd = crowds(table)
    table = table.where(~crowd & person)
    persons = _persons(images, table, skeleton, int(one_based))

    filled = _has_filled_box(persons)
    _log.info(
        "%s: %d unlabeled persons; left out: %d of other categories, %d crowds, %d with an empty box",
        annotation_file, filled.sum(), (~person).sum(), (person & crowd).sum(), (~filled).sum(),
    )  # fmt: skip
    persons = persons.take(filled & table.sound & images.sound(persons.image_index))
    refuse_wrong_rows((kinds, images.table, table), persons)
    return persons


def load_document(file: str) -> dict:
    """The object of a COCO file; raises DataError for anything else."""
    document = load_json(file)
    if not isinstance(document, dict):
        raise DataError(
            f"{file}: must be a JSON object with 'images' and 'annotations', found a {type(document).__name__}"
        )
    return document


def _annotations(file: str, image_dir: str, document: dict, skeleton: Skeleton) -> tuple[ImageList, Table]:
    images = ImageList(file, image_dir, document)
    if document.get("annotations") is None:
        refuse_wrong_rows((images.table,))
        raise DataError(f"{file}: has no 'annotations', so it can only serve as an unlabeled source")
    table = Table(file, "annotation", document["annotations"])
    table.unique_integers("id")
    images.rows_of(table)
    joined = join_whole_body(table, len(skeleton))
    if joined:
        _log.info("%s: body, feet, face and hands of %d annotations joined to 133 keypoints", file, joined)
    return images, table


def _as_one(table: Table) -> str:
    kinds = {str(row.get("category_id")) for row in table.rows}
    return f" of {len(kinds)} categories (one class)" if len(kinds) > 1 else ""


def _of_persons(table: Table, ids: np.ndarray | None) -> np.ndarray:
    """(N,) bool, whether each annotation is of one of the categories; None = all are."""
    if ids is None:
        return np.ones(len(table), bool)
    return np.isin(table.integers("category_id", default=int(ids[0])), ids)


def _without_keypoints(table: Table) -> Table:
    bare = copy.copy(table)
    bare.rows = [{**row, "keypoints": None} for row in table.rows]
    return bare


def _has_filled_box(persons: Persons) -> np.ndarray:
    return (persons.boxes[:, 2:] > 0).all(axis=1)


def _persons(images: ImageList, table: Table, skeleton: Skeleton, first: int) -> Persons:
    """All rows as persons; `first` is the coordinate of the first pixel in the file."""
    image_index = images.rows_of(table)
    points = _keypoints(table, skeleton, first)
    boxes = file_boxes(table) - [first, first, 0, 0]
    boxes, new = complete_boxes(boxes, points, images.sizes[image_index])
    boxes, areas = boxes.astype(np.float32), table.numbers("area", default=0)
    table.refuse(areas < 0, "area", "must not be negative, found {}")
    _say_repairs(table, points, new)
    return Persons(
        image_paths=images.paths,
        image_ids=images.ids,
        image_sizes=images.annotated,
        image_index=image_index,
        ids=table.integers("id"),
        boxes=boxes,
        keypoints=points,
        areas=np.where(areas > 0, areas, box_areas(boxes)).astype(np.float32),
        scores=np.ones(len(table), np.float32),
        group_ids=table.integers("group_id", default=-1),
    )


def _say_repairs(table: Table, points: np.ndarray, new: np.ndarray) -> None:
    """One line for each kind of repair."""
    for field in ("iscrowd", "keypoints"):
        rows = table.mended.get(field)
        if rows:
            warn_once(_log, "%s: %d annotations have true or false as numbers of %r", table.file, len(rows), field)
    if new.any():
        single = ((points[:, :, 2] > 0).sum(axis=1) == 1) & new
        middle = f"; {single.sum()} have one point, in the middle of its box, so scores of it say little"
        text = "%s: %d boxes that are missing or without area are those of the keypoints%s"
        warn_once(_log, text, table.file, new.sum(), middle if single.any() else "")


def _keypoints(table: Table, skeleton: Skeleton, first: int) -> np.ndarray:
    """(N, K, 3) float32; zero for annotations without keypoints."""
    meaning = f"x, y, v of the {len(skeleton)} keypoints of skeleton {skeleton.name!r}"
    points, given = keypoints(table, len(skeleton), meaning), with_keypoints(table)
    flags = points[:, :, 2]
    for row, joint in np.argwhere(~np.isin(flags, (0, 1, 2))).tolist():
        reason = f"v of {skeleton.keypoints[joint]} must be 0, 1 or 2, found {flags[row, joint]:g}"
        table.fault(row, "keypoints", reason)
    points[:, :, 2] = np.minimum(flags, 1)
    points = points.astype(np.float32)
    points[given] -= np.float32([first, first, 0])
    return points
