"""COCO keypoint annotations (Lin et al. 2014, format of cocodataset.org) and detector boxes as `Persons`."""

import copy
import logging

import numpy as np

from semipose.data.formats.image_list import ImageList, box_areas, whole_frames
from semipose.data.formats.json_rows import Table, load_json, refuse_wrong_rows
from semipose.errors import DataError
from semipose.skeletons import Skeleton
from semipose.structures import Persons

_log = logging.getLogger(__name__)


def read_coco(annotation_file: str, image_dir: str, skeleton: Skeleton, one_based: bool = False) -> Persons:
    """The annotated persons of a COCO keypoint file, top-down, in annotation order.

    Crowds, persons without a labelled keypoint and boxes that are empty inside the image are left out. An area that is
    missing or zero is max(1, 0.53 * width * height) of the box.

    Args:
        annotation_file: JSON file.
        image_dir: folder that its file names refer to.
        skeleton: the K keypoints of the file, in the file's order.
        one_based: coordinates count from 1; 1 is subtracted from boxes and keypoints.

    Raises:
        DataError: naming the file, the id, the field and the reason.
    """
    document = _load_document(annotation_file)
    images, table, crowd = _annotations(annotation_file, image_dir, document)
    kinds = _categories(annotation_file, document)
    _check_names(kinds, skeleton)
    table = table.where(~crowd & _with_keypoints(table))
    persons = _persons(images, table, skeleton, int(one_based))

    posed = persons.keypoints[:, :, 2].any(axis=1)
    filled = _has_filled_box(persons)
    _log.info(
        "%s: %d persons; left out: %d crowds, %d without keypoints, %d with an empty box",
        annotation_file, (posed & filled).sum(), crowd.sum(), (~crowd).sum() - posed.sum(), (posed & ~filled).sum(),
    )  # fmt: skip
    persons = persons.take(posed & filled & table.sound & images.sound(persons.image_index))
    refuse_wrong_rows((kinds, images.table, table), persons)
    return persons


def read_unlabeled_coco(annotation_file: str, image_dir: str, skeleton: Skeleton, one_based: bool = False) -> Persons:
    """The person boxes of a COCO file, with or without keypoints, in annotation order.

    Crowds, other categories than persons and boxes that are empty inside the image are left out. A category is of
    persons if it has keypoints. If none has, the category named 'person' counts, or else all. An annotation without a
    category is a person. Keypoints that the file has are kept as hidden labels, to judge pseudo-labels by; the others
    are zero. If the categories name another number of keypoints than the skeleton, only the boxes are used, and all
    keypoints are zero. In a file without annotations, such as `image_info_unlabeled2017.json`, each image is one person
    with the whole frame as its box and ids run from 1.

    Args:
        annotation_file: JSON file.
        image_dir: folder that its file names refer to.
        skeleton: the K keypoints of the file, in the file's order.
        one_based: as in `read_coco`.

    Raises:
        DataError: naming the file, the id, the field and the reason.
    """
    document = _load_document(annotation_file)
    if document.get("annotations") in (None, []):
        images = ImageList(annotation_file, image_dir, document)
        _log.info("%s: no annotations; %d whole images", annotation_file, len(images.ids))
        persons = whole_frames(images.paths, images.ids, images.sizes, len(skeleton))
        persons = persons.take(images.sound(persons.image_index))
        refuse_wrong_rows((images.table,), persons)
        return persons
    images, table, crowd = _annotations(annotation_file, image_dir, document)
    kinds = _categories(annotation_file, document)
    if _names_other_keypoints(kinds, skeleton):
        _log.info("%s: not the keypoints of skeleton %r; only its boxes serve", annotation_file, skeleton.name)
        table = _without_keypoints(table)
    else:
        _check_names(kinds, skeleton)
    person = _of_persons(table, kinds)
    log_counts = (~person).sum(), (person & crowd).sum()
    table = table.where(~crowd & person)
    persons = _persons(images, table, skeleton, int(one_based))

    filled = _has_filled_box(persons)
    _log.info(
        "%s: %d unlabeled persons; left out: %d of other categories, %d crowds, %d with an empty box",
        annotation_file, filled.sum(), *log_counts, (~filled).sum(),
    )  # fmt: skip
    persons = persons.take(filled & table.sound & images.sound(persons.image_index))
    refuse_wrong_rows((kinds, images.table, table), persons)
    return persons


def read_detections(
    detection_file: str, annotation_file: str, image_dir: str, skeleton: Skeleton, score_threshold: float = 0.0
) -> Persons:
    """The person boxes of a detector, without keypoints.

    Other categories than 1 (person), scores below the threshold and boxes that are empty inside the image are left out.
    So are boxes on images that the annotation file does not list, since one detector file is often used for several
    subsets. The log has their number.

    Args:
        detection_file: JSON list of `{image_id, category_id, bbox, score}`.
        annotation_file: JSON file with at least `images`.
        image_dir: folder that its file names refer to.
        skeleton: gives K for the (N, K, 3) keypoints, which are zero.
        score_threshold: smallest score to keep.

    Raises:
        DataError: naming the file, the id, the field and the reason; also if no detection is on a listed image.
    """
    images = ImageList(annotation_file, image_dir, _load_document(annotation_file))
    table = Table(detection_file, "detection", load_json(detection_file))
    known = images.known(table)
    if len(table) and not known.any():
        raise DataError(f"{detection_file}: none of its {len(table)} detections is on an image of {annotation_file}")
    if not known.all():
        _log.warning(
            "%s: skipped %d detections on images that are not in %s", detection_file, (~known).sum(), annotation_file
        )
    wanted = (table.integers("category_id") == 1) & (table.numbers("score") >= score_threshold)
    table = table.where(known & wanted)

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
    persons = persons.take(_has_filled_box(persons) & table.sound & images.sound(image_index))
    refuse_wrong_rows((images.table, table), persons)
    return persons


