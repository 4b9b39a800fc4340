"""A folder of labelme files (github.com/wkentaro/labelme) as `Persons` and as a COCO keypoint document.

One `point` shape for each keypoint: its label is the keypoint's name, its group_id tells the persons of an image apart,
its description may be COCO's v (0 not labelled, 1 hidden, 2 visible; any other text is a note and means 2). A
`rectangle` with the same group_id, of any label, is the person's box. Points without a group_id belong to the only
rectangle around them, or are one person if no rectangle is without points, or only one that is around none of them.
Other shapes are ignored. Files with predictions that nobody has corrected (corrected_labelme.py) are left out.
"""

import logging
import os
from collections import Counter

import numpy as np

from semipose.data.archives import is_archive
from semipose.data.formats.corrected_labelme import is_corrected
from semipose.data.formats.image_list import ImageList, box_areas
from semipose.data.formats.json_rows import Table, WrongRows, load_json, refuse_wrong_rows
from semipose.data.formats.labelme_image import LabeledImage, find_image
from semipose.data.formats.labelme_shapes import NO_GROUP, people_of
from semipose.errors import DataError
from semipose.geometry.boxes import complete_boxes
from semipose.skeletons import Skeleton
from semipose.structures import Persons

_log = logging.getLogger(__name__)


def read_labelme(folder: str, skeleton: Skeleton, image_root: str = "", ignore_unknown: bool = False) -> Persons:
    """The persons with a labelled keypoint, by file (sorted by path), then in the order that the file names them.

    The group_id is kept as group (-1 = none). A person without a rectangle has the box of its keypoints (see
    `complete_boxes`). Boxes are clipped to the image, areas are max(1, 0.53 * width * height). Keypoints outside the
    image are left out, and so are persons with neither a box nor a keypoint in it. Labels and sizes are those of the
    picture as labelme shows it, turned by its EXIF orientation. Ids run from 1; embedded image data are ignored.

    Args:
        folder: folder of the `.json` files, with all folders below it but hidden ones.
        skeleton: its K names are the labels; case, spaces and dashes do not matter.
        image_root: folder that no image may leave; "" = `folder`.
        ignore_unknown: leave out points whose label is no keypoint, and count them; else they are faults.

    Raises:
        DataError: naming the file, the shape, the field and the reason.
    """
    persons = read_unlabeled_labelme(folder, skeleton, image_root, ignore_unknown)
    posed = persons.keypoints[:, :, 2].any(axis=1)
    if not posed.all():
        _log.warning("%s: left out %d persons that have a rectangle and no labelled point", folder, (~posed).sum())
    return persons.take(posed)


def read_unlabeled_labelme(
    folder: str, skeleton: Skeleton, image_root: str = "", ignore_unknown: bool = False
) -> Persons:
    """As `read_labelme`, and also the persons that only have a rectangle."""
    document = labelme_document(folder, skeleton, image_root, ignore_unknown)
    images = ImageList(folder, image_root or folder, document)
    table = Table(folder, "annotation", document["annotations"])
    image_index = images.rows_of(table)
    keypoints = table.vectors("keypoints", 3 * len(skeleton), "x, y, v").reshape(-1, len(skeleton), 3)
    keypoints[:, :, 2] = np.minimum(keypoints[:, :, 2], 1)
    persons = Persons(
        image_paths=images.paths,
        image_ids=images.ids,
        image_sizes=images.annotated,
        image_index=image_index,
        ids=table.integers("id"),
        boxes=images.clip(table.vectors("bbox", 4, "x, y, width, height"), image_index),
        keypoints=keypoints.astype(np.float32),
        areas=table.numbers("area").astype(np.float32),
        scores=np.ones(len(table), np.float32),
        group_ids=table.integers("group_id", default=NO_GROUP),
    )
    refuse_wrong_rows((images.table, table))
    return persons


def labelme_document(folder: str, skeleton: Skeleton, image_root: str = "", ignore_unknown: bool = False) -> dict:
    """The COCO keypoint document of a labelme folder; arguments and errors as for `read_labelme`.

    Its file names are relative to the image root. An annotation has a `group_id` if its shapes have one.
    """
    if is_archive(image_root or folder):
        raise DataError(f"{image_root or folder}: images of labelme files must be in a folder, not in a zip archive")
    images, annotations, counts, faults = [], [], Counter(), {}
    for file in json_files(folder):
        try:
            found = _read_file(file, folder, skeleton, image_root or folder, ignore_unknown, counts)
        except WrongRows as error:
            faults |= error.rows
        except DataError as error:
            faults[file] = {-1: str(error)}
        else:
            if found is None:
                continue
            image, people = found
            width, height = image.size
            images.append({"id": len(images) + 1, "file_name": image.name, "width": width, "height": height})
            counts["missing"] += not image.found
            annotations += [{"image_id": len(images), **_annotation(image, *person, counts)} for person in people]
    if faults:
        raise WrongRows(faults)
    if counts["untouched"]:
        _log.warning("%s: left out %d files with predictions that nobody has corrected", folder, counts["untouched"])
    if not images and counts["untouched"]:
        raise DataError(f"{folder}: none of its {counts['untouched']} files of predictions is corrected yet")
    if not images:
        raise DataError(
            f"{folder}: has no labelme file (*.json) in it or below it (a COCO file has to be named itself)"
        )
    annotations = _with_boxes(images, annotations, counts)
    _report(folder, image_root or folder, len(images), len(annotations), counts)
    links = [[a + 1, b + 1] for a, b in skeleton.link_indices]
    category = {"id": 1, "name": "person", "keypoints": list(skeleton.keypoints), "skeleton": links}
    return {"images": images, "annotations": annotations, "categories": [category]}


