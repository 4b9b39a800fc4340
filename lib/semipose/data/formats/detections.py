"""The boxes of a detector, a COCO results list, as `Persons`."""

import logging
import os
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np

from semipose.data.formats.coco import load_document
from semipose.data.formats.coco_categories import categories_of, person_categories, taken_categories
from semipose.data.formats.coco_rows import with_keypoints
from semipose.data.formats.detection_rows import detection_rows
from semipose.data.formats.image_list import ImageList, box_areas
from semipose.data.formats.json_rows import Table, describe, refuse_wrong_rows
from semipose.data.formats.notices import warn_once
from semipose.errors import DataError
from semipose.skeletons import Skeleton
from semipose.structures import Persons

_log = logging.getLogger(__name__)
_PERSON = 1  # category id of COCO
_SHOWN = 9


def read_detections(
    detection_file: str, annotation_file: str, image_dir: str, skeleton: Skeleton, score_threshold: float = 0.0,
    categories: Sequence[str] = (), box_categories: Sequence[int] = (),
) -> Persons:  # fmt: skip
    """The person boxes of a detector, without keypoints.

    The category of persons is that of the annotation's keypoints (`detected_categories`). Other categories, scores
    below the threshold and boxes that are empty inside the image are left out. So are boxes on images that the
    annotation file does not list, since one detector file is often used for several subsets. An image id that is a text
    is the name of an image file, with or without ending, or an id if none is a name; a number may be that in the name
    of a file (`_of_numbered_files`). The log has the number of each.

    Args:
        detection_file: JSON list of `{image_id, category_id, bbox, score}`, or a COCO file (see `detection_rows`).
        annotation_file: JSON file with at least `images`.
        image_dir: folder that its file names refer to.
        skeleton: gives K for the (N, K, 3) keypoints, which are zero.
        score_threshold: smallest score to keep.
        categories: of the annotation, as in `read_coco`.
        box_categories: ids in the file of detections that are of persons; empty = those of the annotation.

    Raises:
        DataError: naming the file, the id, the field and the reason; also if no detection is on a listed image, of a
            person, or above the threshold.
    """
    document = load_document(annotation_file)
    images = ImageList(annotation_file, image_dir, document)
    table = load_detections(detection_file, images.table)
    known = images.known(table)
    if len(table) and not known.any():
        raise DataError(f"{detection_file}: none of its {len(table)} detections is on an image of {annotation_file}")
    if not known.all():
        where = f"images that are not in {annotation_file}"
        warn_once(_log, "%s: skipped %d detections on %s", detection_file, (~known).sum(), where)
    wanted = box_categories or detected_categories(annotation_file, document, skeleton, categories)
    reason = "as asked" if box_categories else f"that of the keypoints of {annotation_file}"
    person = _of_category(table, wanted, reason)
    scores = table.numbers("score")
    kept = known & person & (scores >= score_threshold)
    if not table.faults and not kept.any():
        best = (
            f"the highest score of a person is {scores[known & person].max(initial=0):g}, {score_threshold:g} is asked"
        )
        raise DataError(f"{detection_file}: no detection of a person on an image of {annotation_file} is used: {best}")
    table = table.where(kept)

    image_index = images.rows_of(table)
    boxes = images.clip(table.vectors("bbox", 4, "x, y, width, height"), image_index)
    persons = Persons(
        image_paths=images.paths,
        image_ids=images.ids,
        image_sizes=images.annotated,
        image_index=image_index,
        ids=np.arange(1, len(table) + 1),
        boxes=boxes,
        keypoints=np.zeros((len(table), len(skeleton), 3), np.float32),
        areas=box_areas(boxes),
        scores=table.numbers("score").astype(np.float32),
    )
    filled = (boxes[:, 2:] > 0).all(axis=1)
    persons = persons.take(filled & table.sound & images.sound(image_index))
    refuse_wrong_rows((images.table, table), persons)
    return persons


def load_detections(file: str, images: Table) -> Table:
    """The detections, with the ids of images in place of the names of their files; others with names are left out.

    Args:
        images: of the annotation, with `id` and `file_name`.

    Raises:
        DataError: the file cannot be read, it has no detection, or all of them have names that no image file has.
    """
    table = Table(file, "detection", detection_rows(file, images.rows))
    if not len(table) and not table.faults:
        raise DataError(f"{file}: has no detection; the list is empty")
    named = np.array([isinstance(row.get("image_id"), str) for row in table.rows], bool)
    return _with_ids(table, named, images) if named.any() else _of_numbered_files(table, images)


