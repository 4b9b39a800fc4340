"""Image files and members of zip archives as arrays. Every fault is one DataError line that names the file."""

import io
import os
import warnings
from functools import lru_cache
from importlib.util import find_spec
from types import ModuleType

import numpy as np

from semipose.data.archives import image_fault, read_bytes
from semipose.data.depth import as_8_bits
from semipose.data.orientation import TIFF_STARTS, turned, turned_size
from semipose.errors import SemiposeError
from semipose.structures import AS_STORED, Reading

try:
    import cv2
except ImportError as error:
    raise SemiposeError(f"OpenCV cannot be loaded ({error}); run: pip install opencv-python-headless") from error

# endings of picture files that are read, and of those that are not; HEIC needs a package of its own
PICTURES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".dib", ".tif", ".tiff", ".webp", ".gif", ".avif")
PICTURES += (".jp2", ".j2k", ".pgm", ".ppm", ".pnm", ".pbm", ".mpo")
HEIC = (".heic", ".heif", ".hif")
OTHER_PICTURES = (*HEIC, ".jxl", ".jxr", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2", ".exr", ".hdr")
OTHER_PICTURES += (".pfm", ".psd", ".svg", ".tga", ".pcx", ".sgi", ".ico", ".dds", ".czi", ".nd2", ".lif")
HEIC_IS_READ = find_spec("pillow_heif") is not None
HEIC_REMEDY = "HEIC is read after: pip install pillow-heif"
if HEIC_IS_READ:
    PICTURES += HEIC
OTHER_PICTURES = tuple(ending for ending in OTHER_PICTURES if ending not in PICTURES)

_JPEG_START = b"\xff\xd8\xff"
_HEAD = 2**16  # bytes that mostly have the header of an image
_DECODE = {
    1: cv2.IMREAD_COLOR,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}


def read_image(path: str, reduce: int = 1, reading: Reading = AS_STORED) -> np.ndarray:
    """The picture that the labels of an image file refer to; by default its stored pixels, whatever its EXIF
    orientation is. Of an animation it is the first picture; alpha is left out.

    Args:
        path: image file, or `ARCHIVE.zip@MEMBER`.
        reduce: 1, 2, 4 or 8; scale by exactly 1/reduce, width and height rounded up. Faster than full size for JPEG.
        reading: how it is turned, its size, and its white.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        DataError: the file is missing, empty, truncated, damaged, too large or not an image, or has another size.
    """
    if reduce not in _DECODE:
        raise image_fault(path, f"reduce is {reduce!r}; allowed: 1, 2, 4, 8")
    data = _content(path)
    # a turned picture is reduced afterwards, as what is rounded up must lie right and below
    decoder_reduces = data.startswith(_JPEG_START) and reading.orientation == 1
    values = _decoded(path, data, reduce if decoder_reduces else 1)
    height, width = values.shape[:2]
    _check_size(path, _header_size(data) if decoder_reduces and reduce > 1 else (width, height), reading)
    try:
        image = turned(as_8_bits(values, reading.white), reading.orientation)
    except ValueError as error:
        raise image_fault(path, str(error)) from error
    image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    return image if decoder_reduces or reduce == 1 else shrink(image, reduce)


def stored_values(path: str) -> np.ndarray:
    """(H, W, 3) stored values of an image file, of their own type; raises DataError as `read_image`."""
    return _decoded(path, _content(path), 1)


def image_size(path: str) -> tuple[int, int]:
    """(width, height) of the stored pixels, from the file's header alone; raises DataError if there is none."""
    size = _header_size(read_bytes(path, _HEAD))
    if size is None:
        data = read_bytes(path)
        size = _header_size(data)
    if size is None and data.startswith(TIFF_STARTS):  # Pillow knows no coloured floats
        size = _decoded(path, data, 1).shape[1::-1]
    if size is None:
        raise image_fault(path, _no_image(data))
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


def _content(path: str) -> bytes:
    data = read_bytes(path)
    if not data:
        raise image_fault(path, "is empty")
    return data


def _decoded(path: str, data: bytes, reduce: int) -> np.ndarray:
    """(H, W, 3) BGR values of the file's own type; `reduce` above 1 is for JPEG."""
    flags = _DECODE[reduce] | cv2.IMREAD_IGNORE_ORIENTATION
    if not data.startswith(_JPEG_START):
        flags |= cv2.IMREAD_ANYDEPTH
    # from a buffer OpenCV refuses a truncated JPEG; from a file it fills the rest with grey and says nothing
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
        if image is None and data.startswith(TIFF_STARTS):  # grey floats are not made coloured
            image = _three_channels(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED))
    except cv2.error as error:
        raise image_fault(path, _refusal(error)) from error
    if image is None and _is_for_pillow(data):
        image = _by_pillow(path, data)
    if image is None:
        fault = _no_image(data) if _header_size(data) is None else "is truncated or damaged"
        raise image_fault(path, fault)
    return image


