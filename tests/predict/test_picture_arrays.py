"""Kinds of pictures: each gives a result, or one line that names it."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image
from refusals import refused
from untrained_run import picture, write_run

from semipose import load_model
from semipose.data.images import read_image
from semipose.predict.pictures import as_rgb
from semipose.predict.sources import find_sources
from semipose.structures import Reading


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return load_model(write_run(tmp_path_factory.mktemp("run"), "ALGORITHM", "supervised"))


def exif(orientation: int) -> bytes:
    data = Image.Exif()
    data[0x0112] = orientation
    return data.tobytes()


def deep(mode: str) -> Image.Image:
    grey = np.arange(80 * 60, dtype=np.uint16).reshape(60, 80) * 13
    return Image.fromarray(grey) if mode == "I;16" else Image.fromarray(picture(1)).convert(mode)


FILES = {
    "grey": (lambda: deep("L"), "g.png", {}), "RGBA": (lambda: deep("RGBA"), "a.png", {}),
    "palette": (lambda: deep("P"), "p.png", {}), "black and white": (lambda: deep("1"), "b.png", {}),
    "16 bit": (lambda: deep("I;16"), "d.png", {}), "CMYK": (lambda: deep("CMYK"), "c.jpg", {}),
    "EXIF": (lambda: deep("RGB"), "e.jpg", {"exif": exif(6)}), "GIF": (lambda: deep("RGB"), "i.gif", {}),
    "1x1": (lambda: deep("RGB").resize((1, 1)), "o.png", {}),
    "one row": (lambda: deep("RGB").resize((90, 1)), "r.png", {}),
}  # fmt: skip


@pytest.mark.parametrize("kind", FILES)
def test_every_kind_of_file_gives_keypoints(model, tmp_path, kind):
    make, name, options = FILES[kind]
    make().save(tmp_path / name, **options)
    upright = Reading(orientation=6 if kind == "EXIF" else 1)
    found, pixels = model(tmp_path / name), read_image(str(tmp_path / name), reading=upright)
    assert np.isfinite(found.keypoints).all() and found.boxes[0].tolist() == [0, 0, pixels.shape[1], pixels.shape[0]]
    np.testing.assert_allclose(model(pixels).keypoints, found.keypoints, atol=1e-4)


@pytest.mark.parametrize("kind", ["grey", "RGBA", "16 bit"])
def test_an_array_is_read_as_its_file(model, tmp_path, kind):
    make, name, _ = FILES[kind]
    make().save(tmp_path / name)
    array = np.asarray(make())
    np.testing.assert_allclose(model(array).keypoints, model(tmp_path / name).keypoints, atol=1e-4)


def test_keypoints_are_those_of_the_upright_picture(model, tmp_path):
    upright = deep("RGB")
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "lying.png", exif=exif(6))
    expected = model(np.asarray(upright)).keypoints
    np.testing.assert_allclose(model(tmp_path / "lying.png").keypoints, expected, atol=1e-4)
    (frame,) = find_sources([str(tmp_path / "lying.png")])[0].frames()
    np.testing.assert_array_equal(frame.image, np.asarray(upright))


def test_12_bits_in_16_are_seen_as_8(model, tmp_path):
    """In files and arrays, and with one white for all pictures of a call or a folder."""
    grey = np.arange(80 * 60, dtype=np.uint16).reshape(60, 80) % 4096
    dark = grey // 16
    for name, values in (("a.png", grey), ("b.png", dark)):
        Image.fromarray(values).save(tmp_path / name)
    expected = [values // 16 for values in (grey, dark)]
    frames = [frame.image[..., 0] for frame in find_sources([str(tmp_path)])[0].frames()]
    np.testing.assert_array_equal(frames, expected)
    seen = [found.keypoints for found in model([(values).astype(np.uint8) for values in expected])]
    from_pillow = [Image.fromarray(grey), Image.fromarray(dark)]
    for pictures in ([tmp_path / "a.png", tmp_path / "b.png"], [grey, dark], from_pillow):
        np.testing.assert_allclose([found.keypoints for found in model(pictures)], seen, atol=1e-4)
    np.testing.assert_allclose([found.keypoints for found in model.stream([grey, dark])], seen, atol=1e-4)


def test_a_broken_file_is_named(model, tmp_path):
    memory = io.BytesIO()
    deep("RGB").save(memory, "JPEG")
    data = memory.getvalue()
    for name, content in (("cut.jpg", data[: len(data) // 2]), ("empty.jpg", b""), ("text.jpg", b"hello")):
        (tmp_path / name).write_bytes(content)
        refused(lambda name=name: model(tmp_path / name), name)
    refused(lambda: model(tmp_path / "none.jpg"), "none.jpg")


WRONG = [np.zeros((4, 4)), np.zeros((4, 4, 2), np.uint8), np.zeros((0, 5, 3), np.uint8), np.zeros(3, np.uint8), None, 7]


@pytest.mark.parametrize("array", WRONG, ids=lambda a: str(getattr(a, "shape", a)))
def test_what_is_no_picture_is_refused(model, array):
    refused(lambda: model([array]), "picture")


@settings(max_examples=50)
@given(
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.sampled_from([(), (1,), (3,), (4,)]),
    st.sampled_from([np.uint8, np.uint16]),
    st.data(),
)
def test_any_array_becomes_rgb(size, channels, kind, data):
    array = data.draw(arrays(kind, (*size, *channels)))
    rgb = as_rgb(array)
    assert rgb.shape == (*size, 3) and rgb.dtype == np.uint8 and rgb.flags.c_contiguous
    flat = array if array.ndim == 2 else array[..., 0]
    assert (rgb[..., 0] == (flat if kind == np.uint8 else flat >> 8)).all()
