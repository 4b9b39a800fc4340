"""Errors of predictions, from plain arrays. An error of 1 is the distance from which on a keypoint is wrong."""

import numpy as np

CAP = 5.0  # errors above this count as this: one wild keypoint must not decide which pictures are the worst


def distances(points: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(N, K) pixels; NaN where there is no label, inf where nothing was predicted.

    Args:
        points: (N, K, 2) image pixels, NaN = not predicted.
        labels: (N, K, 3) x, y, and above 0 where labelled.
    """
    away = np.linalg.norm(points.astype(np.float64) - labels[..., :2], axis=-1)
    return np.where(labels[..., 2] > 0, np.where(np.isnan(away), np.inf, away), np.nan)


def relative_errors(points: np.ndarray, labels: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """(N, K) `distances` in units of what is `allowed` (N,) in pixels; NaN also for persons where that is not above 0.

    A keypoint is wrong from 1 on, as in PCK.
    """
    known = np.asarray(allowed, np.float64) > 0
    return np.where(known[:, None], distances(points, labels) / np.where(known, allowed, 1)[:, None], np.nan)


def share_right(relative: np.ndarray) -> np.ndarray:
    """(K,) share of the labelled keypoints that are not wrong; NaN where none is labelled."""
    counts = np.isfinite(relative) | np.isinf(relative)
    return np.where(counts.any(0), (counts & (relative < 1)).sum(0) / np.maximum(counts.sum(0), 1), np.nan)


def mean_of_found(values: np.ndarray) -> np.ndarray:
    """(K,) mean of the finite values of (N, K); NaN where there are none."""
    finite = np.isfinite(values)
    return np.where(finite.any(0), np.where(finite, values, 0).sum(0) / np.maximum(finite.sum(0), 1), np.nan)


def person_errors(relative: np.ndarray) -> np.ndarray:
    """(N,) mean over the labelled keypoints of (N, K), each at most `CAP`; NaN for a person without any."""
    return mean_of_found(np.where(np.isnan(relative), np.nan, np.minimum(relative, CAP)).T)


def worst_first(relative: np.ndarray) -> np.ndarray:
    """Rows with a labelled keypoint, those with the largest `person_errors` first."""
    errors = person_errors(relative)
    order = np.argsort(-errors, kind="stable")
    return order[~np.isnan(errors[order])]
