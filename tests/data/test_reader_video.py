"""Video reader: whole frames from image files that are written once, also after an interruption or by two processes."""

import json
import os
import threading
from pathlib import Path

import mouse_project as project
import numpy as np
import pytest

from semipose.data.formats import video as reader
from semipose.data.formats.video import frame_numbers, read_video, video_thumbnails
from semipose.data.images import read_image
from semipose.errors import DataError, NoSpaceError

FRAMES = 10


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("video") / "a day.avi"
    return project.write_video(path, [project.picture(number) for number in range(FRAMES)])


@pytest.fixture
def extractions(monkeypatch) -> list[str]:
    """The folders that frames are written to from now on."""
    calls, write = [], reader.write_frames

    def counted(video, wanted, folder):
        calls.append(folder)
        return write(video, wanted, folder)

    monkeypatch.setattr(reader, "write_frames", counted)
    return calls


def numbers(persons) -> list[int]:
    return [int(Path(path).stem) for path in persons.image_paths]


@pytest.mark.parametrize(
    ("options", "expected"), [({}, range(FRAMES)), ({"every": 4}, [0, 4, 8]), ({"every": 99}, [0])]
)
def test_frames_become_whole_images(source, tmp_path, options, expected):
    persons = read_video(source, 5, str(tmp_path / "cache"), **options)
    assert numbers(persons) == list(expected)
    assert persons.keypoints.shape == (len(expected), 5, 3) and not persons.keypoints.any()
    assert persons.boxes.tolist() == [[0, 0, project.WIDTH, project.HEIGHT]] * len(expected)
    assert persons.image_ids.tolist() == persons.ids.tolist() == list(range(1, len(expected) + 1))
    for row, number in enumerate(expected):
        shown = project.picture(number)[..., ::-1]
        assert np.abs(read_image(persons.path(row)).astype(float) - shown).mean() < 8  # the video is compressed


def test_frames_are_written_once_for_each_choice(source, tmp_path, extractions):
    first = read_video(source, 3, str(tmp_path), every=4)
    assert read_video(source, 3, str(tmp_path), every=4).image_paths.tolist() == first.image_paths.tolist()
    assert len(extractions) == 1 and os.path.basename(extractions[0]).startswith("a day-")
    read_video(source, 3, str(tmp_path), every=5)
    assert len(set(extractions)) == 2


def test_another_video_of_the_same_name_is_extracted_anew(tmp_path, extractions):
    path = tmp_path / "day.avi"
    for seed in (0, 50):
        project.write_video(path, [project.picture(seed)])
        os.utime(path, (seed, seed))
        persons = read_video(str(path), 3, str(tmp_path / "cache"))
        assert np.abs(read_image(persons.path(0)).astype(float) - project.picture(seed)[..., ::-1]).mean() < 8
    os.utime(path, (99, 99))
    read_video(str(path), 3, str(tmp_path / "cache"))
    assert len(set(extractions)) == 3


@pytest.mark.parametrize("damage", ["no index", "half an index", "another index", "a frame has gone"])
def test_an_incomplete_extraction_starts_anew(source, tmp_path, extractions, damage):
    whole = read_video(source, 3, str(tmp_path))
    index = Path(extractions[0]) / "index.json"
    if damage == "no index":
        index.unlink()
    elif damage == "a frame has gone":
        Path(whole.path(4)).unlink()
    else:
        index.write_text('{"frames": ["000' if damage == "half an index" else json.dumps([1]))
    again = read_video(source, 3, str(tmp_path))
    assert len(extractions) == 2 and again.image_paths.tolist() == whole.image_paths.tolist()
    assert all(map(os.path.isfile, again.image_paths))


def test_the_index_is_written_last(source, tmp_path, monkeypatch):
    def stopped(video, wanted, folder):
        Path(folder, "000000.png").write_bytes(b"x")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(reader, "write_frames", stopped)
        with pytest.raises(KeyboardInterrupt):
            read_video(source, 3, str(tmp_path))
    persons = read_video(source, 3, str(tmp_path))
    assert len(persons) == FRAMES and read_image(persons.path(0)).shape == (project.HEIGHT, project.WIDTH, 3)


def test_one_extracts_and_the_others_wait(source, tmp_path, monkeypatch):
    calls, write, started, go = [], reader.write_frames, threading.Event(), threading.Event()

    def slow(video, wanted, folder):
        calls.append(folder)
        started.set()
        assert go.wait(30)
        return write(video, wanted, folder)

    monkeypatch.setattr(reader, "write_frames", slow)
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(len(read_video(source, 3, str(tmp_path))))) for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    assert started.wait(30)
    go.set()
    for thread in threads:
        thread.join(60)
    assert found == [FRAMES] * 3 and len(calls) == 1


@pytest.mark.parametrize("content", [None, b"", b"no video at all"])
def test_a_file_that_is_no_video_is_named(tmp_path, content):
    path = tmp_path / "caf\u00e9.avi"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match="caf\u00e9.avi: (is not a video|video does not exist)"):
        read_video(str(path), 3, str(tmp_path / "cache"))
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("every", [0, 10**9])
def test_wrong_choices(source, tmp_path, every):
    with pytest.raises(DataError, match=f"day.avi.*{every}"):
        read_video(source, 3, str(tmp_path), every=every)


def test_a_full_disk_is_told(source, tmp_path, monkeypatch):
    def full(video, wanted, folder):
        raise OSError(28, "No space left on device", folder)

    monkeypatch.setattr(reader, "write_frames", full)
    with pytest.raises(NoSpaceError, match="a day-.*: cannot write: No space left"):
        read_video(source, 3, str(tmp_path))


def test_frames_that_are_lost_are_counted_in_each_run(source, tmp_path, caplog):
    bad = project.damage_frame(source, 4, tmp_path / "bad.avi")
    for _ in range(2):  # the second time from the cache
        caplog.clear()
        persons = read_video(bad, 3, str(tmp_path / "cache"))
        assert numbers(persons) == [0, 1, 2, 3, 5, 6, 7, 8, 9]
        lines = [record.getMessage() for record in caplog.records if "damaged" in record.getMessage()]
        assert len(lines) == 1 and bad in lines[0] and "9 of 10 frames" in lines[0]
    assert video_thumbnails(persons.path(0)).shape == (10, 32, 32)
    assert frame_numbers(persons.image_paths).tolist() == numbers(persons)


def test_a_video_without_a_frame_that_is_taken(source, tmp_path):
    with pytest.raises(DataError, match="bad.avi.*every.*99"):
        read_video(project.damage_frame(source, 0, tmp_path / "bad.avi"), 3, str(tmp_path / "cache"), every=99)
