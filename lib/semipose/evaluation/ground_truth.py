"""The ground truth of an OKS evaluation: a checked, lean copy of a COCO annotation, or made from `Persons`."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from semipose.data.formats.coco_categories import categories_of, taken_categories, taken_rows
from semipose.data.formats.coco_rows import crowds, file_boxes, join_whole_body, keypoints, with_keypoints
from semipose.data.formats.image_list import ImageList, declared_sizes
from semipose.data.formats.json_rows import Table, load_json, refuse_wrong_rows
from semipose.errors import DataError
from semipose.geometry.boxes import complete_boxes
from semipose.skeletons import Skeleton
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


@dataclass(frozen=True)
class CocoReading:
    """How a COCO file is read, so that the same persons are scored that the reader gives.

    Attributes:
        skeleton: whose keypoints a category must have; None = the categories' names are not looked at.
        categories: ids or names of the categories that are read; empty = all that have the keypoints.
        image_dir: image folder, to measure images whose size the file does not have; "" = they are not measured.
    """

    skeleton: Skeleton | None = None
    categories: Sequence[str] = ()
    image_dir: str = ""


AS_IT_IS = CocoReading()


def load_ground_truth(annotation_file: str, sigmas: np.ndarray, reading: CocoReading = AS_IT_IS) -> CocoGroundTruth:
    """`prepare_ground_truth` of a COCO JSON file; raises DataError as well when it cannot be read."""
    return prepare_ground_truth(load_json(str(annotation_file)), sigmas, str(annotation_file), reading)


def prepare_ground_truth(
    annotation: dict, sigmas: np.ndarray, source: str = "annotation", reading: CocoReading = AS_IT_IS
) -> CocoGroundTruth:
    """Check a COCO dict and copy from it what the evaluation needs; the dict is left as it is.

    A missing `area` is max(1, 0.53 w h), a missing `num_keypoints` is counted, missing `keypoints` are all zero (the
    person is then a region to ignore, as in COCO). All categories with keypoints are one class. A labelled person whose
    box is missing or empty has the box of its keypoints, as in `read_coco`, and an area of 0 is then missing too.

    Args:
        annotation: COCO dict with `images` and `annotations`.
        sigmas: (K,) OKS constants, any K.
        source: what error messages call the annotation.
        reading: as the reader has it.

    Raises:
        WrongRows: naming each wrong image and annotation.
        DataError: it is no such dict, or no annotation has keypoints.
    """
    sigmas = np.asarray(sigmas, np.float64)
    if not isinstance(annotation, dict):
        raise DataError(f"{source}: must be a JSON object with 'images' and 'annotations'")
    images = Table(source, "image", annotation.get("images"))
    table = Table(source, "annotation", annotation.get("annotations"))
    image_ids, crowd_index = set(images.integers("id").tolist()), _crowd_index(images)
    join_whole_body(table, len(sigmas))
    read = _read_rows(annotation, table, reading)
    used = _keypoint_categories(table.where(read))
    of_images = np.isin(table.integers("image_id"), list(image_ids))
    persons = table.where(read & np.isin(table.integers("category_id", default=1), used) & of_images)
    annotations = _annotations(persons, used[0], len(sigmas), _sizes(annotation, persons, images, reading))
    refuse_wrong_rows((images, table))
    categories = [{"id": used[0], "name": "person"}]
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


def _read_rows(annotation: dict, table: Table, reading: CocoReading) -> np.ndarray:
    """(N,) bool, whether a row is of a category that is read."""
    if reading.skeleton is None:
        return np.ones(len(table), bool)
    kinds = categories_of(table.file, annotation)
    return taken_rows(
        table, kinds, taken_categories(table, kinds, reading.skeleton, reading.categories), reading.categories
    )


def _keypoint_categories(table: Table) -> list[int]:
    """The categories of annotations with keypoints, the most frequent one first."""
    categories = table.integers("category_id", default=1)
    used = Counter(categories[with_keypoints(table) & table.sound].tolist())
    if not used:
        refuse_wrong_rows((table,))
        raise DataError(f"{table.file}: annotations: none of them has keypoints")
    return [category for category, _ in used.most_common()]


def _sizes(annotation: dict, persons: Table, images: Table, reading: CocoReading) -> np.ndarray:
    """(N, 2) width and height of the image of each row; NaN where not known."""
    sizes = declared_sizes(images)
    if np.isnan(sizes).any() and reading.image_dir:
        sizes = ImageList(persons.file, reading.image_dir, annotation).sizes
    row_of = {number: row for row, number in enumerate(images.integers("id").tolist())}
    rows = [row_of[number] for number in persons.integers("image_id").tolist()]
    return sizes[rows].reshape(-1, 2)


def _annotations(table: Table, category: int, num_keypoints: int, sizes: np.ndarray) -> list[dict]:
    """What the COCO tools read of each row, with ids from 1."""
    points = keypoints(table, num_keypoints, f"x, y, v of {num_keypoints} keypoints")
    crowd, boxes = crowds(table), file_boxes(table)
    found, new = complete_boxes(boxes, points * ~crowd[:, None, None], sizes)
    boxes[new] = found[new]
    defaults = {"area": np.maximum(1, 0.53 * boxes[:, 2] * boxes[:, 3]), "num_keypoints": (points[..., 2] > 0).sum(1)}
    columns = {}
    for key, filled in defaults.items():
        values, given = table.numbers(key, default=0), [row.get(key) is not None for row in table.rows]
        table.refuse(values < 0, key, "must not be negative, found {}")
        columns[key] = np.where(np.array(given, bool) & ~((key == "area") & new & (values == 0)), values, filled)
    columns |= {
        "iscrowd": crowd.astype(np.int64),
        "group_id": table.integers("group_id", default=NO_GROUP),
        "image_id": table.integers("image_id"),
        "keypoints": points.reshape(len(table), 3 * num_keypoints),
        "bbox": boxes,
    }
    ids = [row.get("id") for row in table.rows]
    rows = zip(*(column.tolist() for column in columns.values()))
    return [
        {"id": number, "annotation_id": own if type(own) is int else None, "category_id": category}
        | dict(zip(columns, row))
        for number, (own, row) in enumerate(zip(ids, rows), 1)
    ]
