"""What a SOURCE stands for, and what is refused in one line."""

import os
import zipfile
from pathlib import Path

import pytest
from PIL import Image
from refusals import refused
from small_videos import write_video
from untrained_run import picture

from semipose.predict.sources import find_sources


def save(*paths: Path) -> None:
    for number, path in enumerate(paths):
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(number, (9, 8))).save(path)


def names(source) -> list[str]:
    return [frame.name for frame in source.frames()]


def test_a_folder_with_pictures_and_videos(tmp_path):
    save(tmp_path / "set/b.png", tmp_path / "set/in/a.jpg", tmp_path / "set/.hidden/c.png")
    write_video(tmp_path / "set/in/walk.mp4", 3)
    (tmp_path / "set/notes.md").write_text("no picture")
    pictures, video = find_sources([str(tmp_path / "set")])
    assert pictures.title == "set" and names(pictures) == ["b.png", "in/a.jpg"] and pictures.total == 2
    assert video.title == "walk" and names(video) == ["0", "1", "2"]


def test_a_broken_video_in_a_folder_does_not_cost_the_others(tmp_path, caplog):
    save(tmp_path / "set/a.png")
    write_video(tmp_path / "set/walk.mp4", 3)
    (tmp_path / "set/broken.mp4").write_bytes(b"no video")
    (tmp_path / "set/page.ts").write_text("let it: be")  # TypeScript has an ending of videos
    assert [source.title for source in find_sources([str(tmp_path / "set")])] == ["set", "walk"]
    assert [record.message.split(": ")[0] for record in caplog.records] == ["left out"] * 2
    assert "broken.mp4" in caplog.text and "page.ts" in caplog.text
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad/broken.mp4").write_bytes(b"no video")
    refused(lambda: find_sources([str(tmp_path / "bad")]), "broken.mp4")


def test_overlays_in_a_folder_are_not_predicted_again(tmp_path):
    save(tmp_path / "set/a.png", tmp_path / "set/set.overlay/a.png.png", tmp_path / "set/set.overlay/in/b.png.png")
    write_video(tmp_path / "set/walk.mp4", 3)
    write_video(tmp_path / "set/walk.overlay.mp4", 3)
    pictures, video = find_sources([str(tmp_path / "set")])
    assert names(pictures) == ["a.png"] and video.title == "walk"
    (asked,) = find_sources([str(tmp_path / "set/set.overlay")])
    assert names(asked) == ["a.png.png", "in/b.png.png"]


def test_single_pictures_patterns_and_lists_are_one_source(tmp_path, monkeypatch):
    save(tmp_path / "a/1.png", tmp_path / "a/2.png", tmp_path / "b/3.png")
    (tmp_path / "list.txt").write_text("# two of them\nb/3.png\n\na/1.png\n")
    found = find_sources([str(tmp_path / "a/2.png"), str(tmp_path / "list.txt"), str(tmp_path / "a/*.png")])
    assert len(found) == 1 and found[0].title == "pictures"
    assert names(found[0]) == ["a/2.png", "b/3.png", "a/1.png"]
    monkeypatch.chdir(tmp_path / "a")
    (alone,) = find_sources(["1.png"])
    assert alone.title == "1" and names(alone) == ["1.png"]
    (deep,) = find_sources([str(tmp_path / "**/*.png")])
    assert names(deep) == ["a/1.png", "a/2.png", "b/3.png"]


def test_a_zip_archive(tmp_path):
    save(tmp_path / "in/1.png")
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        archive.write(tmp_path / "in/1.png", "deep/1.png")
        archive.writestr("readme.txt", "no picture")
    (source,) = find_sources([str(tmp_path / "set.zip")])
    assert source.title == "set" and names(source) == ["deep/1.png"]
    assert next(source.frames()).image.shape == (8, 9, 3)


def test_no_two_sources_write_the_same_files(tmp_path):
    save(tmp_path / "x/set/1.png", tmp_path / "y/set/1.png", tmp_path / "z/SET/1.png", tmp_path / "set_2/1.png")
    folders = [tmp_path / "x/set", tmp_path / "y/set", tmp_path / "z/SET", tmp_path / "set_2"]
    for order in (folders, folders[::-1]):
        titles = [source.title for source in find_sources(list(map(str, order)))]
        assert len({title.casefold() for title in titles}) == 4 and titles[0] == order[0].name


def test_ten_thousand_names(tmp_path):
    save(tmp_path / "one.png")
    (tmp_path / "many").mkdir()
    for number in range(10_000):
        os.link(tmp_path / "one.png", tmp_path / f"many/{number:05d}.png")
    (source,) = find_sources([str(tmp_path / "many")])
    assert source.total == 10_000 and source.names[4321] == "04321.png"


def test_what_is_not_there_is_named(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "none.txt").write_text("# nothing\n")
    (tmp_path / "loop.txt").write_text("loop.txt\n")
    (tmp_path / "text.md").write_text("hello")
    with zipfile.ZipFile(tmp_path / "empty.zip", "w"):
        pass
    (tmp_path / "bad.zip").write_bytes(b"PK")
    for name in ("empty", "none.txt", "loop.txt", "text.md", "empty.zip", "bad.zip", "gone.png", "*.png"):
        refused(lambda name=name: find_sources([str(tmp_path / name)]), name)
    refused(lambda: find_sources(["97"]), "camera 97")


def test_a_broken_picture_is_a_frame_with_a_fault(tmp_path):
    save(tmp_path / "1.png", tmp_path / "2.png")
    (tmp_path / "1.png").write_bytes(b"hello")
    first, second = next(iter(find_sources([str(tmp_path)]))).frames()
    assert first.image is None and "1.png" in first.fault and second.image is not None


@pytest.mark.parametrize("word", ["0", "12"])
def test_a_file_named_like_a_camera_is_a_file(tmp_path, monkeypatch, word):
    monkeypatch.chdir(tmp_path)
    save(tmp_path / word / "1.png")
    assert find_sources([word])[0].title == word
