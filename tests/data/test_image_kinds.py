"""Kinds of pictures: colours come out right in each, more than 8 bits are scaled by the range of the set, and what is
not read is counted and named."""

import logging
import subprocess
import sys
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from PIL import Image
from refusals import refused
from small_coco import COCO, small_coco, source_of, write_set

from semipose.data import images
from semipose.data.formats.folder import read_folder
from semipose.data.images import image_size, read_image
from semipose.data.readings import white_of
from semipose.data.sources import read_own, read_pool
from semipose.predict.sources import find_sources
from semipose.structures import Reading

WIDTH, HEIGHT = 64, 48
COLORS = np.array([[250, 20, 30], [20, 240, 40], [30, 40, 235], [200, 200, 20]], np.uint8)  # in four columns


def colors() -> np.ndarray:
    return np.broadcast_to(COLORS.repeat(WIDTH // 4, axis=0), (HEIGHT, WIDTH, 3)).copy()


KINDS = {
    "a.jpg": ("RGB", {"quality": 95, "subsampling": 0}), "b.jfif": ("RGB", {"quality": 95, "subsampling": 0}),
    "c.gif": ("RGB", {}), "d.avif": ("RGB", {"quality": 95}), "e.jp2": ("RGB", {}), "f.ppm": ("RGB", {}),
    "g.webp": ("RGB", {"lossless": True}), "h.tif": ("RGB", {}), "i.bmp": ("RGB", {}), "j.png": ("P", {}),
    "k.png": ("RGBA", {}), "cmyk.jpg": ("CMYK", {"quality": 95}), "cmyk.tif": ("CMYK", {}), "p.tif": ("P", {}),
    "ycc.tif": ("YCbCr", {}), "p.gif": ("P", {}),
}  # fmt: skip
FORMS = {".jfif": "JPEG", ".ppm": "PPM", ".jp2": "JPEG2000"}


def save(path, mode: str, options: dict) -> str:
    image = Image.fromarray(colors())
    (image.quantize(8) if mode == "P" else image.convert(mode)).save(path, FORMS.get(path.suffix), **options)
    return str(path)


@pytest.mark.parametrize("name", KINDS)
def test_colours_are_right(tmp_path, name):
    path = save(tmp_path / name, *KINDS[name])
    image = read_image(path)
    assert image.dtype == np.uint8 and image.shape == (HEIGHT, WIDTH, 3) and image_size(path) == (WIDTH, HEIGHT)
    limit = 24 if KINDS[name][0] == "CMYK" else 14
    assert np.abs(image[:, 8::16].astype(int) - COLORS).max() <= limit


@pytest.mark.parametrize("name", ["a.pgm", "b.png", "c.jpg", "d.tif"])
def test_grey_pictures(tmp_path, name):
    grey = np.arange(WIDTH * HEIGHT, dtype=np.uint8).reshape(HEIGHT, WIDTH) // 8 * 8
    Image.fromarray(grey).save(tmp_path / name, "PPM" if name == "a.pgm" else None)
    assert np.abs(read_image(str(tmp_path / name)).astype(int) - grey[..., None]).max() <= (
        12 if name == "c.jpg" else 0
    )


def test_the_first_picture_of_an_animation(tmp_path):
    frames = [Image.fromarray(np.full((HEIGHT, WIDTH, 3), value, np.uint8)) for value in (200, 10)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert (read_image(str(tmp_path / "a.gif")) == 200).all()


@pytest.mark.parametrize("name", ["a.gif", "a.avif"])
def test_pillow_reads_what_opencv_cannot(tmp_path, monkeypatch, name):
    path = save(tmp_path / name, "RGB", {"quality": 95} if name == "a.avif" else {})
    monkeypatch.setattr(images.cv2, "imdecode", lambda data, flags: None)
    assert np.abs(read_image(path)[:, 8::16].astype(int) - COLORS).max() <= 14
    monkeypatch.setenv("OPENCV_IO_MAX_IMAGE_PIXELS", "100")
    refused(lambda: read_image(path), name, "OPENCV_IO_MAX_IMAGE_PIXELS=100")


def ramp(top: float, dtype) -> np.ndarray:
    return np.linspace(0, top, WIDTH * HEIGHT).reshape(HEIGHT, WIDTH).astype(dtype)


def write(path, values: np.ndarray) -> str:
    path.write_bytes(cv2.imencode(path.suffix, values)[1].tobytes())
    return str(path)


CASES: dict[str, tuple[np.ndarray, float, Callable]] = {
    "12.png": (ramp(4000, np.uint16), 4095, lambda v: v // 16),
    "12.tif": (ramp(4095, np.uint16), 4095, lambda v: v // 16),
    "12.pgm": (ramp(3000, np.uint16), 4095, lambda v: v // 16),
    "10.jp2": (ramp(1023, np.uint16), 1023, lambda v: v // 4),
    "rgb.png": (np.stack([ramp(4000, np.uint16)] * 3, axis=2), 4095, lambda v: v // 16),
    "16.png": (ramp(65535, np.uint16), 65535, lambda v: v // 256),
    "8in16.png": (ramp(250, np.uint16), 255, lambda v: v),
    "unit.tif": (ramp(1, np.float32), 1, lambda v: v * 255),
    "float.tif": (ramp(255, np.float32), 255, lambda v: v),
    "rgbfloat.tif": (np.stack([ramp(900, np.float32)] * 3, axis=2), 1023, lambda v: v * 255 / 1023),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_more_than_8_bits_are_scaled_by_their_range(tmp_path, name):
    values, white, expected = CASES[name]
    path = write(tmp_path / name, values)
    assert white_of("set", [path]) == white and image_size(path) == (WIDTH, HEIGHT)
    image = read_image(path, reading=Reading(white=white))
    wanted = expected(values.reshape(HEIGHT, WIDTH, -1)).astype(float)
    assert image.dtype == np.uint8 and np.abs(image - wanted).max() <= 1
    assert np.abs(read_image(path, 2, Reading(white=white))[..., 0] - images.shrink(image, 2)[..., 0]).max() == 0


def test_float_tiff_of_unknown_range_is_called_so(tmp_path):
    path = write(tmp_path / "a.tif", ramp(1, np.float32))
    refused(lambda: read_image(path), "a.tif", "float32")
    holes = ramp(1, np.float32)
    holes[0, :2] = np.nan, -3
    path = write(tmp_path / "b.tif", holes)
    assert white_of("set", [path]) == 1 and read_image(path, reading=Reading(white=1.0))[0, :2].max() == 0


def test_all_images_of_a_source_have_one_white(tmp_path, caplog):
    folder = write_set(tmp_path, "train", small_coco(3, ending="png"))
    for name, top in (("001.png", 4000), ("002.png", 100)):
        values = cv2.resize(ramp(top, np.uint16), (80, 60))
        write(folder / name, values)
    with caplog.at_level(logging.WARNING):
        persons = read_own(source_of(tmp_path))
    assert persons.image_whites.tolist() == [4095] * 3 and caplog.text.count("more than 8 bits") == 1
    read = [read_image(str(path), reading=persons.reading(row)).max() for row, path in enumerate(persons.image_paths)]
    assert read[0] == 250 and read[1] == 6 and read[2] > 100  # 8 bits stay as they are
    chosen = read_own(source_of(tmp_path, white=8191.0))
    assert read_image(str(chosen.image_paths[0]), reading=chosen.reading(0)).max() == 125


def test_jpeg_sources_are_not_looked_at(tmp_path, monkeypatch):
    write_set(tmp_path, "train", small_coco(2))
    monkeypatch.setattr("semipose.data.readings.stored_values", lambda path: pytest.fail(path))
    assert not read_own(source_of(tmp_path)).image_whites.any()


def pool(tmp_path, names):
    for name in names:
        (tmp_path / "pool" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "pool" / name).write_bytes(b"")
    return str(tmp_path / "pool")


def test_a_folder_reads_what_can_be_read_and_names_the_rest(tmp_path, caplog):
    folder = pool(tmp_path, ["IMG_1.HEIC", "sub/x.dng", "notes.txt", ".hidden.heic"])
    readable = ("a.jpg", "b.jfif", "c.gif", "d.avif", "e.jp2", "f.ppm")
    for name in readable:
        save(tmp_path / "pool" / name, *KINDS[name])
    persons = read_pool(source_of(tmp_path, format="images", annotation="pool"), COCO)
    assert [path.rsplit(".")[-1] for path in persons.image_paths] == ["jpg", "jfif", "gif", "avif", "jp2", "ppm"]
    (line,) = [record.getMessage() for record in caplog.records]
    assert (
        folder in line and " 2 pictures" in line and "IMG_1.HEIC" in line and "x.dng" in line and "pillow-heif" in line
    )
    caplog.clear()
    for words in ([folder], [f"{folder}/*"], [f"{folder}/{name}" for name in ("IMG_1.HEIC", *readable)]):
        caplog.clear()
        (pictures,) = find_sources(words)
        assert len(pictures.paths) == 6 and caplog.text.count("IMG_1.HEIC") == 1


def test_a_folder_of_pictures_that_are_not_read(tmp_path):
    folder = pool(tmp_path, ["IMG_1.HEIC", "IMG_2.HEIC"])
    refused(lambda: read_folder(folder, 1), folder, "IMG_1.HEIC", "2")
    refused(lambda: find_sources([folder]), folder, "IMG_1.HEIC", "2")
    refused(lambda: find_sources([f"{folder}/IMG_1.HEIC"]), "IMG_1.HEIC", "pillow-heif")


def test_a_labelled_heic_says_what_reads_it(tmp_path):
    if images.HEIC_IS_READ:
        pytest.skip("pillow-heif is there")
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(64))
    refused(lambda: read_image(f"{tmp_path}/a.heic"), "a.heic", "pillow-heif")
    refused(lambda: image_size(f"{tmp_path}/a.heic"), "a.heic", "pillow-heif")


def test_the_image_with_more_than_8_bits_is_named(tmp_path, caplog):
    plain, deep = (
        write(tmp_path / "a.tif", np.zeros((4, 4), np.uint8)),
        write(tmp_path / "b.tif", ramp(4095, np.uint16)),
    )
    assert white_of("set", [plain, deep]) == 4095
    assert deep in caplog.text and plain not in caplog.text


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_grey_tiff_is_read_without_a_word_of_opencv(tmp_path, dtype):
    Image.fromarray(np.full((4, 6), 4, dtype)).save(tmp_path / "a.tif")
    code = (
        "import sys, semipose.data.context_crops, semipose.data.images as i; print(i.stored_values(sys.argv[1]).max())"
    )
    done = subprocess.run([sys.executable, "-c", code, f"{tmp_path}/a.tif"], capture_output=True, text=True)
    assert float(done.stdout) == 4 and not done.stderr
