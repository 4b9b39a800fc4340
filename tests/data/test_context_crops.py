"""Context crops: what is at a place of the image is at the mapped place of the crop, also when decoded smaller."""

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from semipose.data.context_crops import ContextCrops
from semipose.data.crop_cache import DirectCrops
from semipose.data.person_dataset import PersonDataset
from semipose.errors import DataError
from semipose.geometry import affine


def dot_image(path, place: tuple[float, float], size=(120, 90), width=3.0) -> str:
    """A white Gaussian dot on black; `width` is its standard deviation."""
    y, x = np.mgrid[: size[1], : size[0]]
    dot = 250 * np.exp(-((x - place[0]) ** 2 + (y - place[1]) ** 2) / (2 * width**2))
    path.write_bytes(cv2.imencode(path.suffix, np.repeat(dot[:, :, None], 3, 2).round().astype(np.uint8))[1].tobytes())
    return str(path)


def centre_of_light(crop: np.ndarray) -> np.ndarray:
    light = crop.astype(float).mean(axis=0)
    light[light < 20] = 0
    y, x = np.mgrid[: light.shape[0], : light.shape[1]]
    return np.array([(x * light).sum(), (y * light).sum()]) / light.sum()


def to_crop(crops: ContextCrops, row: int, place) -> np.ndarray:
    matrix = crops.to_image[row].astype(np.float64)
    return np.linalg.solve(matrix[:, :2], np.asarray(place) - matrix[:, 2])


# Geometry


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(width=st.integers(1, 300), height=st.integers(1, 300), margin=st.floats(1, 2))
def test_the_margin_is_the_same_whole_number_on_both_sides(make_persons, width, height, margin):
    size = ContextCrops(make_persons([]), (width, height), margin, 1.25).size
    for outer, inner in zip(size, (width, height)):
        assert (outer - inner) % 2 == 0
        assert abs(outer - inner * margin) <= 1


def test_the_map_of_a_known_box(make_persons):
    """A 24x32 input of a 30x80 box: the region is 60x80 times 1.25 = 75x100, 3.125 image pixels per crop pixel."""
    crops = ContextCrops(make_persons([("a.png", (100, 50, 30, 80))]), (24, 32), 1.5, 1.25)
    assert crops.size == (36, 48) and len(crops) == 1
    expected = [[3.125, 0, 115 - 3.125 * 17.5], [0, 3.125, 90 - 3.125 * 23.5]]
    np.testing.assert_allclose(crops.to_image[0], expected, rtol=1e-6)
    assert crops.to_image.dtype == np.float32


def test_a_wide_box_grows_in_height(make_persons):
    crops = ContextCrops(make_persons([("a.png", (0, 0, 60, 10))]), (24, 32), 1.0, 1.0)
    np.testing.assert_allclose(crops.to_image[0], [[2.5, 0, 30 - 2.5 * 11.5], [0, 2.5, 5 - 2.5 * 15.5]], rtol=1e-6)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize("margin", [1.0, 1.3])
@pytest.mark.parametrize("size", [(24, 32), (33, 20), (31, 31), (160, 120)])
@pytest.mark.parametrize(
    ("box", "place"),
    [
        ((30, 20, 40, 50), (45.0, 40.0)),
        ((30, 20, 40, 50), (60.3, 61.8)),
        ((-30, -10, 60, 60), (12.0, 9.0)),
        ((90, 60, 70, 80), (108.0, 80.0)),
    ],
)
def test_a_bright_dot_lands_where_the_map_says(tmp_path, make_persons, suffix, margin, size, box, place):
    path = dot_image(tmp_path / f"a{suffix}", place)
    crops = ContextCrops(make_persons([(path, box)]), size, margin, 1.25)
    crop = crops.cut([0])[0]
    assert crop.shape == (3, crops.size[1], crops.size[0]) and crop.dtype == np.uint8
    np.testing.assert_allclose(centre_of_light(crop), to_crop(crops, 0, place), atol=0.12)


