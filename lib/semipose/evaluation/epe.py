"""Errors in image pixels (usual for one animal in front of a fixed camera), or relative to the size of each person."""

from dataclasses import dataclass

import numpy as np

from semipose.errors import DataError


@dataclass(frozen=True)
class PixelErrors:
    """Attributes:
    mean: mean distance over all labelled keypoints, pixels (end-point error, EPE); -1 if nothing is labelled.
    within: share of labelled keypoints nearer than the threshold (strictly); -1 if nothing is labelled.
    """

    mean: float
    within: float


def pixel_errors(predictions, targets, visible, threshold: float) -> PixelErrors:
    """Errors over all labelled keypoints; each keypoint counts once.

    Args:
        predictions: (N, K, 2) image pixels; a NaN makes the mean NaN and is not within the threshold.
        targets: (N, K, 2) image pixels.
        visible: (N, K), above 0 where the target counts.
        threshold: pixels.

    Raises:
        DataError: the arrays do not fit together.
    """
    distances, counted = _distances("pixel_errors", predictions, targets, visible)
    if not counted.any():
        return PixelErrors(-1.0, -1.0)
    return PixelErrors(float(distances[counted].mean()), float((distances[counted] < threshold).mean()))


def nme(predictions, targets, visible, norm) -> float:
    """Normalised mean error: the mean over all labelled keypoints of distance / norm of the person.

    Args:
        predictions, targets, visible: as for `pixel_errors`.
        norm: (N,) pixels; a person whose norm is not above 0 is left out (its size is not known).

    Returns:
        A fraction of the norm, 0 is best; -1 if nothing is labelled.

    Raises:
        DataError: the arrays do not fit together.
    """
    distances, counted = _distances("nme", predictions, targets, visible)
    norm = np.asarray(norm, np.float64)
    if norm.shape != counted.shape[:1]:
        raise DataError(f"nme: norm has shape {norm.shape}, expected ({len(counted)},)")
    sized = norm > 0
    counted = counted & sized[:, None]
    return float((distances / np.where(sized, norm, 1)[:, None])[counted].mean()) if counted.any() else -1.0


def _distances(metric: str, predictions, targets, visible) -> tuple[np.ndarray, np.ndarray]:
    """(N, K) distances in pixels, and which of them count."""
    predictions, targets, visible = (np.asarray(a) for a in (predictions, targets, visible))
    if predictions.shape != targets.shape or targets.shape != (*visible.shape, 2):
        shapes = [a.shape for a in (predictions, targets, visible)]
        raise DataError(f"{metric}: predictions, targets, visible have shapes {shapes}, not (N,K,2) (N,K,2) (N,K)")
    return np.linalg.norm(predictions.astype(np.float64) - targets, axis=-1), visible > 0
