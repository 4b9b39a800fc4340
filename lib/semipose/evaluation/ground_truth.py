"""The ground truth of an OKS evaluation: a checked, lean copy of a COCO annotation, or made from `Persons`."""

import json
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from semipose.errors import DataError
from semipose.structures import Persons

NO_GROUP = -1


@dataclass(frozen=True)
class CocoGroundTruth:
    """Annotations ready for the COCO tools; make it once with `prepare_ground_truth`, evaluate often.

    Attributes:
        dataset: COCO dict with the images (`id`, and `crowdIndex` where the file has it) and the annotations of one
            category. Annotation ids run from 1 (the tools take an annotation with id 0 for an unmatched one); the id
            in the file is `annotation_id` (None if it has none), and `group_id` is -1 for a person without a group.
        sigmas: (K,) OKS constants of the skeleton.
    """

    dataset: dict
    sigmas: np.ndarray

    @property
    def image_ids(self) -> list[int]:
        return [image["id"] for image in self.dataset["images"]]

    @property
    def category_id(self) -> int:
        return self.dataset["categories"][0]["id"]


def load_ground_truth(annotation_file, sigmas, image_ids=None, category_id: int | None = None) -> CocoGroundTruth:
    """`prepare_ground_truth` of a COCO JSON file; raises DataError as well when it cannot be read."""
    try:
        annotation = json.loads(Path(annotation_file).read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"{annotation_file}: annotation file cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise DataError(f"{annotation_file}: annotation file is not JSON: {error}") from error
    return prepare_ground_truth(annotation, sigmas, image_ids, category_id, source=str(annotation_file))


def prepare_ground_truth(
    annotation: dict, sigmas, image_ids=None, category_id: int | None = None, source: str = "annotation"
) -> CocoGroundTruth:
    """Check a COCO dict and copy from it what the evaluation needs; the dict is left as it is.

    A missing `area` is max(1, 0.53 w h), a missing `num_keypoints` is counted, missing `keypoints` are all zero (the
    person is then a region to ignore, as in COCO).

    Args:
        annotation: COCO dict with `images` and `annotations`.
        sigmas: (K,) OKS constants, any K.
        image_ids: evaluate only these images; None = all.
        category_id: None = the one category that has keypoints.
        source: what error messages call the annotation.

    Raises:
        DataError: a key is missing, an entry is no object, an id is no integer, keypoints of another length, numbers
            that are not finite, an unknown image id, or more or less than one category with keypoints.
    """
    sigmas = np.asarray(sigmas, np.float64)
    _check_objects(annotation, "images", ("id",), source)
    _check_objects(annotation, "annotations", ("image_id", "category_id"), source)
    known = {image["id"] for image in annotation["images"] if "id" in image}
    chosen = known if image_ids is None else {int(i) for i in image_ids}
    if chosen - known:
        raise DataError(f"{source}: images: no image has the id {min(chosen - known)}")
    category = _keypoint_category(annotation["annotations"], category_id, source)
    persons = [
        a for a in annotation["annotations"] if a.get("image_id") in chosen and a.get("category_id", 1) == category
    ]
    crowd_index = {i["id"]: i["crowdIndex"] for i in annotation["images"] if "id" in i and "crowdIndex" in i}
    dataset = {
        "images": _images(chosen, crowd_index, source),
        "categories": [{"id": category, "name": "person"}],
        "annotations": [_prepared(a, number, category, len(sigmas), source) for number, a in enumerate(persons, 1)],
    }
    return CocoGroundTruth(dataset, sigmas)


def ground_truth_from_persons(
    persons: Persons, sigmas, crowd_index: Mapping[int, float] | None = None
) -> CocoGroundTruth:
    """Ground truth of a set that is no COCO file (MPII, labelme, CSV, ...), or of persons in another skeleton.

    Readers drop crowds and persons without keypoints, so there is no region to ignore: for a COCO file use
    `load_ground_truth`. All images count, also those without a person.

    Args:
        persons: of one set, with keypoints in the skeleton of `sigmas`.
        sigmas: (K,) OKS constants.
        crowd_index: crowd index by image id, for CrowdPose.

    Raises:
        DataError: another number of keypoints, or two images with the same id.
    """
    sigmas, count = np.asarray(sigmas, np.float64), len(persons)
    if persons.keypoints.shape[1:] != (len(sigmas), 3):
        raise DataError(f"persons: keypoints have shape {persons.keypoints.shape}, expected (N, {len(sigmas)}, 3)")
    image_ids, images = np.unique(persons.image_ids, return_counts=True)
    if (images > 1).any():
        raise DataError(f"persons: {images.max()} images have the id {image_ids[images.argmax()]}; one set at a time")
    names = ("image_id", "annotation_id", "group_id", "keypoints", "num_keypoints", "bbox", "area")
    columns = (
        persons.image_ids[persons.image_index], persons.ids, persons.group_ids,
        persons.keypoints.reshape(count, 3 * len(sigmas)), (persons.keypoints[..., 2] > 0).sum(1),
        persons.boxes, persons.areas,
    )  # fmt: skip
    annotations = [
        {"id": number, "category_id": 1, "iscrowd": 0} | dict(zip(names, row))
        for number, row in enumerate(zip(*(column.tolist() for column in columns)), 1)
    ]
    categories = [{"id": 1, "name": "person"}]
    dataset = {"images": _images(set(image_ids.tolist()), crowd_index or {}, "persons"), "categories": categories}
    return CocoGroundTruth(dataset | {"annotations": annotations}, sigmas)


def _images(image_ids: set[int], crowd_index: Mapping[int, float], source: str) -> list[dict]:
    for image_id in image_ids & crowd_index.keys():
        value = crowd_index[image_id]
        if not isinstance(value, (int, float)) or not abs(value) < np.inf:
            raise DataError(f"{source}: image {image_id}: crowdIndex: found {value!r}, expected a finite number")
    return [{"id": i} | ({"crowdIndex": crowd_index[i]} if i in crowd_index else {}) for i in sorted(image_ids)]


def _check_objects(annotation: object, key: str, id_fields: tuple[str, ...], source: str) -> None:
    if not isinstance(annotation, dict) or not isinstance(annotation.get(key), list):
        raise DataError(f"{source}: {key}: expected a COCO file with a list under this key")
    for number, entry in enumerate(annotation[key]):
        if not isinstance(entry, dict):
            raise DataError(f"{source}: {key}: entry {number} is {reprlib.repr(entry)}, expected a JSON object")
        for field in id_fields:
            if not isinstance(entry.get(field, 0), int):
                found = reprlib.repr(entry[field])
                raise DataError(f"{source}: {key}: entry {number}: {field}: found {found}, expected an integer")


def _keypoint_category(annotations: list[dict], category_id: int | None, source: str) -> int:
    found = sorted({a.get("category_id", 1) for a in annotations if a.get("keypoints")})
    if not found and category_id is None:
        raise DataError(f"{source}: annotations: none of them has keypoints")
    if category_id is None and len(found) == 1:
        return found[0]
    if category_id not in found:
        asked = "exactly one is needed" if category_id is None else f"category_id {category_id} is not one of them"
        raise DataError(f"{source}: category_id: annotations of categories {found} have keypoints; {asked}")
    return category_id


def _prepared(annotation: dict, number: int, category_id: int, num_keypoints: int, source: str) -> dict:
    """A copy with id `number` and only what the COCO tools read."""
    keypoints = _numbers(annotation, "keypoints", 3 * num_keypoints, source, default=[0] * 3 * num_keypoints)
    box = _numbers(annotation, "bbox", 4, source)
    labeled = sum(v > 0 for v in keypoints[2::3])
    defaults = {"area": max(1.0, 0.53 * box[2] * box[3]), "num_keypoints": labeled, "iscrowd": 0}
    numbers = {key: _number(annotation, key, default, source) for key, default in defaults.items()}
    group = annotation.get("group_id")
    if group is not None and type(group) is not int:
        raise DataError(f"{source}: annotation {annotation.get('id')}: group_id: found {group!r}, expected an integer")
    return {
        "id": number,
        "annotation_id": annotation.get("id") if type(annotation.get("id")) is int else None,
        "group_id": NO_GROUP if group is None else group,
        "image_id": annotation["image_id"],
        "category_id": category_id,
        "keypoints": keypoints,
        "bbox": box,
        **numbers,
    }


def _number(annotation: dict, key: str, default: float, source: str) -> float:
    """A number from 0; the default where there is none."""
    value = default if annotation.get(key) is None else annotation[key]
    if not isinstance(value, (int, float)) or not 0 <= value < float("inf"):
        where = f"{source}: annotation {annotation.get('id')}: {key}"
        raise DataError(f"{where}: found {value!r}, expected a number from 0")
    return value


def _numbers(annotation: dict, key: str, length: int, source: str, default=None) -> list:
    values = annotation.get(key) or default
    where = f"{source}: annotation {annotation.get('id')}: {key}"
    if not isinstance(values, list) or len(values) != length:
        found = f"{len(values)} numbers" if isinstance(values, list) else repr(values)
        raise DataError(f"{where}: found {found}, expected {length}")
    try:
        finite = np.isfinite(values).all()
    except TypeError:
        finite = False
    if not finite:
        raise DataError(f"{where}: every value must be a finite number")
    return values
