"""Thumbnails: copies of a picture are found, other frames of the same scene are not."""

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from semipose.data import thumbnails
from semipose.data.thumbnails import SIDE, find_alike, is_plain, look_same, read_thumbnails, small_copy

WIDTH, HEIGHT = 320, 240


def scene(seed: int, size: tuple[int, int] = (WIDTH, HEIGHT)) -> np.ndarray:
    """(240, 320, 3) uint8, smooth with a little noise, as a camera gives it."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(30, 226, (10, 12, 3), dtype=np.uint8)
    picture = cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)
    return np.clip(picture + rng.normal(0, 5, picture.shape), 0, 255).astype(np.uint8)


def with_animal(seed: int, place: int, size: int = 10) -> np.ndarray:
    """A frame of the fixed camera of `scene(0)`, with noise of its own and a dark spot of `size` pixels."""
    picture = scene(0).astype(float) + np.random.default_rng(100 + seed).normal(0, 5, (HEIGHT, WIDTH, 3))
    picture = np.clip(picture, 0, 255).astype(np.uint8)
    return cv2.circle(picture, (20 + place, 120), size // 2, (20, 20, 20), -1)


def alike(pictures, others) -> list[int]:
    return find_alike(*(np.stack([small_copy(picture) for picture in each]) for each in (pictures, others))).tolist()


@pytest.mark.parametrize("quality", [50, 75, 95])
def test_encoded_anew(quality):
    pictures = [scene(seed) for seed in range(6)]
    copies = [cv2.imdecode(cv2.imencode(".jpg", p, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], 1) for p in pictures]
    assert alike(pictures, copies[::-1]) == [5, 4, 3, 2, 1, 0]


@pytest.mark.parametrize("factor", [0.5, 0.8, 0.9, 1.3])
@pytest.mark.parametrize("way", [cv2.INTER_LINEAR, cv2.INTER_AREA, cv2.INTER_CUBIC])
def test_resized(factor, way):
    pictures = [scene(seed) for seed in range(6)]
    copies = [cv2.resize(picture, None, fx=factor, fy=factor, interpolation=way) for picture in pictures]
    assert alike(pictures, copies) == [0, 1, 2, 3, 4, 5]


def test_a_fly_of_8_pixels_that_moves_is_seen_closely_and_its_copies_are_found(tmp_path):
    background = cv2.resize(scene(0), (640, 480)).astype(float)
    for number in range(6):
        frame = background + np.random.default_rng(number).normal(0, 3, background.shape)
        frame = np.clip(frame, 0, 255).astype(np.uint8)
        frame = cv2.circle(frame, (80 + 90 * number, 100 + 50 * number), 4, (30, 30, 30), -1)
        cv2.imwrite(str(tmp_path / f"{number}.png"), frame)
        cv2.imwrite(str(tmp_path / f"{number}.jpg"), frame, [cv2.IMWRITE_JPEG_QUALITY, 60])
        small = cv2.resize(frame, None, fx=0.7, fy=0.7)
        cv2.imwrite(str(tmp_path / f"{number}_small.jpg"), small)
    names = [f"{tmp_path}/{number}" for number in range(6)]
    pairs = [(f"{first}.png", f"{second}.jpg") for first in names for second in names]
    assert [look_same(*pair) for pair in pairs] == [first[:-4] == second[:-4] for first, second in pairs]
    assert all(look_same(f"{name}.png", f"{name}_small.jpg") for name in names)


def test_the_nearest_one_is_named():
    frames = [scene(0), np.clip(scene(0).astype(int) + 1, 0, 255).astype(np.uint8)]
    assert alike(frames, frames) == [0, 1] and alike(frames[::-1], frames) == [1, 0]


def test_other_pictures_are_not_alike():
    assert set(alike([scene(seed) for seed in range(20)], [scene(seed) for seed in range(20, 60)])) == {-1}


def test_a_fixed_camera_and_an_animal_that_moves():
    frames = [with_animal(seed, place) for seed, place in enumerate(range(0, 280, 20))]
    assert alike(frames[3:4], frames) == [0 if number == 3 else -1 for number in range(len(frames))]
    still = [with_animal(50 + seed, 60) for seed in range(3)]  # it sits where it sat: only the noise is another
    assert alike(frames[3:4], still) == [0, 0, 0]


def test_dark_pictures_are_told_apart_and_black_ones_are_not_compared():
    dark = [(scene(seed) // 8).astype(np.uint8) for seed in range(3)]
    assert alike(dark, dark) == [0, 1, 2]
    black = np.zeros((1, SIDE, SIDE), np.uint8)
    assert is_plain(black).tolist() == [True] and find_alike(black, black).tolist() == [-1]


def test_the_same_as_the_slow_loop():
    pictures = np.stack([small_copy(with_animal(n, 3 * n)) for n in range(12)] + [small_copy(scene(n)) for n in (1, 2)])
    found = find_alike(pictures[::2], pictures)
    for number, other in enumerate(pictures.astype(int)):
        same = []
        for held in pictures[::2].astype(int):
            contrast, difference = np.ptp(held), np.abs(other - held)
            most, spread = difference.max(), np.sqrt((difference**2).mean())
            small = most <= max(thumbnails.NOISE * contrast, 2)
            even = most <= min(thumbnails.LOCAL * spread, thumbnails.MOST * contrast)
            same.append((small or even) and difference.mean() <= thumbnails.MEAN * contrast)
        assert (found[number] >= 0) == any(same), number


@pytest.fixture
def files(tmp_path) -> list[str]:
    names = ["a.jpg", "b.png", "c.jpg"]
    for seed, name in enumerate(names):
        cv2.imwrite(str(tmp_path / name), scene(seed, (900, 700))[..., ::-1])
    (tmp_path / "bad.jpg").write_bytes(b"\xff\xd8\xff nothing")
    return [str(tmp_path / name) for name in (*names, "bad.jpg", "missing.png")]


def test_files_are_read_at_reduced_size_and_bad_ones_are_zero(files):
    found = read_thumbnails(files, "")
    exact = [small_copy(scene(seed, (900, 700))) for seed in range(3)]
    assert np.abs(found[:3].astype(int) - exact).max() < 12
    assert not found[3:].any() and found.shape == (5, SIDE, SIDE)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_photos_are_compared_upright(tmp_path, orientation):
    picture = Image.fromarray(scene(3, (480, 360)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture.save(tmp_path / "tagged.jpg", exif=exif, quality=90)
    ImageOps.exif_transpose(Image.open(tmp_path / "tagged.jpg")).save(tmp_path / "turned.jpg", quality=90)
    tagged, turned = (read_thumbnails([str(tmp_path / f"{name}.jpg")], "") for name in ("tagged", "turned"))
    assert find_alike(tagged, turned).tolist() == [0] and np.abs(tagged.astype(int) - turned).max() < 16


def test_many_are_kept_until_a_file_changes(files, tmp_path, monkeypatch):
    monkeypatch.setattr(thumbnails, "KEPT_FROM", 3)
    reads, real = [], thumbnails._small_image
    monkeypatch.setattr(thumbnails, "_small_image", lambda path, side: reads.append(path) or real(path, side))
    folder = tmp_path / "cache" / "thumbnails"
    first = read_thumbnails(files[:3], str(folder))
    assert (read_thumbnails(files[:3], str(folder)) == first).all() and len(reads) == 3
    cv2.imwrite(files[1], scene(7, (900, 700)))
    assert (read_thumbnails(files[:3], str(folder))[1] != first[1]).any() and len(reads) == 6
    for kept in folder.iterdir():
        kept.write_bytes(b"half a file")
    assert (read_thumbnails(files[:3], str(folder))[0] == first[0]).all()


def test_a_folder_that_cannot_be_written_costs_only_time(files, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(thumbnails, "KEPT_FROM", 3)
    (tmp_path / "file").write_text("no folder")
    assert read_thumbnails(files[:3], str(tmp_path / "file" / "x")).any()
    assert len([r for r in caplog.records if "not kept" in r.getMessage()]) == 1
