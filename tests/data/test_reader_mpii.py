"""MPII reader, JSON: the crop of HRNet, pixels from 1, what is left out, head sizes, and named errors."""

import json

import numpy as np
import pytest
from damage import damaged
from hypothesis import HealthCheck, given, settings
from refusals import refused
from scipy.io import savemat

from semipose.data.formats import read_mpii
from semipose.errors import DataError
from semipose.geometry.boxes import box_to_region
from semipose.skeletons import get_skeleton
from semipose.structures import Persons

MPII = get_skeleton("mpii")


def person(image: str, **changes) -> dict:
    joints = [[101.0 + 3 * k, 51.5 + 2 * k] for k in range(16)]
    joints[3] = [-1.0, -1.0]
    row = {"image": image, "center": [120.0, 70.0], "scale": 0.8, "joints": joints,
           "joints_vis": [int(k != 3) for k in range(16)]}  # fmt: skip
    return {**row, **changes}


def rows() -> list[dict]:
    return [person("b.jpg"), person("a.jpg", center=[30, 40.5], scale=2), person("b.jpg", scale=1.25)]


def read(folder, content, **options) -> Persons:
    (folder / "valid.json").write_text(json.dumps(content))
    return read_mpii(str(folder / "valid.json"), str(folder), MPII, **options)


def test_persons_in_file_order_share_images(tmp_path):
    persons = read(tmp_path, rows())
    assert persons.ids.tolist() == [1, 2, 3] and persons.image_ids.tolist() == [1, 2]
    assert persons.image_index.tolist() == [0, 1, 0] and persons.image_index.dtype == np.int32
    assert [persons.path(row) for row in range(3)] == [str(tmp_path / name) for name in ("b.jpg", "a.jpg", "b.jpg")]
    assert persons.head_sizes.tolist() == [0, 0, 0] and persons.scores.tolist() == [1, 1, 1]


@pytest.mark.parametrize(("one_based", "first"), [(True, 1), (False, 0)])
def test_coordinates_count_from_one_unless_told_otherwise(tmp_path, one_based, first):
    persons = read(tmp_path, rows(), one_based=one_based)
    np.testing.assert_allclose(persons.keypoints[0, 1], [104 - first, 53.5 - first, 1])
    assert persons.keypoints[0, 3].tolist() == [0, 0, 0]
    # square of 400 pixels around (30, 40.5 + 15 * 2), beyond the image on two sides
    np.testing.assert_allclose(persons.boxes[1], [30 - first - 200, 70.5 - first - 200, 400, 400])


@pytest.mark.parametrize("aspect", [1.0, 192 / 256])
def test_crop_is_that_of_hrnet(tmp_path, aspect):
    centers, sizes = box_to_region(read(tmp_path, rows()).boxes, aspect, 1.25)
    for row, center, size in zip(rows(), centers, sizes):
        # HRNet: c[1] += 15 * s; s *= 1.25; c -= 1; width 200 * s, height by the aspect of the input
        np.testing.assert_allclose(center, [row["center"][0] - 1, row["center"][1] + 15 * row["scale"] - 1], atol=1e-4)
        np.testing.assert_allclose(size, [250 * row["scale"], 250 * row["scale"] / aspect], rtol=1e-6)


@pytest.mark.parametrize(
    "changes",
    [
        {"center": [-1.0, -1.0], "joints_vis": [0] * 16},
        {"joints_vis": [0] * 16},
        {"joints": None, "joints_vis": None},
        {"joints": []},
    ],
)
def test_left_out_and_ids_stay(tmp_path, changes, caplog):
    content = rows()
    content[0].update(changes)
    with caplog.at_level("INFO"):
        assert read(tmp_path, content).ids.tolist() == [2, 3]
    assert "2 persons; left out: " in caplog.text and "1 without " in caplog.text


@pytest.mark.parametrize("changes", [{"center": [-1.0, -1.0], "scale": -1.0}, {"scale": 0}, {"scale": -2.5}])
def test_without_position_or_scale_the_box_is_that_of_the_joints(tmp_path, changes):
    persons = read(tmp_path, [person("b.jpg", **changes), *rows()[1:]])
    assert persons.ids.tolist() == [1, 2, 3]
    # joints from (101, 51.5) to (146, 81.5), counted from 1, and a tenth of 45 px
    np.testing.assert_allclose(persons.boxes[0], [95.5, 46, 54, 39], rtol=1e-6)


