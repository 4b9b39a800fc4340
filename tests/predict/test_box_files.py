"""Boxes from files: whose they are, how they are clipped, and what is refused."""

import json

import numpy as np
import pytest
from refusals import refused

from semipose.predict.boxes import read_boxes

SIZE = (80, 60)


def results(**changes) -> list[dict]:
    return [{"image_id": 7, "category_id": 1, "bbox": [1, 2, 30, 40], "score": 0.5} | changes]


@pytest.fixture
def write(tmp_path):
    def file(content, name="boxes.json") -> str:
        (tmp_path / name).write_text(content if isinstance(content, str) else json.dumps(content))
        return str(tmp_path / name)

    return file


def test_results_belong_to_pictures_named_by_their_number(write):
    boxes = read_boxes(write(results()))
    for name in ("000000000007.jpg", "deep/7.png", "7"):
        found, number = boxes.boxes(name, SIZE)
        assert found.tolist() == [[1, 2, 30, 40, 0.5]] and number == 7
    found, number = boxes.boxes("8.jpg", SIZE)
    assert found.shape == (0, 5) and number is None


def test_a_coco_file_names_the_pictures(write):
    images = [{"id": 7, "file_name": "in/a.jpg", "width": 80, "height": 60}, {"id": 9, "file_name": "b.jpg"}]
    listed = write({"images": images}, "images.json")
    for boxes in (
        read_boxes(write(results()), images=listed),
        read_boxes(write({"images": images, "annotations": results()}, "coco.json")),
    ):
        assert boxes.boxes("in/a.jpg", SIZE)[1] == 7 and len(boxes.boxes("a.jpg", SIZE)[0]) == 1
        found, number = boxes.boxes("b.jpg", SIZE)
        assert len(found) == 0 and number == 9
    windows = write({"images": [images[0] | {"file_name": "in\\a.jpg"}], "annotations": results()}, "windows.json")
    assert len(read_boxes(windows).boxes("in/a.jpg", SIZE)[0]) == 1


def test_boxes_are_clipped_as_in_validation_and_empty_ones_go(write):
    rows = [results(bbox=box)[0] for box in ([-5, -5, 20, 20], [70, 50, 99, 99], [200, 0, 5, 5], [3, 3, 0, 5])]
    found, _ = read_boxes(write(rows)).boxes("7.jpg", SIZE)
    assert found[:, :4].tolist() == [[0, 0, 15, 15], [70, 50, 9, 9]]


def test_scores_and_categories(write):
    file = write(results() + results(score=0.1))
    assert len(read_boxes(file, least=0.3).boxes("7.jpg", SIZE)[0]) == 1
    mixed = write(results() + results(category_id=18, bbox=[0, 0, 5, 5]))
    refused(lambda: read_boxes(mixed), "--box-category", "18")
    assert read_boxes(mixed, category=18).boxes("7.jpg", SIZE)[0][0, 2] == 5


def test_csv(write):
    file = write("name,x,y,width,height,score\na.png,1,2,3,4,0.5\na.png,5,6,7,8,1\n", "b.csv")
    assert read_boxes(file).boxes("a.png", SIZE)[0].tolist() == [[1, 2, 3, 4, 0.5], [5, 6, 7, 8, 1]]
    assert read_boxes(file, least=0.6).boxes("a.png", SIZE)[0].tolist() == [[5, 6, 7, 8, 1]]
    frames = read_boxes(write("frame,x,y,width,height\n3,1,2,3,4\n", "c.csv"))
    assert frames.boxes("3", SIZE)[0].tolist() == [[1, 2, 3, 4, 1]] and not len(frames.boxes("4", SIZE)[0])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", ["boxes.json"]),
        ({"a": 1}, ["boxes.json", "images"]),
        ([], ["boxes.json", "empty"]),
        (results(bbox=[1, 2, 3]), ["bbox"]),
        (results(bbox=[1, 2, 3, float("nan")]), ["bbox"]),
        (results(image_id="7"), ["image_id"]),
        (results(score="high"), ["score"]),
        ([5], ["detection"]),
    ],
)
def test_wrong_files_are_refused_by_field(write, content, words):
    refused(lambda: read_boxes(write(content)), *words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["name or frame"]),
        ("name,x,y,width\n", ["height"]),
        ("name,x,y,width,height\na,1,2,wide,4\n", ["line 2", "width", "wide"]),
        ("name,x,y,width,height\na,1,2\n", ["line 2", "width"]),
        ("name,x,y,width,height\na,1,nan,3,4\n", ["line 2", "y"]),
    ],
)
def test_wrong_tables_are_refused_by_line(write, text, words):
    refused(lambda: read_boxes(write(text, "b.csv")), "b.csv", *words)


def test_names_are_matched_by_their_end_only_where_that_is_clear(write):
    boxes = read_boxes(write("name,x,y,width,height\nx/a.png,1,2,3,4\ny/a.png,5,6,7,8\n", "b.csv"))
    assert len(boxes.boxes("a.png", SIZE)[0]) == 0
    assert np.array_equal(boxes.boxes("y/a.png", SIZE)[0][0], [5, 6, 7, 8, 1])
