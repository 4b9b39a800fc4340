"""Groups of pictures of one scene, on drawn ones."""

import cv2
import numpy as np
import pytest
from PIL import Image
from refusals import refused

from semipose.data.scenes import ALIKE, join_alike, scene_groups, signature


def scene(seed: int, person: int = 0, shift: int = 0, color: bool = True) -> np.ndarray:
    """(120, 160, 3) uint8: patches of a few colours, with a dark person at another place for each `person`."""
    random = np.random.default_rng(seed)
    palette = random.integers(0, 255, (4, 3)) if color else np.array([[10], [90], [170], [250]]).repeat(3, axis=1)
    patches = palette[random.integers(0, 4, (5, 6))].astype(np.uint8)
    image = cv2.resize(patches, (200, 160), interpolation=cv2.INTER_LINEAR)[20:140, 20 + shift : 180 + shift].copy()
    x = 30 + 25 * person
    image[40:90, x : x + 10] = 20
    return image


@pytest.mark.parametrize("color", [True, False])
def test_bursts_are_joined_and_scenes_are_not(color):
    pictures = [scene(seed, person, person, color) for seed in range(8) for person in range(3)]
    groups = join_alike(np.stack([signature(picture) for picture in pictures]), ALIKE)
    assert groups.tolist() == np.repeat(np.arange(8), 3).tolist()


def test_one_is_joined_through_another():
    angles = np.radians([0, 40, 80, 180])
    directions = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    assert join_alike(directions, 0.7).tolist() == [0, 0, 0, 1]
    assert join_alike(directions, 0.8).tolist() == [0, 1, 2, 3]


def test_more_pictures_than_are_compared_at_a_time():
    directions = np.eye(3, dtype=np.float32)[np.arange(2500) % 3]
    assert join_alike(directions, 0.7).tolist() == (np.arange(2500) % 3).tolist()


def test_product_is_one_with_itself_less_if_grey_and_plain_pictures_resemble_nothing():
    itself = [float(s @ s) for s in (signature(scene(1)), signature(scene(1, color=False)))]
    assert itself == pytest.approx([1, 0.85], abs=1e-3)
    plain = signature(np.full((50, 60, 3), 90, np.uint8))
    assert plain @ plain < ALIKE


def test_files_of_any_size(tmp_path):
    paths = [str(tmp_path / f"{name}.{kind}") for name, kind in (("a", "jpg"), ("b", "png"), ("c", "jpg"))]
    for path, image, factor in zip(paths, (scene(1), scene(1), scene(2)), (5, 1, 0.5)):
        Image.fromarray(cv2.resize(image, None, fx=factor, fy=factor)).save(path)
    assert scene_groups(paths).tolist() == [0, 0, 1]
    assert len(scene_groups([])) == 0
    (tmp_path / "b.png").write_bytes(b"x")
    refused(lambda: scene_groups(paths), "b.png")
