"""The ground truth of an OKS evaluation: a checked, lean copy of a COCO annotation, or made from `Persons`."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from semipose.data.formats.json_rows import Table, load_json, refuse_wrong_rows
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


def load_ground_truth(annotation_file: str, sigmas: np.ndarray) -> CocoGroundTruth:
    """`prepare_ground_truth` of a COCO JSON file; raises DataError as well when it cannot be read."""
    return prepare_ground_truth(load_json(str(annotation_file)), sigmas, str(annotation_file))


def prepare_ground_truth(annotation: dict, sigmas: np.ndarray, source: str = "annotation") -> CocoGroundTruth:
    """Check a COCO dict and copy from it what the evaluation needs; the dict is left as it is.

    A missing `area` is max(1, 0.53 w h), a missing `num_keypoints` is counted, missing `keypoints` are all zero (the
    person is then a region to ignore, as in COCO). Of several categories the one with keypoints is taken.

    Args:
        annotation: COCO dict with `images` and `annotations`.
        sigmas: (K,) OKS constants, any K.
        source: what error messages call the annotation.

    Raises:
        WrongRows: naming each wrong image and annotation; also those with keypoints of a second category.
        DataError: it is no such dict, or no annotation has keypoints.
    """
    sigmas = np.asarray(sigmas, np.float64)
    if not isinstance(annotation, dict):
        raise DataError(f"{source}: must be a JSON object with 'images' and 'annotations'")
    images = Table(source, "image", annotation.get("images"))
    table = Table(source, "annotation", annotation.get("annotations"))
    image_ids, crowd_index = set(images.integers("id").tolist()), _crowd_index(images)
    category = _keypoint_category(table)
    of_images = np.isin(table.integers("image_id"), list(image_ids))
    persons = table.where((table.integers("category_id", default=1) == category) & of_images)
    annotations = _annotations(persons, category, len(sigmas))
    refuse_wrong_rows((images, table))
    categories = [{"id": category, "name": "person"}]
    dataset = {"images": _images(image_ids, crowd_index, source), "categories": categories}
    return CocoGroundTruth(dataset | {"annotations": annotations}, sigmas)


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


def _crowd_index(images: Table) -> dict[int, float]:
    some = images.where(np.array(["crowdIndex" in row for row in images.rows], bool))
    return dict(zip(some.integers("id").tolist(), some.numbers("crowdIndex").tolist()))


def _keypoint_category(table: Table) -> int:
    """The category that most annotations with keypoints have; the others with keypoints are wrong."""
    categories = table.integers("category_id", default=1)
    posed = _posed(table)
    used = Counter(categories[posed & table.sound].tolist())
    if not used:
        refuse_wrong_rows((table,))
        raise DataError(f"{table.file}: annotations: none of them has keypoints")
    category = used.most_common(1)[0][0]
    reason = f"found {{}}, but most annotations with keypoints have {category}; a validation set needs one category"
    table.refuse(posed & (categories != category), "category_id", reason)
    return category


def _annotations(table: Table, category: int, num_keypoints: int) -> list[dict]:
    """What the COCO tools read of each row, with ids from 1."""
    posed, boxes = _posed(table), table.vectors("bbox", 4, "x, y, width, height")
    keypoints, meaning = np.zeros((len(table), 3 * num_keypoints)), f"x, y, v of {num_keypoints} keypoints"
    keypoints[posed] = table.where(posed).vectors("keypoints", 3 * num_keypoints, meaning)
    defaults = {
        "area": np.maximum(1, 0.53 * boxes[:, 2] * boxes[:, 3]),
        "num_keypoints": (keypoints[:, 2::3] > 0).sum(axis=1),
    }
    columns = {}
    for key, filled in defaults.items():
        values, given = table.numbers(key, default=0), [row.get(key) is not None for row in table.rows]
        table.refuse(values < 0, key, "must not be negative, found {}")
        columns[key] = np.where(np.array(given, bool), values, filled)
    columns |= {
        "iscrowd": table.integers("iscrowd", default=0),
        "group_id": table.integers("group_id", default=NO_GROUP),
        "image_id": table.integers("image_id"),
        "keypoints": keypoints,
        "bbox": boxes,
    }
    ids = [row.get("id") for row in table.rows]
    rows = zip(*(column.tolist() for column in columns.values()))
    return [
        {"id": number, "annotation_id": own if type(own) is int else None, "category_id": category}
        | dict(zip(columns, row))
        for number, (own, row) in enumerate(zip(ids, rows), 1)
    ]


def _posed(table: Table) -> np.ndarray:
    """(N,) bool, whether a row has keypoints."""
    return np.array([bool(row.get("keypoints")) for row in table.rows], bool)
