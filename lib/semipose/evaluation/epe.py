"""Error in image pixels: the usual measure for one animal in front of a fixed camera."""

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
    """Errors over all labelled keypoints, each counted once, whichever person or joint it is of.

    Args:
        predictions: (N, K, 2) image pixels; a NaN makes the mean NaN and is not within the threshold.
        targets: (N, K, 2) image pixels.
        visible: (N, K), above 0 where the target counts.
        threshold: pixels.

    Raises:
        DataError: the arrays do not fit together.
    """
    predictions, targets, visible = (np.asarray(a) for a in (predictions, targets, visible))
    if predictions.shape != targets.shape or targets.shape != (*visible.shape, 2):
        shapes = [a.shape for a in (predictions, targets, visible)]
        raise DataError(f"pixel_errors: predictions, targets, visible have shapes {shapes}, not (N,K,2) (N,K,2) (N,K)")
    counted = visible > 0
    if not counted.any():
        return PixelErrors(-1.0, -1.0)
    distances = np.linalg.norm(predictions[counted].astype(np.float64) - targets[counted], axis=-1)
    return PixelErrors(float(distances.mean()), float((distances < threshold).mean()))
