"""Which labelme person is which COCO annotation: by geometry, never by order."""

import os
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from semipose.structures import Persons

_DEPTH = 4  # folders and file name that are compared; more never decide


@dataclass(frozen=True)
class GroupMatch:
    """The result; rows are those of the labelme persons and of the annotations.

    Attributes:
        pairs: (M, 2) labelme row, annotation row; no row is there twice.
        errors: (M,) mean keypoint distance in pixels, or 1 - IoU of the boxes.
        by_box: (M,) bool, whether the pair was found by its boxes.
        ambiguous: labelme row -> annotation rows within tolerance, the likeliest first.
        unmatched: labelme rows that have no annotation within tolerance.
        left_over: annotation rows without a labelme person, on images that have a labelme file.
        covered: (I,) bool, which images of the annotations have a labelme file.
    """

    pairs: np.ndarray
    errors: np.ndarray
    by_box: np.ndarray
    ambiguous: dict[int, list[int]]
    unmatched: list[int]
    left_over: list[int]
    covered: np.ndarray


@dataclass(frozen=True)
class _Edges:
    """Pairs within tolerance; `chosen` = in the assignment of the least total cost."""

    first: np.ndarray
    second: np.ndarray
    cost: np.ndarray
    chosen: np.ndarray


def match_groups(drawn: Persons, annotated: Persons, tolerance: float = 1.0, min_iou: float = 0.5) -> GroupMatch:
    """Finds the annotation of each labelme person on the images of the same name.

    Two persons fit if the mean distance of the keypoints that both have is within the tolerance, or, where they have no
    keypoint in common, if their boxes overlap. A person is ambiguous if it fits several annotations, or an annotation
    that another person fits too. This is reported, not decided; the assignment of the lowest total cost (Kuhn 1955)
    only names the likeliest match. Keypoints are compared first, then the boxes of what is left.

    Images have the same name if their file names without the ending are equal. If several are, the folders decide, then
    the endings.

    Args:
        drawn: labelme persons.
        annotated: annotations, in the same skeleton.
        tolerance: largest mean distance in pixels.
        min_iou: smallest intersection over union of boxes.
    """
    partners = _same_images(drawn.image_paths.tolist(), annotated.image_paths.tolist())
    free = [np.ones(len(drawn), bool), np.ones(len(annotated), bool)]
    by_joints = _edges(drawn, annotated, partners, keypoint_distances, tolerance, free)
    free[0][by_joints.first] = False
    free[1][by_joints.second] = False
    by_boxes = _edges(drawn, annotated, partners, _box_costs, 1 - min_iou, free)
    free[0][by_boxes.first] = False
    free[1][by_boxes.second] = False

    covered = np.zeros(len(annotated.image_paths), bool)
    covered[[row for rows in partners for row in rows]] = True
    sure = [_is_sure(edges) for edges in (by_joints, by_boxes)]
    return GroupMatch(
        pairs=np.concatenate([np.stack([e.first, e.second], axis=1)[s] for e, s in zip((by_joints, by_boxes), sure)]),
        errors=np.concatenate([by_joints.cost[sure[0]], by_boxes.cost[sure[1]]]),
        by_box=np.repeat([False, True], [sure[0].sum(), sure[1].sum()]),
        ambiguous=_candidates(by_joints, ~sure[0]) | _candidates(by_boxes, ~sure[1]),
        unmatched=np.flatnonzero(free[0]).tolist(),
        left_over=np.flatnonzero(free[1] & covered[annotated.image_index]).tolist(),
        covered=covered,
    )


def keypoint_distances(first: Persons, second: Persons) -> np.ndarray:
    """(A, B) mean distance in pixels of the keypoints that both persons have; infinite where there are none."""
    a, b = first.keypoints[:, None].astype(np.float64), second.keypoints[None].astype(np.float64)
    both = (a[..., 2] > 0) & (b[..., 2] > 0)
    total = (np.linalg.norm(a[..., :2] - b[..., :2], axis=-1) * both).sum(axis=-1)
    count = both.sum(axis=-1)
    return np.where(count > 0, total / np.maximum(count, 1), np.inf)