def _read_file(
    file: str, folder: str, skeleton: Skeleton, root: str, ignore_unknown: bool, counts: Counter
) -> tuple[LabeledImage, list] | None:
    """The image and the persons of a labelme file; None for another JSON file, or predictions that are as they were."""
    document = load_json(file)
    if not isinstance(document, dict) or not document.keys() & {"shapes", "imagePath"}:
        _log.warning("left out: %s: is not a labelme file (it has neither 'imagePath' nor 'shapes')", file)
        return None
    if not is_corrected(document):
        counts["untouched"] += 1
        return None
    image, table = find_image(file, document, folder, root), Table(file, "shape", document.get("shapes"))
    people = people_of(table, skeleton, ignore_unknown, counts)
    if table.faults:
        raise WrongRows({file: table.faults})
    return image, people


def json_files(folder: str) -> list[str]:
    """The JSON files in a folder and below it but hidden ones, sorted; raises DataError if there is no such folder."""
    if not os.path.isdir(folder):
        raise DataError(f"{folder}: labelme folder does not exist")
    found = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [os.path.join(parent, n) for n in names if n.lower().endswith(".json") and not n.startswith(".")]
    return sorted(found)


def _annotation(
    image: LabeledImage, group: int, points: np.ndarray, corners: np.ndarray | None, counts: Counter
) -> dict:
    """COCO annotation without ids and area; its box may be empty."""
    limit = np.array(image.size) - 1
    xy, labeled = points[:, :2], points[:, 2] > 0
    outside = labeled & ((xy < -0.5) | (xy > limit + 0.5)).any(axis=1)
    labeled &= ~outside
    counts["outside"] += int(outside.sum())
    low, high = np.zeros((2, 2)) if corners is None else corners
    keypoints = np.where(labeled[:, None], np.column_stack([xy, points[:, 2]]), 0).tolist()
    person = {"category_id": 1, "iscrowd": 0, "bbox": [*low.tolist(), *(high - low).tolist()]}
    person |= {
        "keypoints": [number for x, y, v in keypoints for number in (x, y, int(v))],
        "num_keypoints": int(labeled.sum()),
    }
    return person if group == NO_GROUP else {**person, "group_id": group}


def _with_boxes(images: list[dict], annotations: list[dict], counts: Counter) -> list[dict]:
    """The annotations that have a box in their image, or a keypoint that gives them one."""
    if not annotations:
        return []
    sizes = np.array([[images[a["image_id"] - 1][side] for side in ("width", "height")] for a in annotations], float)
    keypoints = np.array([a["keypoints"] for a in annotations], float).reshape(len(annotations), -1, 3)
    boxes, new = complete_boxes(np.array([a["bbox"] for a in annotations], float), keypoints, sizes)
    counts["single"] = int((new & ((keypoints[..., 2] > 0).sum(axis=1) == 1)).sum())
    kept = []
    for annotation, box, area in zip(annotations, boxes, box_areas(boxes).tolist()):
        if (box[2:] > 0).all():
            kept.append({"id": len(kept) + 1, **annotation, "bbox": box.tolist(), "area": area})
    counts["empty"] = len(annotations) - len(kept)
    return kept


def _report(folder: str, root: str, images: int, persons: int, counts: Counter) -> None:
    _log.info("%s: %d persons on %d images; left out: %d with an empty box", folder, persons, images, counts["empty"])
    pairs = {key: count for key, count in counts.items() if isinstance(key, tuple)}
    for key, text in (("unknown", "points whose labels are no keypoints"), ("shape", "shapes of other types")):
        found = {name: count for (kind, name), count in pairs.items() if kind == key and count}
        if found:
            names = ", ".join(f"{name!a} ({count})" for name, count in found.items())
            _log.warning("%s: left out %d %s: %s", folder, sum(found.values()), text, names)
    if counts["notes"]:
        _log.info("%s: %d points are visible: their description is a note, not 0, 1 or 2", folder, counts["notes"])
    if counts["placed"]:
        _log.info("%s: %d points without group_id belong to the rectangle around them", folder, counts["placed"])
    if counts["single"]:
        _log.info("%s: %d persons of one point have a box as large as the others' on it", folder, counts["single"])
    if counts["outside"]:
        _log.warning("%s: %d labels outside their image are not used", folder, counts["outside"])
    if counts["missing"]:
        _log.warning("%s: %d of %d images are not found below %s", folder, counts["missing"], images, root)
