"""Sets whose boxes are whole images: how large a person is there is seen from its labelled keypoints."""

from dataclasses import replace

import numpy as np

from semipose.data.formats.image_list import box_areas
from semipose.data.images import image_size
from semipose.errors import DataError
from semipose.structures import Persons

NEARLY_ALL = 0.9  # of the labelled persons
COVERED = 0.95  # of an image by a box that is the whole image
LOOKED_AT = 200  # persons whose images are opened
MARGIN = 0.1  # around the keypoints, in parts of their longer side; as for labelme and LSP
LEAST = 0.5  # of the median longer side: where few keypoints of a person are labelled


def boxes_are_frames(persons: Persons) -> bool:
    """Whether nearly all labelled persons have the whole image as their box.

    Image sizes are read from the files, and only where the boxes begin at the corner of their images.
    """
    persons = persons.take(persons.keypoints[..., 2].any(axis=1))
    boxes = persons.boxes
    at_corner = (boxes[:, :2] <= (1 - COVERED) * boxes[:, 2:]).all(axis=1)
    if not len(persons) or at_corner.sum() < NEARLY_ALL * len(persons):
        return False
    rows = np.flatnonzero(at_corner)[:: -(-len(persons) // LOOKED_AT)].tolist()
    covered = [share for share in (_covered(persons, row) for row in rows) if share is not None]
    return bool(covered) and sum(share >= COVERED for share in covered) >= NEARLY_ALL * len(covered)


def sized_by_keypoints(persons: Persons) -> Persons:
    """The persons with boxes around their labelled keypoints, and the areas of these boxes.

    A box is grown on each side by 10 % of its longer side. It is at least half as large as the median one (longer
    sides), and of the median size where a person shows a single keypoint. If nobody shows two, all boxes are empty.
    Persons without a labelled keypoint stay as they are.
    """
    labelled = persons.keypoints[..., 2] > 0
    some = labelled.any(axis=1)
    points, labelled = persons.keypoints[some, :, :2].astype(np.float64), labelled[some, :, None]
    low = np.where(labelled, points, np.inf).min(axis=1, initial=np.inf)
    high = np.where(labelled, points, -np.inf).max(axis=1, initial=-np.inf)
    sides = _sides(high - low)
    boxes, areas = persons.boxes.copy(), persons.areas.copy()
    boxes[some] = np.concatenate([(low + high - sides) / 2, sides], axis=1)
    areas[some] = box_areas(boxes[some])
    return replace(persons, boxes=boxes, areas=areas)


def _sides(extents: np.ndarray) -> np.ndarray:
    """(N, 2) width and height of the boxes, for the extents (N, 2) of the keypoints."""
    sides = extents + 2 * MARGIN * extents.max(axis=1, keepdims=True)
    longer = sides.max(axis=1)
    known = longer > 0
    if not known.any():
        return sides
    least = LEAST * np.median(longer[known])
    typical = np.median(sides[known], axis=0)
    sides[known] *= np.maximum(1, least / longer[known])[:, None]
    sides[~known] = typical
    return sides


def _covered(persons: Persons, row: int) -> float | None:
    """The part of its image that the box of a person covers; None if the image cannot be read."""
    try:
        width, height = image_size(persons.path(row))
    except DataError:
        return None
    return float(persons.boxes[row, 2:].prod()) / (width * height)
