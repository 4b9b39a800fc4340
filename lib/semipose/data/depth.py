"""Images with more than 8 bits: which value is white, and their pixels as 8 bits."""

import math

import numpy as np


def white_for(peak: float, floats: bool) -> float:
    """The white of a set whose largest value is `peak`: 1 for floats up to 1, else the largest value of as many bits as
    are used, such as 4095 for 12, and 255 at least; 0 (not known) for a set without a positive value."""
    if not peak > 0:
        return 0.0
    if floats and peak <= 1:
        return 1.0
    return max(255.0, 2.0 ** math.ceil(math.log2(peak + 1)) - 1)


def as_8_bits(values: np.ndarray, white: float) -> np.ndarray:
    """uint8 of the same shape, `white` and all above it as 255, negative values and NaN as 0.

    Args:
        values: uint8 stay as they are; other integers; floats.
        white: 0 = the largest of the type, for integers: of 16 bits the upper 8 count.

    Raises:
        ValueError: floats without a white.
    """
    if values.dtype == np.uint8:
        return values
    if values.dtype.kind == "f":
        if not white:
            raise ValueError(f"holds {values.dtype} values of a range that is not known")
        return (np.clip(np.nan_to_num(values / white), 0, 1) * 255 + 0.5).astype(np.uint8)
    white = white or np.iinfo(values.dtype).max
    exact = np.float32 if values.dtype.itemsize <= 2 else np.float64
    return np.clip(values.astype(exact) * exact(256 / (white + 1)), 0, 255).astype(np.uint8)