def test_one_white_pixel_at_scale_one_is_one_white_pixel(tmp_path, make_persons):
    image = np.zeros((50, 40, 3), np.uint8)
    image[27, 18] = (0, 0, 255)  # OpenCV writes BGR: red
    cv2.imwrite(str(tmp_path / "a.png"), image)
    # centre 18.5, 27.5 and an even crop: crop pixel u shows image pixel u + 18.5 - 7.5
    crops = ContextCrops(make_persons([(tmp_path / "a.png", (8.5, 17.5, 20, 20))]), (16, 16), 1.0, 0.8)
    crop = crops.cut([0])[0]
    assert np.argwhere(crop).tolist() == [[0, 7, 7]] and crop[0, 7, 7] == 255


def test_outside_of_the_image_is_black(tmp_path, make_persons):
    cv2.imwrite(str(tmp_path / "a.png"), np.full((40, 40, 3), 255, np.uint8))
    crop = ContextCrops(make_persons([(tmp_path / "a.png", (-20, 0, 40, 40))]), (20, 20), 1.0, 1.0).cut([0])[0]
    assert (crop[:, :, :9] == 0).all() and (crop[:, 1:-1, 11:-1] == 255).all()


# Reduced decoding


def smooth_image(width: int, height: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    image = np.full((height, width, 3), 128.0)
    for coarse in (4, 8, 16, 32, 64, 128):
        noise = rng.normal(0, 18, (coarse, coarse, 3))
        image += cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)
    return image.clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize("scale", [1, 2, 3, 4, 6, 8, 12])
