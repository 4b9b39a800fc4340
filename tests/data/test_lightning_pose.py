"""lightning-pose / DeepLabCut CSV reader: values, matching by name, and every way in which a file can be wrong."""

import logging
from dataclasses import replace

import mouse_project as project
import numpy as np
import pytest
from PIL import Image
from refusals import refused
from small_coco import source_of

from semipose.data.formats.lightning_pose import read_lightning_pose
from semipose.data.images import read_image
from semipose.data.sources import read_own
from semipose.errors import DataError
from semipose.skeletons import get_skeleton

COUNT = 3


@pytest.fixture
def root(tmp_path):
    for number in range(COUNT):
        project.write_image(tmp_path / f"labeled-data/f{number}.png", project.picture(number))
    return tmp_path


def read(root, cells, skeleton=project.SKELETON):
    return read_lightning_pose(project.write_csv(root / "labels.csv", cells), str(root), skeleton)


def test_values_boxes_and_paths(root):
    cells = project.rows(COUNT)
    cells[4][3:5] = ["", ""]
    cells[5][1:3] = ["NaN", "nan"]
    persons = read(root, cells)
    expected = np.concatenate([project.points(COUNT), np.ones((COUNT, 3, 1))], axis=2)
    expected[1, 1] = expected[2, 0] = 0
    np.testing.assert_array_equal(persons.keypoints, expected.astype(np.float32))
    assert persons.boxes.tolist() == [[0, 0, project.WIDTH, project.HEIGHT]] * COUNT
    assert persons.areas.tolist() == [project.WIDTH * project.HEIGHT] * COUNT
    assert persons.ids.tolist() == persons.image_ids.tolist() == [1, 2, 3]
    assert [persons.path(row) for row in range(COUNT)] == [f"{root}/labeled-data/f{n}.png" for n in range(COUNT)]


def test_parts_are_matched_by_name(root):
    cells = project.rows(COUNT)
    turned = [row[:1] + row[5:7] + row[1:5] for row in cells]
    np.testing.assert_array_equal(read(root, turned).keypoints, read(root, cells).keypoints)


def test_file_names_in_several_columns_blank_lines_and_a_byte_order_mark(root):
    cells = project.rows(COUNT)
    split = [[row[0], ""] + row[1:] for row in cells[:3]] + [[*row[0].split("/"), *row[1:]] for row in cells[3:]]
    file = project.write_csv(root / "labels.csv", [*split[:4], [], *split[4:]])
    text = (root / "labels.csv").read_text()
    (root / "labels.csv").write_text("\ufeff" + text, encoding="utf-8")
    persons = read_lightning_pose(file, str(root), project.SKELETON)
    assert persons.path(2) == f"{root}/labeled-data/f2.png"
    np.testing.assert_array_equal(persons.keypoints, read(root, cells).keypoints)


@pytest.mark.parametrize(("x", "y", "kept"), [
    (-0.5, -0.5, True), (55.5, 39.5, True), (-0.6, 5, False), (5, -0.6, False), (55.6, 5, False), (5, 39.6, False),
])  # fmt: skip
def test_a_label_outside_its_frame_is_not_used(root, caplog, x, y, kept):
    cells = project.rows(COUNT)
    cells[3][1:3] = [str(x), str(y)]
    with caplog.at_level(logging.WARNING):
        persons = read(root, cells)
    assert persons.keypoints[0, 0].tolist() == ([x, y, 1] if kept else [0, 0, 0])
    assert ("1 labels outside" in caplog.text) is not kept


def change(row, column, value):
    def apply(cells):
        cells[row][column] = value

    return apply


def drop(row):
    return lambda cells: cells.pop(row)


def shorten(row):
    return lambda cells: cells[row].pop()


def for_all(edit):
    return lambda cells: [edit(row) for row in cells]


