"""DeepLabCut and lightning-pose projects as they lie on a disk: several CSV files, animals, columns and folders."""

import logging

import mouse_project as project
import numpy as np
import pytest
from refusals import refused

from semipose.data.formats.lightning_pose import read_lightning_pose
from semipose.data.formats.pose_project import csv_files

PARTS = project.SKELETON.keypoints
COUNT = 3


def cells(folder: str = "labeled-data/v1/", third: str = "", value: str = "", animals: tuple = ()) -> list[list[str]]:
    """The CSV of three frames; with animals, the points of each are moved by one pixel more."""
    coords = ["x", "y", *([third] if third else [])]
    people, each = animals or ("",), len(PARTS) * len(coords)
    head = [["scorer", *["me"] * each * len(people)]]
    head += [["individuals", *[name for name in people for _ in range(each)]]] if animals else []
    head += [
        ["bodyparts", *[part for _ in people for part in PARTS for _ in coords]],
        ["coords", *coords * 3 * len(people)],
    ]
    frames = []
    for number, points in enumerate(project.points(COUNT)):
        numbers = [[str(x + n), str(y + n), *([value] if third else [])] for n in range(len(people)) for x, y in points]
        frames.append([f"{folder}img{number}.png", *sum(numbers, [])])
    return head + frames


@pytest.fixture
def root(tmp_path):
    """A project with the images of two videos and the labels of the first."""
    for video in ("v1", "v2"):
        for number in range(COUNT):
            project.write_image(tmp_path / f"labeled-data/{video}/img{number}.png", project.picture(number))
    project.write_csv(tmp_path / "labeled-data/v1/CollectedData_me.csv", cells())
    (tmp_path / "config.yaml").write_text("Task: run\nscorer: me\nbodyparts:\n- nose\n")
    return tmp_path


def read(path, root="", **keys):
    return read_lightning_pose(str(path), keys.pop("images", ""), project.SKELETON, str(root), **keys)


@pytest.mark.parametrize("place", ["labeled-data/v1", "labeled-data", ".", "elsewhere/deep/er"])
@pytest.mark.parametrize("crlf", [False, True])
def test_a_csv_is_read_where_it_lies(root, place, crlf):
    file = root / place / "labels.csv"
    project.write_csv(file, cells())
    text = file.read_bytes().replace(b"\r\n", b"\n")
    file.write_bytes(text.replace(b"\n", b"\r\n") if crlf else text)
    persons = read(file, root)
    assert persons.path(1) == str(root / "labeled-data/v1/img1.png")
    np.testing.assert_array_equal(persons.keypoints[..., :2], project.points(COUNT).astype(np.float32))


@pytest.mark.parametrize("folder", ["", "v1/", "labeled-data\\v1\\", "labeled-data/v1/"])
def test_names_begin_at_the_project_or_below_it(root, folder):
    file = project.write_csv(root / "labeled-data/v1/CollectedData_me.csv", cells(folder))
    assert read(file).path(2) == str(root / "labeled-data/v1/img2.png")


def test_names_that_are_nowhere_are_refused_with_the_places(root):
    file = project.write_csv(root / "labeled-data/v1/CollectedData_me.csv", cells("labeled-data/v9/"))
    refused(lambda: read(file), file, "labeled-data/v9/img0.png", f"{root}/labeled-data,", str(root))


def second_video(root, scorer="me"):
    project.write_csv(root / f"labeled-data/v2/CollectedData_{scorer}.csv", cells("labeled-data/v2/"))


@pytest.mark.parametrize("annotation", [".", "labeled-data", "config.yaml"])
def test_a_project_is_all_its_csv_files(root, annotation):
    second_video(root)
    project.write_csv(root / "training-datasets/set/CollectedData_me.csv", cells())  # made of the others
    persons = read(root / annotation)
    assert [path[len(str(root)) :] for path in map(persons.path, range(6))] == [
        f"/labeled-data/{video}/img{number}.png" for video in ("v1", "v2") for number in range(COUNT)
    ]
    assert persons.ids.tolist() == persons.image_ids.tolist() == list(range(1, 7))


def test_the_scorer_of_the_project_chooses_between_files_of_one_video(root):
    project.write_csv(root / "labeled-data/v1/CollectedData_you.csv", cells())
    assert [file.split("_")[-1] for file in csv_files(str(root / "config.yaml"))] == ["me.csv"]
    (root / "config.yaml").unlink()
    refused(lambda: read(root), "CollectedData_you.csv", "CollectedData_me.csv", "img0.png")


