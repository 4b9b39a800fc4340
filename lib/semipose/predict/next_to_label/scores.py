"""How uncertain a picture is: what networks, views, peaks, time and a mirror say of each joint, in one number.

Each criterion is divided by its mean for the same joint over all pictures. So criteria can be averaged, and a joint
that is never sure (a tail, an obstacle that comes and goes) does not decide alone. A score of 2 is twice the usual.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from semipose.predict.next_to_label.committee import TURNS, Answers
from semipose.pseudo_labels import Multiview

FARTHEST = 1.0  # person sizes; a joint that is farther off is just as wrong
SMALLEST = 0.25  # of a person, in parts of its box: all joints of a lost person may lie at one spot
HALF = 0.5  # weight of the student, which says least: it is its average in a noisier state
NOTABLE = 1.2  # times the usual: a criterion that is a reason
MOST = 5.0  # times the usual that count: one wild joint is no worse than a wrong one
UNCERTAIN = 2.0  # times the usual: a joint that is marked
MOST_REASONS = 3


@dataclass(frozen=True)
class Criterion:
    """One reason to label a picture.

    Attributes:
        values: (P, K) of each joint of each person, 0 = no reason, in parts of the person's size or the like; NaN where
            it says nothing.
        words: the reason, with {joint}, and {percent} or {rest} (to 1).
        weight: beside the other criteria.
    """

    values: np.ndarray
    words: str
    weight: float = 1.0

    @property
    def strength(self) -> np.ndarray:
        """(P, K) in units of each joint's mean over the persons, at most `MOST`; NaN as in `values`."""
        known = np.isfinite(self.values)
        mean = np.where(known, self.values, 0).sum(axis=0) / known.sum(axis=0).clip(min=1)
        return (self.values / np.where(mean > 0, mean, 1)).clip(max=MOST)

    def reason(self, person: int, joints: Sequence[str]) -> str:
        """In words, for the joint of the person where it is large and unusual."""
        joint = int(np.nanargmax(self.values[person] * self.strength[person]))
        value = self.values[person, joint]
        return self.words.format(joint=joints[joint], percent=f"{100 * value:.0f} %", rest=f"{1 - value:.2f}")


def criteria(answers: Answers, near: np.ndarray, multiview: Multiview | None, peaks: bool) -> list[Criterion]:
    """All that can be said of these answers.

    Args:
        near: (I, 2) the pictures before and after each of I pictures in time, -1 where there is none.
        multiview: of keypoints that a picture shows twice.
        peaks: whether scores are heights of peaks.
    """
    sizes, found = person_sizes(answers.points, answers.boxes), []
    if answers.networks.shape[1] > 1:
        words = "networks disagree by {percent} of the size at {joint}"
        found.append(Criterion(apart(answers.networks, sizes), words))
    if answers.students.shape[1]:
        words = "EMA and student disagree by {percent} of the size at {joint}"
        found.append(Criterion(offsets(answers.students, answers.networks, sizes), words, HALF))
    how = "turned or mirrored" if answers.views.shape[1] > len(TURNS) else "turned"
    words = f"{how}, {{joint}} is found {{percent}} of the size away"
    found.append(Criterion(offsets(answers.views, answers.points[:, None], sizes), words))
    if peaks:
        found.append(Criterion(1 - answers.scores.clip(0, 1), "a low peak at {joint}: {rest}"))
    jumps = jumps_in_time(answers, near, sizes)
    if np.isfinite(jumps).any():
        found.append(Criterion(jumps, "{joint} jumps by {percent} of the size"))
    return found + ([] if multiview is None else [misfit(answers, multiview, sizes)])