def _load_document(file: str) -> dict:
    document = load_json(file)
    if not isinstance(document, dict):
        raise DataError(
            f"{file}: must be a JSON object with 'images' and 'annotations', found a {type(document).__name__}"
        )
    return document


def _annotations(file: str, image_dir: str, document: dict) -> tuple[ImageList, Table, np.ndarray]:
    """The images, the annotations, and (N,) bool, which of them are crowds."""
    images = ImageList(file, image_dir, document)
    if document.get("annotations") is None:
        refuse_wrong_rows((images.table,))
        raise DataError(f"{file}: has no 'annotations', so it can only serve as an unlabeled source")
    table = Table(file, "annotation", document["annotations"])
    table.unique_integers("id")
    images.rows_of(table)
    return images, table, table.integers("iscrowd", default=0) != 0


def _categories(file: str, document: dict) -> Table:
    categories = document.get("categories")
    return Table(file, "category", [] if categories is None else categories)


def _of_persons(table: Table, kinds: Table) -> np.ndarray:
    """(N,) bool, whether each annotation is of a person category."""
    named = np.array([row.get("name") == "person" for row in kinds.rows], bool)
    chosen = next((mask for mask in (_with_keypoints(kinds), named) if mask.any()), None)
    if chosen is None:
        return np.ones(len(table), bool)
    ids = kinds.where(chosen).integers("id")
    return np.isin(table.integers("category_id", default=int(ids[0])), ids)


def _with_keypoints(table: Table) -> np.ndarray:
    return np.array([bool(row.get("keypoints")) for row in table.rows], bool)


def _without_keypoints(table: Table) -> Table:
    bare = copy.copy(table)
    bare.rows = [{**row, "keypoints": None} for row in table.rows]
    return bare


def _has_filled_box(persons: Persons) -> np.ndarray:
    return (persons.boxes[:, 2:] > 0).all(axis=1)


def _persons(images: ImageList, table: Table, skeleton: Skeleton, first: int) -> Persons:
    """All rows as persons; `first` is the coordinate of the first pixel in the file."""
    image_index = images.rows_of(table)
    boxes = images.clip(table.vectors("bbox", 4, "x, y, width, height") - [first, first, 0, 0], image_index)
    areas = table.numbers("area", default=0)
    table.refuse(areas < 0, "area", "must not be negative, found {}")
    return Persons(
        image_paths=images.paths,
        image_ids=images.ids,
        image_sizes=images.annotated,
        image_index=image_index,
        ids=table.integers("id"),
        boxes=boxes,
        keypoints=_keypoints(table, skeleton, first),
        areas=np.where(areas > 0, areas, box_areas(boxes)).astype(np.float32),
        scores=np.ones(len(table), np.float32),
        group_ids=table.integers("group_id", default=-1),
    )


def _keypoints(table: Table, skeleton: Skeleton, first: int) -> np.ndarray:
    """(N, K, 3) float32; zero for annotations without keypoints."""
    labeled = _with_keypoints(table)
    keypoints = np.zeros((len(table), len(skeleton), 3), np.float32)
    keypoints[labeled] = _labeled_keypoints(table.where(labeled), skeleton) - np.float32([first, first, 0])
    return keypoints


def _labeled_keypoints(table: Table, skeleton: Skeleton) -> np.ndarray:
    meaning = f"x, y, v of the {len(skeleton)} keypoints of skeleton {skeleton.name!r}"
    keypoints = table.vectors("keypoints", 3 * len(skeleton), meaning).reshape(-1, len(skeleton), 3)
    flags = keypoints[:, :, 2]
    for row, joint in np.argwhere(~np.isin(flags, (0, 1, 2))).tolist():
        reason = f"v of {skeleton.keypoints[joint]} must be 0, 1 or 2, found {flags[row, joint]:g}"
        table.fault(row, "keypoints", reason)
    keypoints[:, :, 2] = np.minimum(flags, 1)
    return keypoints


def _names_other_keypoints(kinds: Table, skeleton: Skeleton) -> bool:
    """Whether a category names another number of keypoints than the skeleton has."""
    names = [row.get("keypoints") for row in kinds.rows]
    return any(isinstance(some, list) and len(some) not in (0, len(skeleton)) for some in names)


def _check_names(kinds: Table, skeleton: Skeleton) -> None:
    """Refuses keypoint names that show another skeleton; a file without names is believed."""
    expected = f"the {len(skeleton)} keypoints of skeleton {skeleton.name!r}"
    for row, category in enumerate(kinds.rows):
        names = category.get("keypoints")
        if not names:
            continue
        if not isinstance(names, list) or len(names) != len(skeleton):
            found = f"{len(names)} names" if isinstance(names, list) else "no list"
            kinds.fault(row, "keypoints", f"must name {expected}, found {found}")
            continue
        other = [(name, own) for name, own in zip(names, skeleton.keypoints) if _plain(name) != _plain(own)]
        if {_plain(name) for name, _ in other} & set(map(_plain, skeleton.keypoints)):
            kinds.fault(row, "keypoints", f"must name {expected} in this order: {', '.join(skeleton.keypoints)}")
        elif other:
            renamed = ", ".join(f"{str(name)!a} for {own!r}" for name, own in other)
            _log.warning(
                "%s: its keypoint names differ from those of skeleton %r: %s", kinds.file, skeleton.name, renamed
            )


def _plain(name: object) -> str:
    """AI Challenger writes 'Right Shoulder', most others 'right_shoulder'."""
    return "_".join(str(name).lower().split())
