"""AI Challenger reader: its own JSON and the COCO-style one, what is left out, and named errors for broken entries."""

import json

import numpy as np
import pytest
from damage import damaged
from hypothesis import HealthCheck, given, settings
from refusals import refused

from semipose.data.formats import read_aic
from semipose.errors import DataError
from semipose.skeletons import Skeleton
from semipose.structures import Persons

TRI = Skeleton(name="tri", keypoints=("head", "left_hand", "right_hand"), sigmas=(0.1, 0.1, 0.1))


def images() -> list[dict]:
    return [
        {
            "url": "http://some.where/x.jpg",
            "image_id": "054d9c",
            "human_annotations": {"human2": [10, 20, 40, 80], "human1": [5, 6, 7, 9]},
            "keypoint_annotations": {"human1": [5, 6, 2, 0, 0, 3, 6, 8, 1], "human2": [11, 21, 1, 12, 22, 1, 9, 9, 3]},
        },
        {
            "image_id": "aa00",
            "human_annotations": {"human1": [0, 0, 30, 20]},
            "keypoint_annotations": {"human1": [1, 2, 1, 3, 4, 2, 5, 6, 1]},
        },
    ]


def read(folder, content) -> Persons:
    (folder / "aic.json").write_text(json.dumps(content, indent=1))
    return read_aic(str(folder / "aic.json"), str(folder), TRI)


def test_persons_in_file_order(tmp_path):
    persons = read(tmp_path, images())
    assert persons.ids.tolist() == [1, 2, 3] and persons.image_index.tolist() == [0, 0, 1]
    assert persons.image_ids.tolist() == [1, 2] and persons.path(2) == str(tmp_path / "aa00.jpg")
    assert persons.boxes.tolist() == [[10, 20, 30, 60], [5, 6, 2, 3], [0, 0, 30, 20]]
    assert persons.areas.tolist() == pytest.approx([0.53 * 1800, 0.53 * 6, 0.53 * 600])
    # 3 is not labelled; 2, occluded, is
    assert persons.keypoints[0].tolist() == [[11, 21, 1], [12, 22, 1], [0, 0, 0]]
    assert persons.keypoints[1].tolist() == [[5, 6, 1], [0, 0, 0], [6, 8, 1]]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("keypoint_annotations", [5, 6, 3] * 3),
        ("keypoint_annotations", None),
        ("keypoint_annotations", []),
    ],
)
def test_left_out_and_ids_stay(tmp_path, field, value, caplog):
    content = images()
    content[0][field]["human1"] = value
    with caplog.at_level("INFO"):
        assert read(tmp_path, content).ids.tolist() == [1, 3]
    assert "2 persons; left out: " in caplog.text and "1 without " in caplog.text


@pytest.mark.parametrize("box", [None, [5, 6, 5, 9], [7, 9, 5, 6]])
def test_a_box_without_area_comes_from_the_keypoints(tmp_path, box):
    content = images()
    content[0]["human_annotations"]["human1"] = box
    persons = read(tmp_path, content)
    assert persons.ids.tolist() == [1, 2, 3]
    np.testing.assert_allclose(persons.boxes[1], [4.8, 5.8, 1.4, 2.4], rtol=1e-5)  # around (5, 6) and (6, 8)


def test_no_keypoints_at_all(tmp_path):
    content = images()
    for image in content:
        del image["keypoint_annotations"]
    content[0]["human_annotations"]["human1"] = [9, 9, 9, 9]
    persons = read(tmp_path, content)
    assert persons.ids.tolist() == [1, 3] and not persons.keypoints.any()
    assert read(tmp_path, []).keypoints.shape == (0, 3, 3)


def test_space_before_the_list(tmp_path):
    (tmp_path / "aic.json").write_text("\r\n\t " + json.dumps(images()))
    assert len(read_aic(str(tmp_path / "aic.json"), str(tmp_path), TRI)) == 3


def test_coco_style_file(tmp_path):
    content = {
        "images": [{"id": 1, "file_name": "a.jpg", "width": 100, "height": 90}],
        "annotations": [{"id": 4, "image_id": 1, "bbox": [5, 6, 200, 10], "keypoints": [7, 8, 2, 0, 0, 0, 9, 10, 1]}],
        "categories": [{"id": 1, "name": "person", "keypoints": ["Head", "Left Hand", "Right Hand"]}],
    }
    persons = read(tmp_path, content)
    assert persons.ids.tolist() == [4] and persons.boxes.tolist() == [[5, 6, 94, 10]]
    assert persons.keypoints[0].tolist() == [[7, 8, 1], [0, 0, 0], [9, 10, 1]]


@pytest.mark.parametrize(
    ("place", "value", "word"),
    [
        (("image_id",), 12, "image number 0: image_id"),
        (("image_id",), "../x", "image number 0: image_id"),
        (("human_annotations",), [], "image number 0: human_annotations"),
        (("human_annotations", "human1"), [1, 2, 3], "'human1 of image 054d9c': box"),
        (("human_annotations", "human1"), [1, 2, 3, None], "'human1 of image 054d9c': box"),
        (("keypoint_annotations", "human1"), [1, 2, 1], "'human1 of image 054d9c': keypoints"),
        (("keypoint_annotations", "human1"), [1, 2, 0] * 3, "'human1 of image 054d9c': keypoints"),
        (("keypoint_annotations", "human1"), [1, float("nan"), 1] * 3, "'human1 of image 054d9c': keypoints"),
    ],
)
def test_wrong_entry_is_named(tmp_path, place, value, word):
    content = images()
    holder = content[0] if len(place) == 1 else content[0][place[0]]
    holder[place[-1]] = value
    refused(lambda: read(tmp_path, content), "aic.json: ", word)


@pytest.mark.parametrize("text", ["", " [", "{}", "[5]", None])
def test_wrong_documents(tmp_path, text):
    if text is not None:
        (tmp_path / "aic.json").write_text(text)
    refused(lambda: read_aic(str(tmp_path / "aic.json"), str(tmp_path), TRI), "aic.json: ")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(damaged(images))
@pytest.mark.promise("R18", trials=60)
def test_any_damage_gives_persons_or_a_named_error(tmp_path, content):
    try:
        persons = read(tmp_path, content)
    except DataError as error:
        assert "aic.json" in str(error) and "\n" not in str(error) and len(str(error)) < 1000
        str(error).encode()  # can be printed
        return
    assert np.isfinite(persons.boxes).all() and np.isfinite(persons.keypoints).all()
    assert (persons.boxes[:, 2:] > 0).all() and np.isin(persons.keypoints[:, :, 2], (0, 1)).all()