def box_overlaps(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(A, B) intersection over union of boxes (A, 4) and (B, 4), x, y, width, height."""
    a, b = first[:, None].astype(np.float64), second[None].astype(np.float64)
    low = np.maximum(a[..., :2], b[..., :2])
    high = np.minimum(a[..., :2] + a[..., 2:], b[..., :2] + b[..., 2:])
    shared = np.maximum(high - low, 0).prod(axis=-1)
    return shared / (a[..., 2:].prod(axis=-1) + b[..., 2:].prod(axis=-1) - shared)


def _box_costs(first: Persons, second: Persons) -> np.ndarray:
    comparable = np.isinf(keypoint_distances(first, second))
    return np.where(comparable, 1 - box_overlaps(first.boxes, second.boxes), np.inf)


def _same_images(drawn: list[str], annotated: list[str]) -> list[list[int]]:
    """For each labelme image the rows of the annotated images of the same name."""
    by_tail: dict[tuple, list[int]] = {}
    for row, path in enumerate(annotated):
        for tail in _tails(path):
            by_tail.setdefault(tail, []).append(row)
    partners = []
    for path in drawn:
        rows = next((by_tail[tail] for tail in _tails(path) if tail in by_tail), [])
        same_ending = [row for row in rows if os.path.splitext(annotated[row])[1] == os.path.splitext(path)[1]]
        partners.append(same_ending or rows)
    return partners


def _tails(path: str) -> list[tuple]:
    """The file name without its ending, with as many of its folders as are compared, then with fewer."""
    parts = tuple(os.path.splitext(path)[0].replace("\\", "/").replace(".zip@", ".zip/").split("/")[-_DEPTH:])
    return [parts[start:] for start in range(len(parts))]


def _edges(
    drawn: Persons,
    annotated: Persons,
    partners: list[list[int]],
    costs: Callable[[Persons, Persons], np.ndarray],
    limit: float,
    free: list[np.ndarray],
) -> _Edges:
    of_drawn, of_annotated = _rows_by_image(drawn, free[0]), _rows_by_image(annotated, free[1])
    found = []
    for image, others in enumerate(partners):
        a, b = of_drawn[image], np.concatenate([of_annotated[other] for other in others] or [np.zeros(0, np.int64)])
        if len(a) and len(b):
            cost = costs(drawn.take(a), annotated.take(b))
            first, second = np.nonzero(cost <= limit)
            chosen = _assignment(cost, limit)[first, second]
            found.append(np.stack([a[first], b[second], cost[first, second], chosen]))
    first, second, cost, chosen = np.concatenate(found, axis=1) if found else np.zeros((4, 0))
    return _Edges(first.astype(np.int64), second.astype(np.int64), cost, chosen.astype(bool))


def _rows_by_image(persons: Persons, free: np.ndarray) -> list[np.ndarray]:
    order = np.argsort(persons.image_index, kind="stable")
    ends = np.searchsorted(persons.image_index[order], np.arange(1, len(persons.image_paths)))
    return [rows[free[rows]] for rows in np.split(order, ends)]


def _assignment(cost: np.ndarray, limit: float) -> np.ndarray:
    """(A, B) bool: as many pairs within the limit as possible, at the lowest total cost."""
    from scipy.optimize import linear_sum_assignment

    within = cost <= limit
    # costs more than all pairs within the limit together, so one more such pair is always cheaper
    rows, columns = linear_sum_assignment(np.where(within, cost, (limit + 1) * (min(cost.shape) + 1)))
    chosen = np.zeros(cost.shape, bool)
    chosen[rows, columns] = True
    return chosen & within


def _is_sure(edges: _Edges) -> np.ndarray:
    """(E,) bool: both ends have no other edge."""
    return np.logical_and(*(_repeats(ends) == 1 for ends in (edges.first, edges.second)))


def _repeats(values: np.ndarray) -> np.ndarray:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return counts[inverse]


def _candidates(edges: _Edges, where: np.ndarray) -> dict[int, list[int]]:
    candidates: dict[int, list[int]] = {}
    rows = np.flatnonzero(where)
    for row in rows[np.lexsort((edges.cost[rows], ~edges.chosen[rows], edges.first[rows]))]:
        candidates.setdefault(int(edges.first[row]), []).append(int(edges.second[row]))
    return candidates