def person_sizes(points: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """(P,) diagonals in pixels of the boxes around the points (P, K, 2), at least a quarter of those of `boxes`."""
    spread = np.linalg.norm(np.ptp(points, axis=1), axis=-1)
    return np.maximum(spread, SMALLEST * np.linalg.norm(boxes[:, 2:], axis=-1))


def offsets(points: np.ndarray, others: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """(P, K) mean distance of answers (P, A, K, 2) from `others` (P, A or 1, K, 2), in parts of the size (P,)."""
    distances = np.linalg.norm(points - others, axis=-1) / sizes[:, None, None]
    return distances.clip(max=FARTHEST).mean(axis=1)


def apart(points: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """(P, K) mean distance between each two of the answers (P, A, K, 2), in parts of the size (P,)."""
    first, second = np.triu_indices(points.shape[1], k=1)
    return offsets(points[:, first], points[:, second], sizes)


def jumps_in_time(answers: Answers, near: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """(P, K) distance of each joint from the middle between where it is before and after, in parts of the size.

    NaN where a picture has no neighbour, or where it or a neighbour has not exactly one person.
    """
    counts = np.bincount(answers.picture, minlength=len(near))
    row_of = np.full(len(near) + 1, -1)
    row_of[answers.picture] = np.arange(len(answers))
    row_of[:-1][counts != 1] = -1
    before, after = row_of[near[answers.picture]].T
    known = (before >= 0) & (after >= 0) & (counts[answers.picture] == 1)
    middle = (answers.points[before] + answers.points[after]) / 2
    distances = np.linalg.norm(answers.points - middle, axis=-1) / sizes[:, None]
    return np.where(known[:, None], distances.clip(max=FARTHEST), np.nan)


def misfit(answers: Answers, multiview: Multiview, sizes: np.ndarray) -> Criterion:
    """How far the two places of a keypoint that is shown twice are from fitting together."""
    scale = np.sqrt(np.abs(np.linalg.det(answers.to_image[:, :, :2].astype(np.float64))))
    to_crop = np.linalg.inv(answers.to_image[:, :, :2].astype(np.float64))
    crop = np.einsum("pij,pkj->pki", to_crop, answers.points - answers.to_image[:, None, :, 2])
    values = np.full(answers.points.shape[:2], np.nan)
    for first, second in multiview.pairs:
        pair = np.concatenate([crop[:, first], crop[:, second]], axis=1)
        miss = np.abs(pair @ np.array(multiview.normal) - multiview.offset) * scale / sizes
        values[:, first] = values[:, second] = miss.clip(max=FARTHEST)
    return Criterion(values, "{joint} misses its other view by {percent} of the size")


@dataclass(frozen=True)
class Uncertainty:
    """What the criteria say together; 1 is usual.

    Attributes:
        joints: (P, K).
        persons: (P,), the mean over the joints, each as often as it is labelled.
    """

    joints: np.ndarray
    persons: np.ndarray


def uncertainty(found: Sequence[Criterion], labelled: np.ndarray) -> Uncertainty:
    """The weighted mean of all criteria that say something of a joint, in units of its mean over all.

    Args:
        labelled: (K,) share of the labelled persons in which each joint is. A joint that is mostly hidden is mostly
            uncertain too, but there would be nothing to label.
    """
    strength = np.stack([criterion.strength for criterion in found])
    weights = np.isfinite(strength) * np.array([criterion.weight for criterion in found])[:, None, None]
    together = (weights * np.nan_to_num(strength)).sum(axis=0) / weights.sum(axis=0)
    together = together / (together.mean() or 1.0)
    return Uncertainty(together, np.average(together, axis=1, weights=labelled))


def reasons(found: Sequence[Criterion], person: int, joints: Sequence[str]) -> list[str]:
    """Why this person, the strongest reason first: all that are notable, at least one, at most three."""
    strength = np.array([np.nan_to_num(_mean(criterion.strength[person])) for criterion in found])
    order = np.argsort(-strength, kind="stable")
    notable = [number for number in order if strength[number] >= NOTABLE][:MOST_REASONS]
    return [found[number].reason(person, joints) for number in notable or order[:1]]


def _mean(values: np.ndarray) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else 0.0
