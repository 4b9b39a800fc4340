"""Coordinates that are no pixels: parts of the image (0 to 1) or percent (0 to 100), as some tools write them."""

import numpy as np

from semipose.errors import DataError
from semipose.structures import Persons

_FEWEST = 2  # points in 0 to 1 that a source must have to be judged
_IMAGES, _SIDE, _SPREAD = 4, 200, 40.0  # percent: on so many images, of such a size, points spread so far


def refuse_no_pixels(name: str, persons: Persons) -> None:
    """Raises DataError if all labelled points of a source, or without any all boxes, look like parts or percent.

    Percent are only seen where images are known to be larger than 200 pixels each way: all points of at least 4 of them
    would lie in their upper left corner, and be spread over it.
    """
    labeled = persons.keypoints[..., 2] > 0
    what, points = "keypoints", persons.keypoints[..., :2][labeled]
    images = np.repeat(persons.image_index, labeled.sum(axis=1))
    if not len(points):
        what, points = "boxes", persons.boxes[:, :2] + persons.boxes[:, 2:]
        images = persons.image_index
    if len(points) < _FEWEST or points.min() < 0:
        return
    if points.max() <= 1:
        raise DataError(f"{name}: {_looks(what, points)} parts of the image, not pixels; {_REMEDY}")
    sizes = persons.image_sizes[np.unique(images)]
    spread = np.ptp(points, axis=0).min() >= _SPREAD
    if points.max() <= 100 and spread and len(sizes) >= _IMAGES and sizes.min() > _SIDE:
        raise DataError(
            f"{name}: {_looks(what, points)} percent of the image, as Label Studio writes them, not pixels (no image "
            f"is smaller than {sizes.min()} pixels); divide them by 100 and {_REMEDY}"
        )


_REMEDY = "multiply them by the width and height of their images"


def _looks(what: str, points: np.ndarray) -> str:
    return f"all {what} lie in {points.min():g} to {points.max():g}, which looks like"
