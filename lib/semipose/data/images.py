"""Image files and members of zip archives as arrays. Every fault is one DataError line that names the file."""

import io
import os

import numpy as np

from semipose.data.archives import image_fault, read_bytes
from semipose.errors import SemiposeError

MAX_PIXELS = 100_000_000  # 300 MB as RGB; a small compressed file can ask for far more

# OpenCV reads both when it is loaded. What the user set stays. Our own line replaces OpenCV's log of bad files.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MAX_PIXELS))
os.environ.setdefault("OPENCV_LOG_LEVEL", "FATAL")
try:
    import cv2
except ImportError as error:
    raise SemiposeError(f"OpenCV cannot be loaded ({error}); run: pip install opencv-python-headless") from error

_JPEG_START = b"\xff\xd8\xff"
_HEAD = 2**16  # bytes that mostly have the header of an image
_DECODE = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}


def read_image(path: str, reduce: int = 1) -> np.ndarray:
    """The stored pixels of an image file; EXIF orientation is ignored, since COCO labels refer to the stored pixels.

    Args:
        path: image file, or `ARCHIVE.zip@MEMBER`.
        reduce: 1, 2, 4 or 8; scale by exactly 1/reduce, width and height rounded up. Faster than full size for JPEG.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        DataError: the file is missing, empty, truncated, damaged, too large or not an image.
    """
    if reduce not in _DECODE:
        raise image_fault(path, f"reduce is {reduce!r}; allowed: 1, 2, 4, 8")
    data = read_bytes(path)
    if not data:
        raise image_fault(path, "is empty")
    decoder_reduces = data.startswith(_JPEG_START)
    flags = _DECODE[reduce if decoder_reduces else 1] | cv2.IMREAD_IGNORE_ORIENTATION
    # from a buffer OpenCV refuses a truncated JPEG; from a file it fills the rest with grey and says nothing
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error as error:
        raise image_fault(path, _refusal(error)) from error
    if image is None:
        fault = "is not an image" if _header_size(data) is None else "is truncated or damaged"
        raise image_fault(path, fault)
    image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    return image if decoder_reduces or reduce == 1 else shrink(image, reduce)


def image_size(path: str) -> tuple[int, int]:
    """(width, height) of the stored pixels, from the file's header alone; raises DataError if there is none."""
    size = _header_size(read_bytes(path, _HEAD)) or _header_size(read_bytes(path))
    if size is None:
        raise image_fault(path, "is not an image")
    return size


def write_png(path: str, image: np.ndarray) -> None:
    """Write an (H, W, 3) uint8 RGB image; under another name first, so that there is never half a file."""
    temporary = f"{path}.tmp"
    with open(temporary, "wb") as file:
        file.write(cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))[1])
    os.replace(temporary, path)


def shrink(image: np.ndarray, reduce: int) -> np.ndarray:
    """`image` averaged down by exactly 1/reduce, width and height rounded up."""
    # OpenCV rounds the size of other formats down, which changes the scale and so moves the keypoints
    height, width = image.shape[:2]
    image = cv2.copyMakeBorder(image, 0, -height % reduce, 0, -width % reduce, cv2.BORDER_REPLICATE)
    return cv2.resize(image, (image.shape[1] // reduce, image.shape[0] // reduce), interpolation=cv2.INTER_AREA)


def _refusal(error: cv2.error) -> str:
    if "MAX_IMAGE" in str(error):
        limit = os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"]
        return f"has more pixels than OPENCV_IO_MAX_IMAGE_PIXELS={limit} allows"
    return f"cannot be decoded: {' '.join(str(error).split())}"


def _header_size(data: bytes) -> tuple[int, int] | None:
    from PIL import Image  # OpenCV cannot give the size alone; torchvision brings Pillow

    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.size
    except (OSError, ValueError, Image.DecompressionBombError):
        return None
