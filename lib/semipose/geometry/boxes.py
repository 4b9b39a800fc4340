"""Person boxes and the crops cut around them (NumPy, used by data loading)."""

import numpy as np


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
