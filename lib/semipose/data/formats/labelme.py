"""A folder of labelme files (github.com/wkentaro/labelme) as `Persons` and as a COCO keypoint document.

One `point` shape for each keypoint: its label is the keypoint's name, its group_id tells the persons of an image apart,
its description is COCO's v (0 not labelled, 1 hidden, 2 visible; empty = 2). A `rectangle` with the same group_id, of
any label, is the person's box. Shapes without a group_id are one person. Other shapes are ignored.
"""

import logging
import os
from collections import Counter

import numpy as np

from semipose.data.archives import is_archive
from semipose.data.formats.image_list import ImageList, box_areas
from semipose.data.formats.json_rows import Table, WrongRows, load_json, refuse_wrong_rows
from semipose.data.formats.labelme_image import LabeledImage, find_image
from semipose.data.formats.labelme_shapes import NO_GROUP, people_of
from semipose.errors import DataError
from semipose.geometry.boxes import complete_boxes
from semipose.skeletons import Skeleton
from semipose.structures import Persons

_log = logging.getLogger(__name__)


def read_labelme(folder: str, skeleton: Skeleton, image_root: str = "") -> Persons:
    """The persons with a labelled keypoint, by file (sorted by path), then in the order that the file names them.

    The group_id is kept as group (-1 = none). A person without a rectangle, or with an empty one, has the box of its
    keypoints (`complete_boxes`). Boxes are clipped to the image, areas are max(1, 0.53 * width * height). Rectangles
    with an empty box and without keypoints, and keypoints outside the image, are left out. Where an image is turned by
    its EXIF orientation, labels are turned back to the stored pixels. Ids run from 1; embedded image data are ignored.

    Args:
        folder: folder of the `.json` files, with all folders below it but hidden ones.
        skeleton: its K names are the labels; case, spaces and dashes do not matter.
        image_root: folder that no image may leave; "" = `folder`.

    Raises:
        DataError: naming the file, the shape, the field and the reason.
    """
    persons = read_unlabeled_labelme(folder, skeleton, image_root)
    return persons.take(persons.keypoints[:, :, 2].any(axis=1))