BROKEN = {
    "no frame": (lambda cells: cells.__delitem__(slice(3, None)), "no labelled frame"),
    "one header row": (lambda cells: cells.__delitem__(slice(1, None)), "1 header rows"),
    "empty": (lambda cells: cells.clear(), "0 header rows"),
    "no header": (drop(0), "line 1: column 1: 'bodyparts'"),
    "several animals without body parts": (
        change(1, slice(None), ["individuals", *["a"] * 6]), "line 3: column 1: 'coords'"
    ),
    "a likelihood": (for_all(lambda row: row.append("likelihood")), "line 3: coords"),
    "no x at all": (change(2, slice(1, None), ["u"] * 6), "line 2: bodyparts: 'nose'"),
    "x twice": (change(2, 2, "x"), "line 2: bodyparts: 'nose'"),
    "another coordinate": (change(2, 2, "z"), "line 3: coords: column 3: 'z'"),
    "x and y of two parts": (change(1, 2, "paw"), "line 2: bodyparts"),
    "unknown part": (change(1, slice(1, 3), ["ear"] * 2), "line 2: bodyparts: 'ear'"),
    "missing part": (for_all(lambda row: row.__delitem__(slice(5, 7))), "line 2: bodyparts: 'tail'"),
    "part twice": (change(1, slice(1, 3), ["paw"] * 2), "line 2: bodyparts: 'paw'"),
    "short rows only": (for_all(lambda row: row[0].endswith("png") and row.pop()), "line 4: has 6 columns"),
    "short row": (shorten(4), "line 5: has 6 columns"),
    "no number": (change(4, 4, "12px"), "line 5: column 5 (paw y): '12px'"),
    "infinite": (change(4, 1, "inf"), "line 5: column 2 (nose x): 'inf'"),
    "only x": (change(5, 6, ""), "line 6: column 7 (tail y): ''"),
    "frame twice": (change(5, 0, "labeled-data/f0.png"), "line 6: column 1: 'labeled-data/f0.png'"),
    "leaves the root": (change(4, 0, "../labels.csv"), "line 5: file_name: '../labels.csv'"),
    "absolute": (change(3, 0, "/etc/passwd"), "line 4: file_name: '/etc/passwd'"),
    "no name": (change(3, 0, ""), "line 4: file_name"),
    "numbers of video frames": (
        lambda cells: [row.__setitem__(0, str(n)) for n, row in enumerate(cells[3:])], "numbers of video frames"
    ),
    "missing image": (change(3, 0, "labeled-data/none.png"), "labels.csv"),
    "no image": (change(3, 0, "labels.csv"), "labels.csv"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_refused_in_one_line(root, name):
    edit, message = BROKEN[name]
    cells = project.rows(COUNT)
    edit(cells)
    refused(lambda: read(root, cells), str(root), message)


def test_links_out_of_the_root_are_refused(root, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "secret.png"
    project.write_image(outside, project.picture(0))
    (root / "labeled-data/f1.png").unlink()
    (root / "labeled-data/f1.png").symlink_to(outside)
    with pytest.raises(DataError, match="line 5.*file_name"):
        read(root, project.rows(COUNT))


@pytest.mark.parametrize("content", [b"\xff\xfe\x00x", b"scorer,a\x00b\n", b"\x89PNG\r\n\x1a\n" + bytes(100)])
def test_a_file_that_is_no_text_is_refused(tmp_path, content):
    (tmp_path / "labels.csv").write_bytes(content)
    with pytest.raises(DataError, match="labels.csv"):
        read_lightning_pose(str(tmp_path / "labels.csv"), str(tmp_path), project.SKELETON)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match="none.csv"):
        read_lightning_pose(str(tmp_path / "none.csv"), str(tmp_path), project.SKELETON)


def test_the_mouse_has_no_mirror_image():
    mouse = get_skeleton("mirror_mouse")
    assert len(mouse) == 17 and mouse.swaps == () and mouse.flip_order == list(range(17))
    assert [name[-3:] for name in mouse.keypoints] == ["top"] * 8 + ["bot"] * 9


@pytest.mark.parametrize("beyond", [False, True])
def test_frames_that_are_turned_by_their_orientation(tmp_path, caplog, beyond):
    """A point below the stored picture tells that the labels are for the turned one; else the log asks."""
    frame = project.picture(0)
    (tmp_path / "labeled-data").mkdir()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(frame).save(tmp_path / "labeled-data/f0.png", exif=exif)
    cells = project.rows(1)
    cells[3][1:3] = ["4", str(project.HEIGHT + 5 if beyond else 7)]
    project.write_csv(tmp_path / "labels.csv", cells)
    source = source_of(tmp_path, annotation="labels.csv", skeleton=project.SKELETON, format="lightning_pose")
    persons = read_own(source)
    width, height = (project.HEIGHT, project.WIDTH) if beyond else (project.WIDTH, project.HEIGHT)
    assert persons.boxes.tolist() == [[0, 0, width, height]] and persons.keypoints[0, 0, 2] == 1
    assert persons.image_orientations.tolist() == [6 if beyond else 1] and "such as" in caplog.text
    persons = read_own(replace(source, exif="upright"))
    assert persons.boxes.tolist() == [[0, 0, project.HEIGHT, project.WIDTH]]
    assert read_image(persons.path(0), reading=persons.reading(0)).shape == (project.WIDTH, project.HEIGHT, 3)
