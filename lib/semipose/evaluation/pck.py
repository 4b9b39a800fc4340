"""PCK: the share of keypoints that lie within a fraction of the person's size."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from semipose.errors import ConfigError, DataError
from semipose.skeletons import Skeleton


@dataclass(frozen=True)
class PCKResult:
    """Shares in 0..1.

    Attributes:
        per_keypoint: (K,) float64; -1 for a keypoint that no person shows.
        mean: mean over the keypoints that some person shows; -1 if there is none.
        counts: (K,) persons that show the keypoint.
    """

    per_keypoint: np.ndarray
    mean: float
    counts: np.ndarray


def pck(predictions, targets, visible, norm, threshold: float) -> PCKResult:
    """A keypoint is right when its distance divided by the person's norm is below `threshold` (strictly).

    Args:
        predictions: (N, K, 2) pixels; a NaN counts as wrong.
        targets: (N, K, 2) pixels.
        visible: (N, K), above 0 where the target counts.
        norm: (N,) pixels; a person whose norm is not above 0 is left out (its size is not known).
        threshold: fraction of the norm.

    Raises:
        DataError: the arrays do not fit together.
    """
    predictions, targets, visible, norm = (np.asarray(a) for a in (predictions, targets, visible, norm))
    if predictions.shape != targets.shape or visible.shape != targets.shape[:2] or norm.shape != targets.shape[:1]:
        shapes = [a.shape for a in (predictions, targets, visible, norm)]
        raise DataError(
            f"pck: predictions, targets, visible, norm have shapes {shapes}, not (N,K,2) (N,K,2) (N,K) (N,)"
        )
    sized = norm > 0
    counted = (visible > 0) & sized[:, None]
    distances = np.linalg.norm(predictions.astype(np.float64) - targets, axis=-1)
    right = (distances / np.where(sized, norm, 1)[:, None] < threshold) & counted
    totals = counted.sum(0)
    per_keypoint = np.where(totals > 0, right.sum(0) / np.maximum(totals, 1), -1.0)
    return PCKResult(per_keypoint, float(per_keypoint[totals > 0].mean()) if totals.any() else -1.0, totals)


def auc(predictions, targets, visible, pixels: float = 30.0, steps: int = 20) -> float:
    """Area under the PCK curve: the mean PCK at the thresholds `i / steps * pixels` for i from 0 to steps - 1.

    As in MMPose the threshold 0, where nothing is right, counts too, so perfect predictions get `1 - 1 / steps`.

    Args:
        predictions, targets, visible: as for `pck`, in image pixels.
        pixels: norm of every person.

    Returns:
        0..1; -1 if nothing is labelled.
    """
    norm = np.full(len(np.asarray(targets)), pixels, np.float64)
    return float(np.mean([pck(predictions, targets, visible, norm, i / steps).mean for i in range(steps)]))


def part_shares(result: PCKResult, skeleton: Skeleton, parts: Mapping[str, tuple[str, ...]]) -> dict[str, float]:
    """Share of each part: the mean of its keypoints, left and right alike, that some person shows; -1 if none.

    Args:
        parts: names of the keypoints of each part; ConfigError if the skeleton lacks one.
    """
    rows = {part: [skeleton.index(name) for name in names] for part, names in parts.items()}
    shown = {part: [result.per_keypoint[k] for k in ks if result.counts[k]] for part, ks in rows.items()}
    return {part: float(np.mean(shares)) if shares else -1.0 for part, shares in shown.items()}


def box_norm(boxes) -> np.ndarray:
    """(N,) longer side of each box (N, 4), xywh."""
    return np.asarray(boxes, np.float64)[:, 2:].max(axis=1)


def segment_norm(keypoints, skeleton: Skeleton, segment: str) -> np.ndarray:
    """(N,) length of each person's head or torso segment; 0 where one of its ends is not visible.

    Args:
        keypoints: (N, K, 3) x, y in pixels, visible 0/1.
        segment: "head" or "torso", a segment that the skeleton names.

    Raises:
        ConfigError: another segment, or one that the skeleton does not have.
    """
    if segment not in ("head", "torso"):
        raise ConfigError(f"unknown PCK segment {segment!r}; known: head, torso")
    names = getattr(skeleton, segment)
    if not names:
        raise ConfigError(f"skeleton {skeleton.name!r} names no {segment}; PCK cannot be normalised by it")
    return pair_norm(keypoints, skeleton, names)


def pair_norm(keypoints, skeleton: Skeleton, names: tuple[str, str]) -> np.ndarray:
    """(N,) distance of two keypoints, given by name; 0 where one of them is not visible.

    Raises:
        ConfigError: a name that the skeleton does not have.
    """
    first, second = (np.asarray(keypoints, np.float64)[:, skeleton.index(name)] for name in names)
    both = (first[:, 2] > 0) & (second[:, 2] > 0)
    return np.where(both, np.linalg.norm(first[:, :2] - second[:, :2], axis=-1), 0.0)