def read_unlabeled_labelme(folder: str, skeleton: Skeleton, image_root: str = "") -> Persons:
    """As `read_labelme`, and also the persons that only have a rectangle."""
    document = labelme_document(folder, skeleton, image_root)
    images = ImageList(folder, image_root or folder, document)
    table = Table(folder, "annotation", document["annotations"])
    image_index = images.rows_of(table)
    keypoints = table.vectors("keypoints", 3 * len(skeleton), "x, y, v").reshape(-1, len(skeleton), 3)
    keypoints[:, :, 2] = np.minimum(keypoints[:, :, 2], 1)
    persons = Persons(
        image_paths=images.paths,
        image_ids=images.ids,
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


def labelme_document(folder: str, skeleton: Skeleton, image_root: str = "") -> dict:
    """The COCO keypoint document of a labelme folder; arguments and errors as for `read_labelme`.

    Its file names are relative to the image root. An annotation has a `group_id` if its shapes have one.
    """
    if is_archive(image_root or folder):
        raise DataError(f"{image_root or folder}: images of labelme files must be in a folder, not in a zip archive")
    images, annotations, counts, faults = [], [], Counter(), {}
    for file in _files(folder):
        try:
            found = _read_file(file, folder, skeleton, image_root or folder)
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
            counts.update({"missing": not image.found, "turned": image.orientation != 1})
            for group, points, box in people:
                person = _annotation(image, group, points, box, counts)
                if person:
                    annotations.append({"id": len(annotations) + 1, "image_id": len(images), **person})
    if faults:
        raise WrongRows(faults)
    if not images:
        raise DataError(f"{folder}: has no labelme file (*.json) in it or below it")
    counts["boxes"] = _complete(images, annotations)
    _report(folder, image_root or folder, len(images), len(annotations), counts)
    links = [[a + 1, b + 1] for a, b in skeleton.link_indices]
    category = {"id": 1, "name": "person", "keypoints": list(skeleton.keypoints), "skeleton": links}
    return {"images": images, "annotations": annotations, "categories": [category]}


def _read_file(file: str, folder: str, skeleton: Skeleton, root: str) -> tuple[LabeledImage, list] | None:
    """The image and the persons of a labelme file; None for another JSON file."""
    document = load_json(file)
    if not isinstance(document, dict) or not document.keys() & {"shapes", "imagePath"}:
        _log.warning("left out: %s: is not a labelme file (it has neither 'imagePath' nor 'shapes')", file)
        return None
    image, table = find_image(file, document, folder, root), Table(file, "shape", document.get("shapes"))
    people = people_of(table, skeleton)
    if table.faults:
        raise WrongRows({file: table.faults})
    return image, people


def _files(folder: str) -> list[str]:
    if not os.path.isdir(folder):
        raise DataError(f"{folder}: labelme folder does not exist")
    found = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [os.path.join(parent, n) for n in names if n.lower().endswith(".json") and not n.startswith(".")]
    return sorted(found)


def _annotation(
    image: LabeledImage, group: int, points: np.ndarray, corners: np.ndarray | None, counts: Counter
) -> dict | None:
    """COCO annotation without ids and area; None if it has no keypoint and no rectangle with area."""
    limit = np.array(image.size) - 1
    xy, labeled = image.to_stored(points[:, :2]), points[:, 2] > 0
    outside = labeled & ((xy < -0.5) | (xy > limit + 0.5)).any(axis=1)
    labeled &= ~outside
    counts["outside"] += int(outside.sum())
    corners = np.zeros((2, 2)) if corners is None else image.to_stored(corners)
    low, high = np.clip([corners.min(axis=0), corners.max(axis=0)], 0, limit)
    if not (high > low).all() and not labeled.any():
        counts["empty"] += 1
        return None
    box = [*low.tolist(), *(high - low).tolist()]
    keypoints = np.where(labeled[:, None], np.column_stack([xy, points[:, 2]]), 0).tolist()
    person = {"category_id": 1, "iscrowd": 0, "bbox": box}
    person |= {
        "keypoints": [number for x, y, v in keypoints for number in (x, y, int(v))],
        "num_keypoints": int(labeled.sum()),
    }
    return person if group == NO_GROUP else {**person, "group_id": group}


def _complete(images: list[dict], annotations: list[dict]) -> int:
    """Adds areas, and boxes of keypoints where there is none; returns their number."""
    if not annotations:
        return 0
    sizes = np.array([(image["width"], image["height"]) for image in images], np.float64)
    points = np.array([person["keypoints"] for person in annotations], np.float64).reshape(len(annotations), -1, 3)
    boxes = np.array([person["bbox"] for person in annotations], np.float64)
    boxes, new = complete_boxes(boxes, points, sizes[[person["image_id"] - 1 for person in annotations]])
    for person, box, area in zip(annotations, boxes.tolist(), box_areas(boxes).tolist()):
        person |= {"bbox": box, "area": area}
    return int(new.sum())


def _report(folder: str, root: str, images: int, persons: int, counts: Counter) -> None:
    _log.info(
        "%s: %d persons on %d images, %d boxes from keypoints; left out: %d with an empty box",
        folder, persons, images, counts["boxes"], counts["empty"],
    )  # fmt: skip
    if counts["outside"]:
        _log.warning("%s: %d labels outside their image are not used", folder, counts["outside"])
    if counts["missing"]:
        _log.warning("%s: %d of %d images are not found below %s", folder, counts["missing"], images, root)
    if counts["turned"]:
        _log.warning(
            "%s: %d images are turned by their EXIF orientation. Their labels are turned back to the stored pixels, "
            "so the network sees them lying; better save them upright (such as with: mogrify -auto-orient)",
            folder, counts["turned"],
        )  # fmt: skip
