"""Boxes of persons or animals in a picture. A detector is any callable: picture -> boxes, scores."""

from collections.abc import Callable

import numpy as np

from semipose.errors import DataError
from semipose.predict.pictures import as_rgb
from semipose.predict.predictor import checked_boxes

Detector = Callable[[np.ndarray], tuple]


def detect(detector: Detector, picture) -> np.ndarray:
    """(N, 5) float64 x, y, width, height, score of what a detector finds in a picture, see `as_rgb`.

    Raises:
        DataError: it does not return boxes (N, 4) and scores (N,).
    """
    found = detector(as_rgb(picture))
    try:
        boxes, scores = (np.asarray(part, dtype=np.float64) for part in found)
    except (TypeError, ValueError):
        raise DataError("a detector returns boxes (N, 4) and scores (N,)") from None
    boxes = checked_boxes(boxes)[:, :4]
    if scores.shape != (len(boxes),):
        raise DataError(f"a detector found {len(boxes)} boxes, but its scores have the shape {scores.shape}")
    return np.concatenate([boxes, scores[:, None]], axis=1)
