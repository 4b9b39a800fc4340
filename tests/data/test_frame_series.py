"""Neighbours in time: frames of videos, and nothing else."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from semipose.data.formats.video import read_video
from semipose.data.frame_series import time_neighbours

BOX = (0, 0, 60, 44)


def scene(seed: int) -> np.ndarray:
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 40, 3), dtype=np.uint8)
    return cv2.resize(coarse, (480, 44), interpolation=cv2.INTER_CUBIC)


def film(folder: Path, numbers, seed: int = 0, name: str = "{:06d}.png") -> list[Path]:
    """Frames of a camera that moves along a scene, three pixels from number to number."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / name.format(number) for number in numbers]
    for path, number in zip(paths, numbers):
        cv2.imwrite(str(path), scene(seed)[:, 3 * number : 3 * number + 60])
    return paths


@pytest.fixture
def neighbours(make_persons, tmp_path):
    def run(paths, gap=5, boxes=None):
        boxes = boxes or [BOX] * len(paths)
        return time_neighbours(make_persons(list(zip(paths, boxes))), gap, str(tmp_path / "thumbnails")).tolist()

    return run


def chain(count: int) -> list[list[int]]:
    return [[row - 1, row + 1 if row + 1 < count else -1] for row in range(count)]


@pytest.mark.parametrize("name", ["{:06d}.png", "img{}.png", "cam1_frame{:03d}_side.png"])
def test_numbered_frames_follow_one_another(neighbours, tmp_path, name):
    paths = film(tmp_path / "a", range(0, 60, 2), name=name)
    assert neighbours(paths) == chain(30)
    shuffled = [paths[row] for row in (2, 0, 1)] + paths[3:]
    assert neighbours(shuffled)[:3] == [[2, 3], [-1, 2], [1, 0]]


def test_neighbours_are_one_sampling_step_apart_and_not_too_far(neighbours, tmp_path):
    paths = film(tmp_path / "a", [0, 2, 4, 8, 10, 11, 12, 14])
    assert neighbours(paths) == [[-1, 1], [0, 2], [1, -1], [-1, 4], [3, 6], [-1, -1], [4, 7], [6, -1]]
    assert neighbours(paths, gap=1) == [[-1, -1]] * 8


def test_loose_pictures_and_the_sides_of_a_cut_have_no_neighbours(neighbours, tmp_path, draw_image):
    loose = [draw_image(tmp_path / f"loose/{row:06d}.png", seed=row) for row in range(20)]
    named = [draw_image(tmp_path / "named/a.png", seed=50), draw_image(tmp_path / "named/b.png", seed=50)]
    paths = film(tmp_path / "film", range(15)) + film(tmp_path / "film", range(15, 30), seed=1)
    found = neighbours([*loose, *paths, *named])
    assert found[:20] == [[-1, -1]] * 20 and found[50:] == [[-1, -1]] * 2
    expected = [[20 + place if place >= 0 else -1 for place in pair] for pair in chain(30)]
    expected[14][1] = expected[15][0] = -1
    assert found[20:50] == expected


def test_a_still_picture_follows_itself(neighbours, tmp_path, draw_image):
    assert neighbours([draw_image(tmp_path / f"{row}.png", seed=7) for row in range(4)]) == chain(4)


def test_persons_of_one_frame_are_told_apart_by_their_boxes(neighbours, tmp_path):
    """Two persons in other rows of the next frame, where a third appears; nobody is where they were in the frames after
    it."""
    first, second, *others = film(tmp_path / "a", range(12))
    boxes = [(0, 0, 20, 40), (35, 0, 20, 40), (37, 1, 20, 40), (18, 0, 8, 40), (2, 0, 20, 40)] + [(50, 0, 5, 5)] * 10
    found = neighbours([first, first, second, second, second, *others], boxes=boxes)
    assert found[:5] == [[-1, 4], [-1, 2], [1, -1], [-1, -1], [0, -1]]


def test_frames_that_a_video_was_taken_apart_into(make_persons, tmp_path):
    path = tmp_path / "walk.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25, (60, 44))
    for number in range(40):
        writer.write(np.ascontiguousarray(scene(0)[:, 3 * number : 3 * number + 60]))
    writer.release()
    persons = read_video(str(path), 3, str(tmp_path / "frames"), every=2)
    assert time_neighbours(persons, 5, str(tmp_path / "thumbnails")).tolist() == chain(20)
    assert time_neighbours(persons, 1, str(tmp_path / "thumbnails")).max() == -1