def test_reduced_decoding_looks_like_averaging_the_full_image(tmp_path, make_persons, suffix, scale):
    """The region is a block of whole image pixels, so that OpenCV's area average of that block is the exact answer."""
    image = smooth_image(603, 451)
    path = tmp_path / f"a{suffix}"
    path.write_bytes(cv2.imencode(suffix, image, [cv2.IMWRITE_JPEG_QUALITY, 98])[1].tobytes())
    left, top, width, height = 37, 21, 40 * scale, 30 * scale
    crops = ContextCrops(make_persons([(path, (left - 0.5, top - 0.5, width, height))]), (40, 30), 1.0, 1.0)
    crop = crops.cut([0])[0].transpose(1, 2, 0).astype(float)
    block = image[top : top + height, left : left + width, ::-1]
    exact = cv2.resize(block, (40, 30), interpolation=cv2.INTER_AREA).astype(float)
    seen = min(40, (603 - left) // scale), min(30, (451 - top) // scale)
    difference = np.abs(crop - exact)[1 : seen[1] - 1, 1 : seen[0] - 1]
    assert difference.mean() < 0.25 * exact.std()


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize("scale", [1.9, 2.0, 2.7, 4.1, 7.9, 8.3, 11.0])
def test_reduced_decoding_does_not_move_anything(tmp_path, make_persons, suffix, scale):
    place = (431.7, 268.2)
    path = dot_image(tmp_path / f"a{suffix}", place, (603, 451), width=1.5 * scale)
    persons = make_persons([(path, (431 - 20 * scale, 268 - 15 * scale, 40 * scale, 30 * scale))])
    crops = ContextCrops(persons, (40, 30), 1.25, 1.0)
    np.testing.assert_allclose(centre_of_light(crops.cut([0])[0]), to_crop(crops, 0, place), atol=0.06)


@pytest.mark.parametrize(
    ("scale", "reduction"), [(0.5, 1), (1.99, 1), (2.01, 2), (3.9, 2), (4.01, 4), (8.01, 8), (40, 8)]
)
def test_images_are_decoded_as_small_as_the_crop_allows(
    tmp_path, draw_image, make_persons, monkeypatch, scale, reduction
):
    from semipose.data import context_crops

    seen = []
    read = context_crops.read_image
    monkeypatch.setattr(
        context_crops, "read_image", lambda path, step, *how: seen.append(step) or read(path, step, *how)
    )
    path = draw_image(tmp_path / "a.jpg", (200, 160))
    ContextCrops(make_persons([(path, (10, 10, 20 * scale, 20 * scale))]), (20, 20), 1.0, 1.0).cut([0])
    assert seen == [reduction]


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_small_neighbour_does_not_make_a_large_person_coarse(tmp_path, make_persons, suffix):
    """The neighbour needs the full image; the large person must not be sampled from it pixel by pixel."""
    rng = np.random.default_rng(0)
    image = (smooth_image(600, 450) // 2 + rng.integers(0, 128, (450, 600, 3))).astype(np.uint8)
    path = tmp_path / f"a{suffix}"
    path.write_bytes(cv2.imencode(suffix, image, [cv2.IMWRITE_JPEG_QUALITY, 98])[1].tobytes())
    large, small = (20, 10, 400, 400), (500, 300, 20, 30)
    alone = ContextCrops(make_persons([(path, large)]), (48, 48), 1.0, 1.0).cut([0])[0]
    together = ContextCrops(make_persons([(path, large), (path, small)]), (48, 48), 1.0, 1.0).cut([0])[0]
    assert np.abs(alone.astype(float) - together).mean() < 2


# Persons of one image


def test_persons_of_an_image(people):
    crops = ContextCrops(people, (16, 20), 1.25, 1.25)
    for row in range(len(people)):
        assert crops.on_same_image(row).tolist() == [
            i for i in range(len(people)) if people.path(i) == people.path(row)
        ]


def test_images_without_persons_do_no_harm(people):
    few = ContextCrops(people.take([6, 1]), (16, 20), 1.25, 1.25)
    assert few.on_same_image(0).tolist() == [0] and few.on_same_image(1).tolist() == [1]
    every = ContextCrops(people, (16, 20), 1.25, 1.25)
    np.testing.assert_array_equal(few.cut([1])[0], every.cut([1])[0])


def test_crops_are_deterministic_and_do_not_depend_on_company_in_the_call(people, count_reads):
    crops = ContextCrops(people, (16, 20), 1.25, 1.25)
    rows = crops.on_same_image(1)
    together = crops.cut(rows)
    assert len(rows) == 3 and len(count_reads) == 1
    for row, crop in zip(rows, together):
        np.testing.assert_array_equal(crops.cut([row])[0], crop)
    np.testing.assert_array_equal(crops.cut(rows), together)
    assert len({crop.tobytes() for crop in together}) == 3


def test_a_broken_image_is_named(people, tmp_path):
    crops = ContextCrops(people, (16, 20), 1.25, 1.25)
    (tmp_path / "images/b.jpg").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"b\.jpg"):
        crops.cut([2])


# Keypoints


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    corner=st.tuples(st.floats(-200, 1000), st.floats(-200, 1000)),
    extent=st.tuples(st.floats(10, 1000), st.floats(10, 1000)),
    inside=st.tuples(st.floats(-0.2, 1.2), st.floats(-0.2, 1.2)),
    size=st.sampled_from([(64, 64), (192, 256), (288, 384), (40, 30)]),
)
def test_keypoints_go_to_the_crop_and_back(tmp_path, draw_image, make_persons, corner, extent, inside, size):
    place = np.array(corner) + np.array(inside) * extent
    persons = make_persons([(draw_image(tmp_path / "a.png"), (*corner, *extent))], np.array([[[*place, 1]]]))
    crops = ContextCrops(persons, size, 1.25, 1.25)
    batch = PersonDataset(DirectCrops(crops), [1.0], "replace")[0]
    place = persons.keypoints[0, 0, :2]
    np.testing.assert_allclose(batch.keypoints[0, 0].numpy(), to_crop(crops, 0, place), atol=0.01)
    back = affine.apply(batch.to_image, batch.keypoints)[0, 0].numpy()
    np.testing.assert_allclose(back, place, atol=1e-3, rtol=0)
