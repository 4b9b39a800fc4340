"""Any picture in memory as RGB with 8 bits."""

import numpy as np

from semipose.errors import DataError


def as_rgb(picture, name: str = "picture") -> np.ndarray:
    """(H, W, 3) uint8 RGB of an array, or of an image of Pillow as it is in memory.

    Args:
        picture: (H, W), (H, W, 1), (H, W, 3) RGB or (H, W, 4) RGBA, uint8 or uint16. Alpha is left out; of 16 bits the
            upper 8 count.
        name: for messages.

    Raises:
        DataError: another shape or type, or no pixel.
    """
    if hasattr(picture, "convert") and hasattr(picture, "getbands"):  # Pillow: palettes, CMYK and others
        picture = picture if picture.mode in ("L", "RGB", "RGBA", "I;16") else picture.convert("RGB")
    pixels = np.asarray(picture)
    if pixels.dtype not in (np.uint8, np.uint16):
        raise DataError(f"{name}: its values are {pixels.dtype}; uint8 (0 to 255) or uint16 expected")
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    if pixels.ndim != 3 or pixels.shape[2] not in (1, 3, 4) or not pixels.size:
        raise DataError(f"{name}: its shape is {np.shape(picture)}; (H, W), (H, W, 3) or (H, W, 4) expected")
    if pixels.dtype == np.uint16:
        pixels = (pixels >> 8).astype(np.uint8)
    pixels = pixels.repeat(3, axis=2) if pixels.shape[2] == 1 else pixels[..., :3]
    return np.ascontiguousarray(pixels)