def _three_channels(image: np.ndarray | None) -> np.ndarray | None:
    if image is None or (image.ndim == 3 and image.shape[2] == 2):
        return None
    image = image if image.ndim == 3 else image[..., None]
    return image.repeat(3, axis=2) if image.shape[2] == 1 else image[..., :3]


def _is_for_pillow(data: bytes) -> bool:
    """GIF, AVIF and HEIC, which not every OpenCV reads."""
    return data.startswith(b"GIF8") or data[4:8] == b"ftyp"


def _by_pillow(path: str, data: bytes) -> np.ndarray | None:
    """(H, W, 3) uint8 BGR; None if Pillow cannot read it either."""
    size, limit = _header_size(data), int(os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"])
    if size is None:
        return None
    if size[0] * size[1] > limit:
        raise image_fault(path, _too_large(limit))
    try:
        with _pillow().open(io.BytesIO(data)) as image:
            return np.asarray(image.convert("RGB"))[..., ::-1]
    except (OSError, ValueError, SyntaxError):
        return None


def _check_size(path: str, stored: tuple[int, int], reading: Reading) -> None:
    found = turned_size(stored, reading.orientation)
    if any(reading.size) and found != tuple(reading.size):
        raise image_fault(path, size_fault(found, reading.size))


def size_fault(found: tuple[int, int], annotated: tuple[int, int]) -> str:
    """What is wrong with a picture of another (width, height) than annotated."""
    return f"has {found[0]} x {found[1]} pixels, the annotation says {annotated[0]} x {annotated[1]}"


def _no_image(data: bytes) -> str:
    is_heic = data[4:8] == b"ftyp" and data[8:12] in (b"heic", b"heix", b"hevc", b"mif1", b"msf1")
    return f"is not read as it is; {HEIC_REMEDY}" if is_heic and not HEIC_IS_READ else "is not an image"


def _too_large(limit: object) -> str:
    return f"has more pixels than OPENCV_IO_MAX_IMAGE_PIXELS={limit} allows"


def _refusal(error: cv2.error) -> str:
    if "MAX_IMAGE" in str(error):
        return _too_large(os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"])
    return f"cannot be decoded: {' '.join(str(error).split())}"


@lru_cache
def _pillow() -> ModuleType:
    """Pillow's module `Image`, which reads HEIC if pillow-heif is there."""
    from PIL import Image

    warnings.filterwarnings("ignore", module="PIL")  # of the end of a file whose head is read
    if HEIC_IS_READ:
        import pillow_heif

        pillow_heif.register_heif_opener()
    return Image


def _header_size(data: bytes) -> tuple[int, int] | None:
    Image = _pillow()  # OpenCV cannot give the size alone; torchvision brings Pillow
    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.size
    except (OSError, ValueError, Image.DecompressionBombError):
        return None
