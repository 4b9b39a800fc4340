"""Little pictures and the persons on them, made on the fly."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from semipose.structures import Persons

JOINTS = 3


def _draw_image(path: Path, size: tuple[int, int] = (60, 44), seed: int = 0) -> Path:
    """A smooth picture of random colours, (width, height) `size`."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    data = cv2.imencode(path.suffix, cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC))[1]
    path.write_bytes(data.tobytes())
    return path


def _make_persons(rows: list[tuple], keypoints: np.ndarray | None = None) -> Persons:
    """Persons of `rows` (image path, box xywh); random keypoints in the boxes, about a quarter of them unlabelled."""
    paths = list(dict.fromkeys(str(path) for path, _ in rows))
    boxes = np.array([box for _, box in rows], dtype=np.float32).reshape(-1, 4)
    if keypoints is None:
        rng = np.random.default_rng(len(rows))
        xy = boxes[:, None, :2] + rng.uniform(size=(len(rows), JOINTS, 2)) * boxes[:, None, 2:]
        keypoints = np.concatenate([xy, rng.uniform(size=(len(rows), JOINTS, 1)) < 0.75], axis=2)
    return Persons(
        image_paths=np.array(paths, str),
        image_ids=np.arange(len(paths)) + 100,
        image_index=np.array([paths.index(str(path)) for path, _ in rows], np.int32),
        ids=np.arange(len(rows)) + 1000,
        boxes=boxes,
        keypoints=np.asarray(keypoints, np.float32),
        areas=boxes[:, 2] * boxes[:, 3],
        scores=np.ones(len(rows), np.float32),
    )


@pytest.fixture
def draw_image():
    return _draw_image


@pytest.fixture
def make_persons():
    return _make_persons


@pytest.fixture
def people(tmp_path) -> Persons:
    """Nine persons on five pictures (PNG and JPEG); the persons of a picture do not follow each other."""
    files = ["a.png", "b.jpg", "c.png", "sub/d.jpg", "e.png"]
    paths = [_draw_image(tmp_path / "images" / name, seed=seed) for seed, name in enumerate(files)]
    rng = np.random.default_rng(9)
    rows = []
    for picture in (2, 0, 1, 0, 3, 4, 2, 0, 3):
        corner, extent = rng.uniform(0, 25, 2), rng.uniform(9, 19, 2)
        rows.append((paths[picture], (*corner, *extent)))
    return _make_persons(rows)
