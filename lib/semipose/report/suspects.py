"""Labels that look wrong: much farther from what all networks say than is usual where they are so sure.

Networks have learned these labels too. A wrong label stands out as long as the others outvote it: of few labels that
were learned for long, less is found. Networks take left for right: one that sees a keypoint at the label of the other
side does not accuse the label, unless it sees both of them exchanged and seldom mixes up sides elsewhere.
"""

from typing import NamedTuple

import numpy as np

from semipose.report.errors import relative_errors

COUNTED, SUSPICIOUS = 2.0, 4.0  # usual distances: from here on a keypoint counts for its person, and is named
LEAST = 0.025  # of the size of the person: usual distances below this count as this
GROUP = 20  # labels, at least, whose median tells what is usual
GROUPS = 10
MIXED_UP = 0.02  # share of labels: networks that take left for right more often do not judge sides
FARTHER = 0.1  # of the size of the person: by so much the partner's label is nearer where a network mixes up sides
NEAR = 0.08  # of the size of the person, between a label and another keypoint that it may belong to


class Suspect(NamedTuple):
    """A person with suspicious labels: its row, and the columns of the keypoints, the farthest first."""

    row: int
    keypoints: list[int]


def suspicion(
    points: np.ndarray, scores: np.ndarray, labels: np.ndarray, sizes: np.ndarray, partners: np.ndarray
) -> np.ndarray:
    """(N, K) how far each label is from all predictions, in usual distances; 0 where there is no label or a network
    says nothing.

    The distance is that to the nearest prediction, less what the networks differ among themselves. What is usual is
    the median of all labels with about the same score.

    Args:
        points: (P, N, K, 2) image pixels, of P networks; NaN = not predicted.
        scores: (P, N, K) in 0..1.
        labels: (N, K, 3) x, y, and above 0 where labelled.
        sizes: (N,) of the persons in pixels.
        partners: (K,) the same keypoint on the other side, or the keypoint itself.
    """
    own, cross, mixed = _sides(points, labels, sizes, partners)
    exchanged = mixed & mixed[:, :, partners] & judge_sides(points, labels, sizes, partners)
    away = np.where(exchanged, own, np.fmin(own, cross)).min(0)
    middle = np.concatenate([points.mean(0), np.ones((*labels.shape[:2], 1))], -1)
    differ = _relative(points, middle, sizes).max(0)
    known = np.isfinite(away) & np.isfinite(differ) & (labels[..., 2] > 0)
    found = np.zeros(away.shape)
    if known.any():
        usual = np.maximum(usual_distances(away[known], scores.mean(0)[known]), LEAST)
        found[known] = np.maximum(away[known] - differ[known], 0) / usual
    return found


def judge_sides(points: np.ndarray, labels: np.ndarray, sizes: np.ndarray, partners: np.ndarray) -> bool:
    """Whether the networks tell left from right in nearly all of these labels. Arguments as for `suspicion`."""
    own, cross, mixed = _sides(points, labels, sizes, partners)
    counted = np.isfinite(own) & np.isfinite(cross) & (partners != np.arange(len(partners)))
    return not counted.any() or bool(mixed[counted].mean() <= MIXED_UP)


def usual_distances(away: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """(n,) median distance of the labels with about the same score, for distances (n,) and scores (n,)."""
    order = np.argsort(scores, kind="stable")
    groups = np.array_split(order, min(GROUPS, max(1, len(order) // GROUP)))
    places, medians = zip(*((np.median(scores[group]), np.median(away[group])) for group in groups))
    return np.interp(scores, places, medians)


def find_suspects(found: np.ndarray) -> list[Suspect]:
    """Persons with a keypoint of at least `SUSPICIOUS`, first those with the most and the farthest ones.

    Args:
        found: (N, K) of `suspicion`.
    """
    weight = np.log(np.maximum(found / COUNTED, 1)).sum(1)
    rows = [row for row in np.argsort(-weight, kind="stable").tolist() if found[row].max() >= SUSPICIOUS]
    return [Suspect(row, [k for k in np.argsort(-found[row]).tolist() if found[row, k] >= SUSPICIOUS]) for row in rows]


def belongs_to(label: np.ndarray, keypoint: int, predicted: np.ndarray, size: float) -> int | None:
    """The keypoint that is predicted where a label (2,) is, such as the other hip; None if there is no other.

    Args:
        keypoint: column of the label.
        predicted: (K, 2) pixels.
        size: of the person in pixels.
    """
    away = np.linalg.norm(predicted - label, axis=-1)
    away = np.where(np.isnan(away) | (np.arange(len(away)) == keypoint), np.inf, away)
    return int(away.argmin()) if away.min() < NEAR * size else None


def _sides(
    points: np.ndarray, labels: np.ndarray, sizes: np.ndarray, partners: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(P, N, K) distances of predictions to their labels, to the labels of the partners, and where the latter are so
    much shorter that sides are mixed up."""
    own, cross = _relative(points, labels, sizes), _relative(points, labels[:, partners], sizes)
    return own, cross, cross + FARTHER < own


def _relative(points: np.ndarray, labels: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """(P, N, K) distances of points (P, N, K, 2) in sizes."""
    return np.stack([relative_errors(own, labels, sizes) for own in points])