def detected_categories(file: str, document: dict, skeleton: Skeleton, wanted: Sequence[str] = ()) -> list[int]:
    """Ids of the categories that a detector's person has: those of the annotation that name keypoints, or have
    annotations with keypoints; else the one named 'person', or else 1."""
    table, kinds = Table(file, "annotation", document.get("annotations") or []), categories_of(file, document)
    taken = taken_categories(table, kinds, skeleton, wanted)
    posed = table.where(with_keypoints(table))
    if len(posed) and not wanted and not (taken & with_keypoints(kinds)).any():
        return np.unique(posed.integers("category_id", default=_PERSON)).tolist()
    found = person_categories(kinds, taken, bool(wanted))
    return [_PERSON] if found is None else found.tolist()


def _with_ids(table: Table, named: np.ndarray, images: Table) -> Table:
    ids, unknown = _ids_by_name(images), ~named & False
    if ids.keys().isdisjoint(table.rows[number]["image_id"] for number in np.flatnonzero(named)):
        ids = {str(row["id"]): {row["id"]} for row in images.rows if type(row.get("id")) is int}
    for number in np.flatnonzero(named).tolist():
        row = table.rows[number]
        found = ids.get(row["image_id"], set())
        unknown[number] = not found
        if len(found) > 1:
            table.fault(number, "image_id", f"{describe(row['image_id'])} is the name of {len(found)} images")
        if found:
            table.rows[number] = row | {"image_id": min(found)}
    if unknown.all():
        example = describe(table.rows[0]["image_id"])
        reason = (
            f"none of its {len(table)} detections is on an image of {images.file}: no image file is named {example}"
        )
        raise DataError(f"{table.file}: {reason}")
    warn_once(
        _log, "%s: image ids of %d detections are texts, matched to file names or ids; skipped %d that are not in %s",
        table.file, (named & ~unknown).sum(), unknown.sum(), images.file,
    )  # fmt: skip
    return table.where(~unknown)


def _of_numbered_files(table: Table, images: Table) -> Table:
    """Some detectors give the number in the name of the file (7 for 007.jpg). So it is taken if some of the ids are not
    known, but all are numbers of files."""
    ids, known = _ids_by_name(images), {row.get("id") for row in images.rows if type(row.get("id")) is int}
    numbers = {int(name): found for name, found in ids.items() if name.isdecimal() and len(found) == 1}
    given = [row.get("image_id") for row in table.rows]
    if not all(type(number) is int and number in numbers for number in given) or known.issuperset(given):
        return table
    table.rows = [row | {"image_id": min(numbers[number])} for row, number in zip(table.rows, given)]
    warn_once(_log, "%s: image ids are the numbers in the names of the files of %s", table.file, images.file)
    return table


def _ids_by_name(images: Table) -> dict[str, set[int]]:
    """Image ids by file name, by its last part, and by that without its ending."""
    ids = defaultdict(set)
    for row in images.rows:
        path = str(row.get("file_name")).replace("\\", "/")
        base = os.path.basename(path)
        if type(row.get("id")) is int:
            for name in (path, base, os.path.splitext(path)[0], os.path.splitext(base)[0]):
                ids[name].add(row["id"])
    return ids


def _of_category(table: Table, wanted: Sequence[int], reason: str) -> np.ndarray:
    """(N,) bool; raises DataError if no detection is of these categories."""
    found = table.integers("category_id")
    person = np.isin(found, wanted)
    counts = ", ".join(f"{kind} ({count})" for kind, count in Counter(found[~person].tolist()).most_common(_SHOWN))
    asked = ", ".join(map(str, wanted[:_SHOWN])) + (", ..." if len(wanted) > _SHOWN else "")
    if len(table) and not person.any() and not table.faults:
        raise DataError(
            f"{table.file}: has no detection of category {asked}, {reason}; "
            f"its categories (and detections): {counts}; name the right ones in `box_categories` of the source or "
            f"TEST.BBOX_CATEGORIES"
        )
    if not person.all():
        _log.info("%s: left out %d detections of categories other than %s", table.file, (~person).sum(), asked)
    return person