def test_lightning_pose_keeps_frames_to_test_on_apart(root):
    for name in ("CollectedData", "CollectedData_new"):
        project.write_csv(root / f"{name}.csv", cells())
    assert csv_files(str(root)) == [str(root / "CollectedData.csv")]


def test_the_h5_of_deeplabcut_is_read_from_the_csv_beside_it(root):
    file = root / "labeled-data/v1/CollectedData_me.h5"
    file.write_bytes(b"\x89HDF\r\n\x1a\n")
    assert len(read(file)) == COUNT
    refused(lambda: read(root / "labeled-data/v1/none.h5"), "none.h5", "none.csv")


def test_a_project_without_labels_is_named(root):
    (root / "labeled-data/v1/CollectedData_me.csv").unlink()
    refused(lambda: read(root / "config.yaml"), f"{root}/config.yaml", "CollectedData")
    refused(lambda: read(root), f"{root}: ", "CollectedData")


@pytest.mark.parametrize(("third", "value", "labelled"), [
    ("visible", "0", 0), ("visible", "0.0", 0), ("visible", "False", 0), ("visible", "1", 1), ("visible", "2", 1),
    ("visible", "", 1), ("likelihood", "0.01", 1), ("likelihood", "", 1),
])  # fmt: skip
def test_a_third_column(root, caplog, third, value, labelled):
    rows = cells(third=third, value=value)
    rows[4][1:3] = ["", "nan"]
    file = project.write_csv(root / "labels.csv", rows)
    with caplog.at_level(logging.INFO):
        persons = read(file)
    assert (f"{3 * COUNT - 1} points with coordinates" in caplog.text) == (not labelled)
    assert persons.keypoints[..., 2].sum() == labelled * (3 * COUNT - 1) and not persons.keypoints[1, 0].any()
    assert ("likelihood" in caplog.text) == (third == "likelihood")


def test_another_visibility_is_named(root):
    file = project.write_csv(root / "labels.csv", cells(third="visible", value="no"))
    refused(lambda: read(file), f"{file}: line 4: column 4", "visible", "'no'")


def test_label_files_that_are_not_read_are_named(root, caplog):
    second_video(root, "you")
    (root / "labeled-data/v3").mkdir()
    for video in ("v1", "v3"):
        (root / f"labeled-data/{video}/CollectedData_me.h5").write_bytes(b"")
    assert len(read(root / "config.yaml")) == COUNT
    assert "2 files of labels are not read" in caplog.text
    for file in ("v2/CollectedData_you.csv", "v3/CollectedData_me.h5"):
        assert file in caplog.text


def test_each_individual_is_a_person_with_a_box_of_its_own(root):
    rows = cells(animals=("a", "b"))
    rows[4][1:7] = [""] * 6  # the first image has b only ...
    rows[6][1:13] = [""] * 6 + rows[6][7:9] + [""] * 4  # ... and the last one point of b
    persons = read(project.write_csv(root / "labels.csv", rows))
    points = project.points(COUNT)
    np.testing.assert_allclose(persons.keypoints[persons.image_index == 0, :, :2], [points[0] + 1], rtol=1e-6)
    low, high = points[1].min(axis=0), points[1].max(axis=0)
    margin = 0.1 * (high - low).max()
    expected = np.clip([low - margin, high + margin], 0, [project.WIDTH - 1, project.HEIGHT - 1])
    assert persons.image_index.tolist() == [0, 1, 1, 2] and persons.ids.tolist() == [1, 2, 3, 4]
    np.testing.assert_allclose(persons.boxes[1], [*expected[0], *(expected[1] - expected[0])], rtol=1e-5)
    assert persons.keypoints[3, :, 2].tolist() == [1, 0, 0] and (persons.boxes[3, 2:] > 1).all()


def test_one_individual_is_the_whole_frame(root):
    persons = read(project.write_csv(root / "labels.csv", cells(animals=("only",))))
    assert persons.boxes.tolist() == [[0, 0, project.WIDTH, project.HEIGHT]] * COUNT


def test_unknown_body_parts_are_left_out_where_that_is_asked_for(root, caplog):
    rows = cells()
    rows = [row + extra for row, extra in zip(rows, [["me"] * 2, ["ear"] * 2, ["x", "y"], *[["1", "2"]] * 3])]
    file = project.write_csv(root / "labels.csv", rows)
    refused(lambda: read(file), "'ear'", "ignore_unknown: true")
    assert read(file, ignore_unknown=True).keypoints.shape == (COUNT, 3, 3) and "ear" in caplog.text
