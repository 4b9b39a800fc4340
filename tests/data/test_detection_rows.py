"""Boxes of a detector in a COCO file belong to the images of the same names."""

import json

import pytest
from refusals import refused

from semipose.data.formats.detection_rows import detection_rows

IMAGES = [{"id": 7, "file_name": "a/one.jpg"}, {"id": 3, "file_name": "b/one.jpg"}, {"id": 5, "file_name": "b/two.jpg"}]


def ids(tmp_path, *names, images=IMAGES) -> list[int]:
    rows = [{"id": number, "file_name": name} for number, name in enumerate(names)]
    boxes = [{"image_id": number, "bbox": [1, 2, 3, 4], "score": 0.5} for number in range(len(names))]
    file = tmp_path / "boxes.json"
    file.write_text(json.dumps({"images": rows, "annotations": boxes}))
    found = detection_rows(str(file), images)
    assert all(row["bbox"] == [1, 2, 3, 4] for row in found)
    return [row["image_id"] for row in found]


@pytest.mark.parametrize("name, number", [
    ("a/one.jpg", 7), ("b/one.jpg", 3), ("two.jpg", 5), ("elsewhere/two.jpg", 5), ("one.jpg", 2), ("three.jpg", 2),
])  # fmt: skip
def test_the_same_name_or_the_only_one_with_that_last_part(tmp_path, name, number):
    """2 is the id of no image: the name is not there, or two images have it."""
    assert ids(tmp_path, name) == [number]


def test_a_list_is_left_as_it_is(tmp_path):
    file, rows = tmp_path / "boxes.json", [{"image_id": 1}, "strange"]
    file.write_text(json.dumps(rows))
    assert detection_rows(str(file), IMAGES) == rows


def test_images_without_names_are_refused(tmp_path):
    file = tmp_path / "boxes.json"
    file.write_text(json.dumps({"images": [{"id": 4}], "annotations": []}))
    refused(lambda: detection_rows(str(file), IMAGES), "boxes.json", "file_name", "4")


def test_wrong_rows_of_the_annotation_do_no_harm(tmp_path):
    assert ids(tmp_path, "two.jpg", images=["x", {"id": "y", "file_name": "two.jpg"}, *IMAGES]) == [5]
    assert ids(tmp_path, "two.jpg", images=None) == [-1]
