"""OKS AP of each group of persons, to see what a group's factor in the loss is worth."""

from collections.abc import Mapping

import numpy as np

from semipose.evaluation.coco_protocol import KeypointPredictions, check_predictions, evaluate_selected, rows_by_image
from semipose.evaluation.ground_truth import CocoGroundTruth
from semipose.evaluation.oks import oks_matrix


def group_key(field: str, group: int | str) -> str:
    """What the AP of a group is called: AP_group_1, AP_category_cat."""
    return f"AP_{field.removesuffix('_id')}_{group}"


def evaluate_groups(
    ground_truth: CocoGroundTruth, detections: KeypointPredictions, field: str = "group_id"
) -> dict[int | str, dict[str, float]]:
    """The metrics of `evaluate_oks` for each group; with a single group they are those of `evaluate_oks`.

    Persons of other groups are regions to ignore, as persons of another size are for AP_M: a detection that matches one
    is neither right nor wrong. A detection that matches nobody would count as wrong in every group, so the AP of a
    small group would mostly show errors on the others. For sizes, COCO solves this by the size of the detection. Here a
    detection belongs to the group of the person it is most similar to (OKS), and is left out of the other groups. Only
    detections that are similar to nobody (OKS 0, or an image without labelled persons) count in every group.

    Args:
        detections: as `select_detections` returns them; duplicates are so dropped before the groups are told apart.
        field: of the annotations, that tells their group: "group_id", or "category" (see `with_categories`).

    Returns:
        Metrics by group id, in order; -1 = the persons without a group. Groups whose persons are all crowds or have no
        labelled keypoint are not listed.

    Raises:
        DataError, ConfigError: see `evaluate_oks`.
    """
    check_predictions(ground_truth, detections)
    groups = sorted({a[field] for a in ground_truth.dataset["annotations"] if _counts(a)})
    numbers = {group: number for number, group in enumerate(groups)}
    found, everywhere = _nearest_groups(ground_truth, detections, field, numbers)
    return {
        group: evaluate_selected(_only(ground_truth, field, group), detections.take(everywhere | (found == number)))
        for group, number in numbers.items()
    }


def _counts(annotation: dict) -> bool:
    return bool(annotation["num_keypoints"]) and not annotation["iscrowd"]


def _only(ground_truth: CocoGroundTruth, field: str, group: int | str) -> CocoGroundTruth:
    # the COCO tools ignore a person whose num_keypoints is 0, but still compare the keypoints that it has
    persons = [a if a[field] == group else a | {"num_keypoints": 0} for a in ground_truth.dataset["annotations"]]
    return CocoGroundTruth(ground_truth.dataset | {"annotations": persons}, ground_truth.sigmas)


def _nearest_groups(
    ground_truth: CocoGroundTruth, detections: KeypointPredictions, field: str, numbers: Mapping[int | str, int]
) -> tuple[np.ndarray, np.ndarray]:
    """(N,) number of the group of the person most similar to each detection, and (N,) where there is no such person."""
    persons = {}
    for annotation in filter(_counts, ground_truth.dataset["annotations"]):
        persons.setdefault(annotation["image_id"], []).append(annotation)
    found, nobody = np.zeros(len(detections), np.int64), np.ones(len(detections), bool)
    for rows in rows_by_image(detections.image_ids) if len(detections) else ():
        people = persons.get(int(detections.image_ids[rows[0]]))
        if not people:
            continue
        targets = np.array([a["keypoints"] for a in people], np.float64).reshape(len(people), -1, 3)
        areas = [a["area"] for a in people]
        similar = oks_matrix(
            detections.keypoints[rows], targets[..., :2], areas, ground_truth.sigmas, targets[..., 2]
        )  # fmt: skip
        found[rows] = np.array([numbers[a[field]] for a in people])[similar.argmax(1)]
        nobody[rows] = similar.max(1) == 0
    return found, nobody