def test_test_images_have_no_joints(tmp_path):
    persons = read(tmp_path, [{key: row[key] for key in ("image", "center", "scale")} for row in rows()])
    assert len(persons) == 3 and persons.keypoints.shape == (3, 16, 3) and not persons.keypoints.any()
    np.testing.assert_array_equal(persons.boxes, read(tmp_path, rows()).boxes)


def test_other_fields_do_not_matter(tmp_path):
    persons = read(tmp_path, [person("a.jpg", head="up", id="x", numOtherPeople=3.0)])
    assert persons.ids.tolist() == [1] and persons.head_sizes.tolist() == [0]


def test_no_persons(tmp_path):
    assert read(tmp_path, []).keypoints.shape == (0, 16, 3)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("image", 5), ("image", "../a.jpg"), ("image", "C:\\a.jpg"), ("center", [1, float("nan")]), ("scale", "big"),
        ("scale", None), ("joints", [[1, 2]] * 15), ("joints", [[1, 2]] * 15 + [[1, 2, 3]]), ("joints", [1, 2] * 8),
        ("joints", [[1, float("inf")]] * 16), ("joints_vis", [1] * 15), ("joints_vis", [1] * 15 + [2]),
        ("joints_vis", None),
    ],
)  # fmt: skip
def test_wrong_row_is_named(tmp_path, field, value):
    content = rows()
    content[1][field] = value
    refused(lambda: read(tmp_path, content), f"valid.json: person id 2: {field}: ")


def test_wrong_documents(tmp_path):
    refused(lambda: read(tmp_path, {}), "valid.json: ")
    refused(lambda: read(tmp_path, [person("a.jpg"), 5]), "valid.json: person number 1: ")
    refused(lambda: read_mpii(str(tmp_path / "none.json"), str(tmp_path), MPII), "none.json: ")


def head_file(folder, **variables) -> str:
    savemat(folder / "gt_valid.mat", variables)
    return str(folder / "gt_valid.mat")


def test_head_sizes_follow_the_rows_of_the_json(tmp_path):
    corners = np.zeros((2, 2, 3))  # corner, coordinate, person
    corners[0], corners[1] = [[10, 20, 7], [5, 6, 7]], [[13, 25, 7], [9, 18, 7]]
    content = rows()
    content[0]["joints_vis"] = [0] * 16  # left out, but it has its row
    persons = read(tmp_path, content, head_boxes=head_file(tmp_path, headboxes_src=corners))
    np.testing.assert_allclose(persons.head_sizes, [0.6 * 13, 0], rtol=1e-6)
    one = head_file(tmp_path, headboxes_src=corners[:, :, :1])
    np.testing.assert_allclose(read(tmp_path, rows()[:1], head_boxes=one).head_sizes, [0.6 * 5], rtol=1e-6)


def test_head_sizes_from_the_original_file_by_image_and_center(tmp_path):
    point = {"id": 1, "x": 3.0, "y": 4.0}
    rect = {"x1": 10, "y1": 5, "x2": 16, "y2": 13, "scale": 2, "objpos": {"x": 30, "y": 40.5},
            "annopoints": {"point": point}}  # fmt: skip
    annolist = {"image": {"name": "a.jpg"}, "annorect": rect}
    file = head_file(tmp_path, RELEASE={"annolist": annolist, "img_train": 1})
    np.testing.assert_allclose(read(tmp_path, rows(), head_boxes=file).head_sizes, [0, 6, 0], rtol=1e-6)


@pytest.mark.parametrize("variables", [{"headboxes_src": np.zeros((2, 2, 4))}, {"headboxes_src": "text"}, {"other": 1}])
def test_wrong_head_boxes(tmp_path, variables):
    file = head_file(tmp_path, **variables)
    refused(lambda: read(tmp_path, rows(), head_boxes=file), "gt_valid.mat: ", "headboxes_src")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(damaged(rows))
@pytest.mark.promise("R18", trials=60)
def test_any_damage_gives_persons_or_a_named_error(tmp_path, content):
    try:
        persons = read(tmp_path, content)
    except DataError as error:
        assert "valid.json" in str(error) and "\n" not in str(error) and len(str(error)) < 1000
        str(error).encode()  # can be printed
        return
    assert np.isfinite(persons.boxes).all() and np.isfinite(persons.keypoints).all()
    assert (persons.boxes[:, 2:] > 0).all() and np.isin(persons.keypoints[:, :, 2], (0, 1)).all()
