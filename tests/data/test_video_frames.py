"""Frames of a video: comparison with pictures, neighbours, extraction."""

import mouse_project as project
import numpy as np
import pytest

from semipose.data.images import read_image
from semipose.data.video_frames import near_frames, picture_distances, thumbnail, video_distances, write_frames
from semipose.errors import DataError

FRAMES = 9


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    path = tmp_path_factory.mktemp("video") / "day.avi"
    return project.write_video(path, [project.picture(number) for number in range(FRAMES)])


def test_distances_equal_the_slow_loop():
    pictures, others = (np.random.default_rng(n).uniform(0, 255, (n + 2, 64, 64)) for n in (0, 1))
    found = picture_distances(pictures, others)
    assert found.shape == (2, 3)
    for a in range(2):
        for b in range(3):
            assert found[a, b] == pytest.approx(np.mean(np.abs(pictures[a] - others[b])))


def test_the_frame_that_a_picture_shows_is_by_far_the_nearest(video):
    shown = [6, 2]
    thumbnails = np.stack([thumbnail(project.picture(number)[..., ::-1]) for number in shown])
    distances = video_distances(video, thumbnails)
    assert distances.shape == (FRAMES, 2)
    assert distances.argmin(axis=0).tolist() == shown
    assert np.sort(distances, axis=0)[0].max() < 3 < 15 < np.sort(distances, axis=0)[1].min()


def test_neighbours_on_both_sides_and_at_the_ends():
    same = np.zeros(12, bool)
    same[[1, 7]] = True
    assert np.flatnonzero(near_frames(same, 2)).tolist() == [0, 1, 2, 3, 5, 6, 7, 8, 9]
    assert np.flatnonzero(near_frames(same, 0)).tolist() == [1, 7]
    assert not near_frames(np.zeros(4, bool), 3).any()


def test_wanted_frames_are_written_under_their_number(video, tmp_path):
    wanted = np.zeros(FRAMES, bool)
    wanted[[0, 4, 8]] = True
    frames = write_frames(video, wanted, str(tmp_path / "out"))
    names, size = frames.names, frames.size
    assert names == sorted(p.name for p in (tmp_path / "out").iterdir()) == ["000000.png", "000004.png", "000008.png"]
    assert size == (project.WIDTH, project.HEIGHT)
    for name in names:
        stored = read_image(str(tmp_path / "out" / name)).astype(float)
        original = project.picture(int(name[:6]))[..., ::-1]
        assert np.abs(stored - original).mean() < 8  # the video is compressed


@pytest.mark.parametrize("content", [None, b"", b"no video at all"])
def test_a_file_that_is_no_video_is_named(tmp_path, content):
    path = tmp_path / "day.avi"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match="day.avi: (is not a video|video does not exist)"):
        video_distances(str(path), np.zeros((1, 64, 64)))


def test_a_damaged_frame_is_passed_over_and_keeps_its_number(video, tmp_path):
    bad = project.damage_frame(video, 3, tmp_path / "bad.avi")
    frames = write_frames(bad, np.ones(FRAMES, bool), str(tmp_path / "out"))
    assert frames.names == [f"{number:06d}.png" for number in range(FRAMES) if number != 3]
    assert (frames.read, frames.total) == (FRAMES - 1, FRAMES)
    assert frames.thumbnails.shape == (FRAMES, 32, 32) and not frames.thumbnails[3].any()
    last = read_image(str(tmp_path / "out" / frames.names[-1])).astype(float)
    assert np.abs(last - project.picture(FRAMES - 1)[..., ::-1]).mean() < 8
    thumbnails = np.stack([thumbnail(project.picture(6)[..., ::-1])])
    distances = video_distances(bad, thumbnails)[:, 0]
    assert distances.argmin() == 6 and np.isinf(distances[3])


def test_a_first_frame_that_is_damaged_is_no_end(video, tmp_path):
    frames = write_frames(project.damage_frame(video, 0, tmp_path / "bad.avi"), np.ones(FRAMES, bool), str(tmp_path))
    assert frames.names[0] == "000001.png" and (frames.read, frames.total) == (FRAMES - 1, FRAMES)
