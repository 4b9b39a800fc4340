"""Person boxes, from keypoints where there is none, and the crops cut around them (NumPy, used by data loading)."""

import numpy as np

MARGIN = 0.1  # of a box around keypoints, in parts of its longer side
_POINT = 1  # pixels; labelled keypoints that are no farther apart show no size
_SHARE = 0.2  # of the longer side of the image: the side of such a person's box where no other box is known


def box_to_region(boxes: np.ndarray, aspect: float, padding: float) -> tuple[np.ndarray, np.ndarray]:
    """Centre and size of the image region shown in a crop.

    The box is grown to the crop's shape and then padded, as in SimpleBaseline (Xiao et al., ECCV 2018).

    Args:
        boxes: (N, 4) x, y, width, height in image pixels.
        aspect: width / height of the crop.
        padding: growth of the region on top of the box; 1.25 in the literature.

    Returns:
        centres (N, 2) and sizes (N, 2), both float64 in image pixels.
    """
    boxes = np.asarray(boxes, dtype=np.float64)
    centres = boxes[:, :2] + boxes[:, 2:] / 2
    width = np.maximum(boxes[:, 2], boxes[:, 3] * aspect)
    return centres, np.stack([width, width / aspect], axis=1) * padding


def crop_to_image(centres: np.ndarray, sizes: np.ndarray, crop: tuple[int, int], shown: tuple[int, int]) -> np.ndarray:
    """Affine maps (N, 2, 3) from crop pixels to image pixels.

    Args:
        centres, sizes: as `box_to_region` gives them.
        crop: (width, height) of the crop in pixels, margin included.
        shown: (width, height) in crop pixels that the region fills; the rest of the crop is margin.
    """
    scale = sizes / np.asarray(shown, dtype=np.float64)
    matrices = np.zeros((len(centres), 2, 3))
    matrices[:, 0, 0], matrices[:, 1, 1] = scale[:, 0], scale[:, 1]
    matrices[:, :, 2] = centres - scale * (np.asarray(crop, dtype=np.float64) - 1) / 2
    return matrices


def keypoint_boxes(keypoints: np.ndarray, margin: float = MARGIN) -> np.ndarray:
    """(N, 4) float64 xywh around the labelled keypoints, grown at each edge by `margin` of the longer side.

    Args:
        keypoints: (N, K, 3) x, y, v in image pixels; each person has one with v above 0.
    """
    points, seen = np.asarray(keypoints[..., :2], np.float64), keypoints[..., 2:] > 0
    low, high = np.where(seen, points, np.inf).min(axis=1), np.where(seen, points, -np.inf).max(axis=1)
    grown = margin * (high - low).max(axis=1, keepdims=True)
    return np.concatenate([low - grown, high - low + 2 * grown], axis=1)


def clip_boxes(boxes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """(N, 4) float64 xywh clipped to [0, W-1] x [0, H-1]; one that is outside or inverted becomes empty.

    Args:
        sizes: (N, 2) width and height of each one's image; NaN where not known.
    """
    limit = np.where(np.isnan(sizes), np.inf, sizes - 1)
    start = np.clip(boxes[:, :2], 0, limit)
    end = np.clip(boxes[:, :2] + boxes[:, 2:], 0, limit)
    return np.concatenate([start, np.maximum(end - start, 0)], axis=1)


def complete_boxes(boxes: np.ndarray, keypoints: np.ndarray, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Boxes clipped to their images; those that are empty there come from the labelled keypoints (`keypoint_boxes`).

    A person whose labelled keypoints are one point gets a box of the median width and height of the other persons with
    labelled keypoints, centred on it; if there is none, a square of a fifth of the longer side of the image.

    Args:
        boxes: (N, 4) x, y, width, height; 0 0 0 0 where there is none.
        keypoints: (N, K, 3) x, y, v.
        sizes: (N, 2) width and height of the image of each; NaN where not known.

    Returns:
        (N, 4) float64 boxes, and (N,) bool, which of them come from keypoints. A person with all of its keypoints
        outside the image still has an empty box.
    """
    boxes = clip_boxes(boxes, sizes)
    posed, filled = (keypoints[..., 2] > 0).any(axis=1), (boxes[:, 2:] > 0).all(axis=1)
    new = posed & ~filled
    if not new.any():
        return boxes, new
    found, others = keypoint_boxes(keypoints[new]), boxes[posed & filled, 2:]
    typical = np.median(others, axis=0) if len(others) else _SHARE * sizes[new].max(axis=1, keepdims=True)
    typical = np.nan_to_num(np.broadcast_to(typical, (len(found), 2)))
    point = (found[:, 2:] < _POINT).all(axis=1)
    found[point] += np.concatenate([-typical / 2, typical], axis=1)[point]
    boxes[new] = clip_boxes(found, sizes[new])
    return boxes, new & (boxes[:, 2:] > 0).all(axis=1)


def box_iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(A, B) intersection over union of boxes (A, 2, 2) and (B, 2, 2), each low and high x, y."""
    low = np.maximum(first[:, None, 0], second[None, :, 0])
    high = np.minimum(first[:, None, 1], second[None, :, 1])
    shared = (high - low).clip(0).prod(axis=-1)
    one, two = (np.ptp(boxes, axis=1).prod(axis=-1) for boxes in (first, second))
    return shared / (one[:, None] + two - shared)
