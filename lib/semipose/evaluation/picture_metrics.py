"""Metrics of whole pictures (bottom-up): what was found in them, without boxes, and whom it belongs to."""

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from torch import Tensor

from semipose.evaluation.coco_protocol import MAX_DETECTIONS, KeypointPredictions, evaluate_selected
from semipose.evaluation.crowdpose import evaluate_crowdpose
from semipose.evaluation.labelled_set import LabelledSet, MetricOptions
from semipose.evaluation.metrics import LOWER_IS_BETTER, METRICS, check_metrics
from semipose.structures import Persons

# metrics that take all that was found; the others compare each labelled person with the one found for it
OF_ALL_FOUND = {"oks": evaluate_selected, "crowdpose": evaluate_crowdpose}
FOUND = "found"  # share of the labelled persons for whom there is one
FARTHEST = 0.5  # mean distance of one found for a person, in longer sides of its box
INSTANCE_SCORE = 0.1  # fainter instances are scored, but not shown if nothing else is asked for
_NOWHERE = -1e6  # pixels; keypoints of persons who were not found


def found_people(points: Tensor, scores: Tensor, rows: Tensor, image_ids: np.ndarray) -> tuple:
    """Rows of pictures (M,), and the M instances on them as predictions.

    The score of an instance is the mean of its keypoints' scores, those near 0 included (MMPose's `keypoint`). As
    duplicates are left out already, that is all that OKS metrics need.

    Args:
        points, scores: (B, N, K, 2) image pixels and (B, N, K), as a codec of instances decodes them.
        rows: (B,) of the pictures.
        image_ids: by row.
    """
    real = scores.mean(-1) > 0
    keypoints, found = points[real].double().numpy(), scores[real].double().numpy()
    owners = np.repeat(rows.numpy(), real.sum(1).numpy())
    sides = np.ptp(keypoints, axis=1) if len(keypoints) else np.zeros((0, 2))
    people = KeypointPredictions(image_ids[owners], keypoints, found, found.mean(-1), np.maximum(sides.prod(-1), 1))
    return owners, people


def score_pictures(
    names: Iterable[str], labels: LabelledSet, people: KeypointPredictions, options: MetricOptions
) -> dict[str, float]:
    """All metrics of the families `names`; those of `metrics.score`, and `found` if persons are compared.

    For shares (PCK, PCKh, AUC, ...) all keypoints of a person who was not found are wrong. Errors (EPE, NME) are means
    over the persons who were found: read them together with `found`. A picture that could not be read counts as one on
    which nobody was found.

    Args:
        labels: with all persons of the set.
        people: of `found_people`.

    Raises:
        ConfigError, DataError: see `metrics.score`.
    """
    names = tuple(names)
    check_metrics(names, labels, options)
    metrics = {name: OF_ALL_FOUND[name](labels.ground_truth, people) for name in names if name in OF_ALL_FOUND}
    if len(metrics) < len(names):
        owned = match_persons(labels.persons, people)
        pairs = _compared(labels, people, owned)
        found = labels.take(owned >= 0), people.take(owned[owned >= 0])
    for name in names:
        if name not in OF_ALL_FOUND:
            metrics[name] = METRICS[name].compute(labels, pairs, options)
            errors = metrics[name].keys() & LOWER_IS_BETTER
            metrics[name] |= {key: METRICS[name].compute(*found, options)[key] for key in errors}
    joined = {key: value for name in names for key, value in metrics[name].items()}
    counted = _labelled(labels.persons)
    if names and not set(names) <= OF_ALL_FOUND.keys() and counted.any():
        joined[FOUND] = float((owned[counted] >= 0).mean())
    return joined


def match_persons(persons: Persons, people: KeypointPredictions) -> np.ndarray:
    """(N,) row of the prediction for each person, -1 = not found.

    As in COCO's protocol the best predictions choose first: of those on its image that have no prediction yet, each
    takes the person that it is nearest to. The distance is the mean over the labelled keypoints, in longer sides of
    the person's box and at most 1 for each; one that is not below `FARTHEST` is none. 20 predictions an image count.
    """
    owned = np.full(len(persons), -1)
    labelled, images = _labelled(persons), persons.image_ids[persons.image_index]
    for image in np.unique(images[labelled]) if len(people) else ():
        rows, found = np.flatnonzero(labelled & (images == image)), np.flatnonzero(people.image_ids == image)
        found = found[np.argsort(-people.box_scores[found], kind="stable")][:MAX_DETECTIONS]
        distances = _distances(persons.take(rows), people.keypoints[found])
        for row, own in zip(found, distances):
            own = np.where(owned[rows] < 0, own, np.inf)
            if own.min() < FARTHEST:
                owned[rows[own.argmin()]] = row
    return owned


def _distances(persons: Persons, keypoints: np.ndarray) -> np.ndarray:
    """(M, N) of predictions (M, K, 2) and persons."""
    sides = np.maximum(persons.boxes[:, 2:].max(axis=1), 1)[:, None]
    seen = persons.keypoints[..., 2] > 0
    away = np.linalg.norm(keypoints[:, None] - persons.keypoints[..., :2], axis=-1) / sides
    return np.where(seen, np.minimum(away, 1), 0).sum(-1) / seen.sum(-1)


def _labelled(persons: Persons) -> np.ndarray:
    return persons.keypoints[..., 2].any(axis=1)


def _compared(labels: LabelledSet, people: KeypointPredictions, owned: np.ndarray) -> KeypointPredictions:
    """A prediction for each labelled person."""
    persons, (count, joints) = labels.persons, labels.persons.keypoints.shape[:2]
    nobody = KeypointPredictions(
        persons.image_ids[persons.image_index], np.full((count, joints, 2), _NOWHERE), np.zeros((count, joints)),
        np.zeros(count), np.ones(count),
    )  # fmt: skip
    keypoints = nobody.keypoints.copy()
    keypoints[owned >= 0] = people.keypoints[owned[owned >= 0]]
    return replace(nobody, keypoints=keypoints)
