"""Score a ground truth against itself: the best that a network can reach on it, and why that is below 1."""

from dataclasses import dataclass

import numpy as np

from semipose.evaluation.coco_protocol import MAX_DETECTIONS, KeypointPredictions, evaluate_oks, select_detections
from semipose.evaluation.labelled_set import LabelledSet, MetricOptions

_SHIFT = 0.005  # of the square root of the box area: an error that nobody sees, OKS above 0.9 with COCO's sigmas
_ROUNDING = 0.05  # pixels
_SHOWN = 5
_LEAST_SHARE = 0.02  # of the area in the box area, in the median; a person fills more of its box
_MEDIUM = 32**2  # square pixels from which a person is in AP_M
SOUND = 0.9  # AP below it shows a broken set


@dataclass(frozen=True)
class Ceiling:
    """The scores of predictions that equal the ground truth.

    Attributes:
        scores: the ten OKS metrics.
        shifted: AP of predictions that are 0.5 % of a person's size off.
        reasons: why that is not 1, a line each.
    """

    scores: dict[str, float]
    shifted: float
    reasons: tuple[str, ...]

    @property
    def broken(self) -> bool:
        return min(self.scores["AP"], self.shifted) < SOUND

    def __str__(self) -> str:
        return f"the labels as predictions score AP {self.scores['AP']:.3f}, shifted by 0.5 % {self.shifted:.3f}"


def dry_run(labels: LabelledSet, options: MetricOptions) -> Ceiling:
    """Score the labelled persons of a set as if a network had found them, all with score 1.

    A detector's boxes have no labels, so the persons of the ground truth are taken instead.

    Raises:
        DataError: the persons do not fit the ground truth.
    """
    truth = [a for a in labels.ground_truth.dataset["annotations"] if a["num_keypoints"] and not a["iscrowd"]]
    if (labels.persons.keypoints[..., 2] > 0).any():
        people, ids = _of_persons(labels)
    else:
        people, ids = _of_annotations(truth, len(labels.skeleton))
    scores = evaluate_oks(labels.ground_truth, people, nms="none")
    shift = _SHIFT * np.sqrt(people.areas)[:, None, None] / np.sqrt(2)
    moved = KeypointPredictions(
        people.image_ids, people.keypoints + shift, people.keypoint_scores, people.box_scores, people.areas
    )
    shifted = evaluate_oks(labels.ground_truth, moved, nms="none")["AP"]
    reasons = _reasons(truth, people, ids) if min(scores["AP"], shifted) < 0.999 else []
    return Ceiling(scores, shifted, tuple(reasons + _areas(truth, scores, shifted) + _dropped(labels, people, options)))


def _of_persons(labels: LabelledSet) -> tuple[KeypointPredictions, list[int]]:
    """Predictions with a labelled keypoint, and the annotation ids of their persons."""
    persons = labels.persons.take((labels.persons.keypoints[..., 2] > 0).any(1))
    image_ids = persons.image_ids[persons.image_index]
    return _predictions(image_ids, persons.keypoints, persons.boxes), persons.ids.tolist()


def _of_annotations(truth: list[dict], count: int) -> tuple[KeypointPredictions, list[int]]:
    image_ids = np.array([a["image_id"] for a in truth], np.int64)
    keypoints = np.array([a["keypoints"] for a in truth], np.float64).reshape(-1, count, 3)
    boxes = np.array([a["bbox"] for a in truth], np.float64).reshape(-1, 4)
    return _predictions(image_ids, keypoints, boxes), [a["annotation_id"] for a in truth]


def _predictions(image_ids: np.ndarray, keypoints: np.ndarray, boxes: np.ndarray) -> KeypointPredictions:
    boxes, seen = boxes.astype(np.float64), keypoints[..., 2:] > 0
    # a network would put joints without a label somewhere on the person, not all at 0
    points = np.where(seen, keypoints[..., :2], (boxes[:, :2] + boxes[:, 2:] / 2)[:, None])
    return KeypointPredictions(
        image_ids=image_ids,
        keypoints=points.astype(np.float64),
        keypoint_scores=seen[..., 0].astype(np.float64),
        box_scores=np.ones(len(points)),
        areas=np.maximum(boxes[:, 2] * boxes[:, 3], 1),
    )


def _reasons(truth: list[dict], people: KeypointPredictions, ids: list[int]) -> list[str]:
    scored = {a["annotation_id"] for a in truth}
    images, counts = np.unique(people.image_ids, return_counts=True)
    lost, strange = scored.difference(ids), set(ids) - scored
    found = {
        "persons that are scored but never predicted, as the reader leaves them out: ids": sorted(lost, key=str),
        "persons that are not scored (num_keypoints 0, crowd or another category): ids": sorted(strange, key=str),
        f"images with more than the {MAX_DETECTIONS} persons that are scored: ids": images[counts > MAX_DETECTIONS],
        "persons whose keypoints differ from the ground truth (pixels counted from 1?): ids": _moved(
            truth, people, ids
        ),
    }
    return [_line(what, numbers) for what, numbers in found.items() if len(numbers)]


def _moved(truth: list[dict], people: KeypointPredictions, ids: list[int]) -> list[int]:
    """Ids of the persons whose labelled keypoints are not those of the ground truth."""
    row_of = {number: row for row, number in enumerate(ids)}
    pairs = [(row_of[a["annotation_id"]], a["keypoints"]) for a in truth if a["annotation_id"] in row_of]
    if not pairs:
        return []
    rows, keypoints = zip(*pairs)
    expected = np.array(keypoints, np.float64).reshape(len(rows), -1, 3)
    offsets = np.abs(people.keypoints[list(rows)] - expected[..., :2]).max(-1)
    moved = ((offsets > _ROUNDING) & (expected[..., 2] > 0)).any(1)
    return [ids[row] for row, differs in zip(rows, moved.tolist()) if differs]


def _areas(truth: list[dict], scores: dict[str, float], shifted: float) -> list[str]:
    areas = np.array([a["area"] for a in truth], np.float64)
    if not len(areas):
        return ["no person is scored: all have num_keypoints 0 or are crowds"]
    found = []
    if (areas < _MEDIUM).all():
        found.append(f"all areas are below {_MEDIUM} square pixels, so that AP_M and AP_L are -1")
    boxes = np.array([a["bbox"] for a in truth], np.float64)
    share = np.median(areas / np.maximum(boxes[:, 2] * boxes[:, 3], 1))
    if shifted < SOUND and (share < _LEAST_SHARE or scores["AP"] >= SOUND):
        found.append(
            f"areas (in the median {share:.2g} of the box area; 0: {(areas == 0).sum()}) or sigmas are too small"
        )
    return found


def _dropped(labels: LabelledSet, people: KeypointPredictions, options: MetricOptions) -> list[str]:
    if options.nms != "hard" or not len(people):
        return []
    kept = select_detections(people, labels.ground_truth.sigmas, options.nms, options.nms_threshold)
    dropped = len(people) - len(kept)
    text = f"persons that OKS-NMS at {options.nms_threshold:g} takes for another one of nearly the same pose"
    return [f"{text}: {dropped}"] if dropped else []


def _line(what: str, numbers: list) -> str:
    return f"{what} {', '.join(map(str, numbers[:_SHOWN]))}{', ...' if len(numbers) > _SHOWN else ''} ({len(numbers)})"
