"""Folder reader: every image once, whole frames, bad files left out."""

import numpy as np
import pytest
from PIL import Image

from semipose.data.formats import read_folder
from semipose.data.formats.folder import linked_folders
from semipose.data.formats.image_list import links_to
from semipose.errors import DataError


def save(path, width, height):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((height, width, 3), np.uint8)).save(path)


def test_all_images_below_the_folder_in_order(tmp_path):
    save(tmp_path / "b.png", 30, 20)
    save(tmp_path / "a/deep/z.JPG", 8, 6)
    save(tmp_path / "c.tif", 5, 7)
    save(tmp_path / ".hidden/d.png", 5, 7)
    save(tmp_path / "._b.png", 5, 7)
    (tmp_path / "notes.txt").write_text("x")
    persons = read_folder(str(tmp_path), 4)
    assert [persons.path(row)[len(str(tmp_path)) + 1 :] for row in range(3)] == ["a/deep/z.JPG", "b.png", "c.tif"]
    assert persons.boxes.tolist() == [[0, 0, 8, 6], [0, 0, 30, 20], [0, 0, 5, 7]]
    assert persons.keypoints.shape == (3, 4, 3) and not persons.keypoints.any()
    assert persons.ids.tolist() == persons.image_ids.tolist() == [1, 2, 3]
    assert persons.areas.tolist() == pytest.approx([0.53 * 48, 0.53 * 600, 0.53 * 35])
    assert persons.boxes.dtype == np.float32 and persons.ids.dtype == np.int64


def test_pictures_that_skeletons_were_drawn_into_are_left_out(tmp_path):
    for name in ("a.png", "next/b.png", "next/chosen.overlay/b.png", "found/set.overlay/in/a.png.png"):
        save(tmp_path / name, 8, 6)
    persons = read_folder(str(tmp_path), 1)
    assert [persons.path(row)[len(str(tmp_path)) + 1 :] for row in range(len(persons))] == ["a.png", "next/b.png"]


def test_unreadable_files_are_left_out_and_logged(tmp_path, caplog):
    save(tmp_path / "good.png", 30, 20)
    for number in range(7):
        (tmp_path / f"bad{number}.jpg").write_text("not an image")
    assert len(read_folder(str(tmp_path), 1)) == 1
    assert "bad0.jpg: is not an image" in caplog.text
    assert "bad6" not in caplog.text and "left out 7 unreadable images in all" in caplog.text


@pytest.mark.parametrize(("name", "reason"), [("absent", "does not exist"), (".", "no readable image")])
def test_folder_without_images(tmp_path, name, reason):
    (tmp_path / "bad.jpg").write_text("not an image")
    with pytest.raises(DataError, match=reason):
        read_folder(str(tmp_path / name), 1)


def test_links_to_folders_are_counted(tmp_path, draw_image, caplog):
    draw_image(tmp_path / "pool/a.png")
    draw_image(tmp_path / "store/b.png")
    (tmp_path / "pool/more").symlink_to(tmp_path / "store")
    assert len(read_folder(str(tmp_path / "pool"), 3)) == 1
    lines = [record.getMessage() for record in caplog.records if "links to folders" in record.getMessage()]
    assert len(lines) == 1 and f"left out 1 links to folders: {tmp_path}/pool/more" in lines[0]


def test_links_into_a_named_folder_are_entered_once(tmp_path, draw_image, caplog):
    draw_image(tmp_path / "pool/a.png")
    draw_image(tmp_path / "store/sub/b.png")
    (tmp_path / "store/sub/loop").symlink_to(tmp_path / "store/sub")
    (tmp_path / "pool/more").symlink_to(tmp_path / "store/sub")
    (tmp_path / "pool/other").symlink_to(tmp_path)
    with links_to([str(tmp_path / "store")]):
        persons = read_folder(str(tmp_path / "pool"), 3)
        assert linked_folders(str(tmp_path / "pool")) == [f"{tmp_path}/pool/more/loop", f"{tmp_path}/pool/other"]
    assert [path[len(str(tmp_path)) :] for path in persons.image_paths] == ["/pool/a.png", "/pool/more/b.png"]


def test_videos_among_the_images_are_counted(tmp_path, caplog):
    save(tmp_path / "a.png", 8, 6)
    for name in ("v.mp4", "w.AVI"):
        (tmp_path / name).write_bytes(b"video")
    assert len(read_folder(str(tmp_path), 1)) == 1
    assert "2 videos" in caplog.text and "v.mp4" in caplog.text and "w.AVI" in caplog.text
