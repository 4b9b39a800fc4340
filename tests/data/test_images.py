"""Image decoding: exact pixels, ignored EXIF orientation, and one line for each kind of bad file."""

import io
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

import semipose
from semipose.data.images import image_size, read_image
from semipose.errors import DataError

LIBRARY = str(Path(semipose.__file__).parents[1])


@pytest.fixture
def pixels() -> np.ndarray:
    small = np.random.default_rng(0).integers(0, 256, (8, 10, 3), dtype=np.uint8)
    return cv2.resize(small, (80, 64))


def encoded(pixels: np.ndarray, form: str, **options) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form, **options)
    return buffer.getvalue()


def one_line(error) -> str:
    assert "\n" not in str(error.value)
    return str(error.value)


def run_python(code: str, *folders, **environment):
    paths = os.pathsep.join(map(str, (*folders, LIBRARY)))
    clean = {k: v for k, v in os.environ.items() if not k.startswith("OPENCV_")}
    return subprocess.run(
        [sys.executable, "-c", code], env={**clean, **environment, "PYTHONPATH": paths}, capture_output=True, text=True
    )


def test_png_pixels_are_exact_and_rgb(tmp_path, pixels):
    path = tmp_path / "a.png"
    path.write_bytes(encoded(pixels, "png"))
    image = read_image(str(path))
    assert image.dtype == np.uint8 and image.shape == (64, 80, 3)
    np.testing.assert_array_equal(image, pixels)


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "1"])
def test_other_colour_modes_become_rgb(tmp_path, pixels, mode):
    path = tmp_path / "a.png"
    Image.fromarray(pixels).convert(mode).save(path)
    assert read_image(str(path)).shape == (64, 80, 3)


@pytest.mark.parametrize(("reduce", "shape"), [(2, (32, 40, 3)), (4, (16, 20, 3)), (8, (8, 10, 3))])
def test_reduced_decode_shrinks_and_keeps_colours(tmp_path, pixels, reduce, shape):
    path = tmp_path / "a.jpg"
    path.write_bytes(encoded(pixels, "jpeg", quality=95))
    image = read_image(str(path), reduce)
    assert image.shape == shape
    expected = cv2.resize(pixels, shape[1::-1], interpolation=cv2.INTER_AREA).astype(int)
    assert np.abs(image - expected).mean() < 8
    assert np.abs(image[:, :, ::-1] - expected).mean() > 20  # BGR would be far off


@pytest.mark.parametrize("form", ["jpeg", "png", "webp", "bmp"])
@pytest.mark.parametrize("reduce", [2, 4, 8])
def test_reduced_decode_scales_by_exactly_the_factor(tmp_path, form, reduce):
    """A bright dot lands where centre-aligned scaling puts it, though the size is no multiple of the factor."""
    y, x = np.mgrid[:61, :203]
    dot = 255 * np.exp(-((x - 187) ** 2 + (y - 41) ** 2) / 50)
    path = tmp_path / "a.img"
    path.write_bytes(encoded(np.repeat(dot.astype(np.uint8)[:, :, None], 3, axis=2), form))
    image = read_image(str(path), reduce)[:, :, 0].astype(float)
    assert image.shape == (-(-61 // reduce), -(-203 // reduce))
    image[image < 16] = 0
    rows, columns = np.mgrid[: image.shape[0], : image.shape[1]]
    centre = (columns * image).sum() / image.sum(), (rows * image).sum() / image.sum()
    assert centre == pytest.approx(((187 + 0.5) / reduce - 0.5, (41 + 0.5) / reduce - 0.5), abs=0.1)


def test_other_reductions_are_refused(tmp_path):
    with pytest.raises(DataError, match="1.*2.*4.*8"):
        read_image(str(tmp_path / "a.jpg"), 3)


def test_exif_orientation_is_ignored(tmp_path, pixels):
    path = tmp_path / "a.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # rotated by 90 degrees for display
    path.write_bytes(encoded(pixels, "jpeg", exif=exif))
    assert read_image(str(path)).shape == (64, 80, 3)
    assert image_size(str(path)) == (80, 64)


@pytest.mark.parametrize("form", ["jpeg", "png", "bmp", "tiff", "webp"])
@pytest.mark.parametrize("part", [0.3, 0.9, 0.995])
def test_truncated_image_is_refused(tmp_path, pixels, form, part):
    data = encoded(pixels, form)
    path = tmp_path / f"cut.{form}"
    path.write_bytes(data[: int(len(data) * part)])
    for reduce in (1, 4):
        with pytest.raises(DataError) as error:
            read_image(str(path), reduce)
        assert str(path) in one_line(error)


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("missing", [1, 2, 3, 50])
def test_jpeg_without_its_last_bytes_is_truncated(tmp_path, pixels, progressive, missing):
    path = tmp_path / "cut.jpg"
    path.write_bytes(encoded(pixels, "jpeg", progressive=progressive)[:-missing])
    with pytest.raises(DataError, match="cut.jpg"):
        read_image(str(path))


@pytest.mark.parametrize("form", ["jpeg", "png"])
def test_bytes_after_the_image_do_no_harm(tmp_path, pixels, form):
    path = tmp_path / "a.img"
    path.write_bytes(encoded(pixels, form) + b"camera notes" * 50)
    assert read_image(str(path)).shape == (64, 80, 3)


@pytest.mark.parametrize(("content", "reason"), [(b"", "is empty"), (b"<html>not found</html>", "is not an image")])
def test_files_that_are_no_images(tmp_path, content, reason):
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(DataError) as error:
        read_image(str(path))
    assert one_line(error) == f"{path}: {reason}"
    with pytest.raises(DataError, match="is not an image"):
        image_size(str(path))


@pytest.mark.parametrize("name", ["absent.jpg", "", "a\0b.jpg", "\ud800.jpg", "x" * 5000])
@pytest.mark.parametrize("read", [read_image, image_size])
def test_paths_that_cannot_be_opened(tmp_path, name, read):
    with pytest.raises(DataError, match="cannot be read"):
        read(str(tmp_path) + "/" + name)


def test_message_about_an_undecodable_name_can_be_printed(tmp_path):
    with pytest.raises(DataError) as error:
        read_image(str(tmp_path / "\udcff.jpg"))
    one_line(error).encode("utf-8")


def png_bomb(side: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("environment", "limit"), [({}, 100_000_000), ({"OPENCV_IO_MAX_IMAGE_PIXELS": "5000"}, 5000)])
@pytest.mark.promise("R11")
def test_bomb_is_refused_before_memory_is_taken(tmp_path, environment, limit):
    path = tmp_path / "bomb.png"
    path.write_bytes(png_bomb(20_000))
    code = f"""
import resource, sys
from semipose.data.images import read_image
from semipose.errors import DataError
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    read_image({str(path)!r})
except DataError as error:
    print(error)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000)
"""
    result = run_python(code, **environment)
    message = f"{path}: has more pixels than OPENCV_IO_MAX_IMAGE_PIXELS={limit} allows"
    assert result.stdout.splitlines() == [message, "True"], result.stderr


def test_missing_libgl_names_the_remedy(tmp_path):
    (tmp_path / "cv2.py").write_text("raise ImportError('libGL.so.1: cannot open shared object file')")
    code = """
from semipose.errors import SemiposeError
try:
    import semipose.data.images
except SemiposeError as error:
    print(error)
"""
    result = run_python(code, tmp_path)
    assert "libGL.so.1" in result.stdout and "pip install opencv-python-headless" in result.stdout, result.stderr
