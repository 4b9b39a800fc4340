"""labelme reader: hand-computed persons, groups, boxes, paths, EXIF turns, and a named error for every broken entry."""

import json
import logging
import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps
from refusals import refused
from small_coco import source_of

from semipose.data.formats import read_coco
from semipose.data.formats.image_list import links_to
from semipose.data.formats.labelme import labelme_document, read_labelme, read_unlabeled_labelme
from semipose.data.images import read_image
from semipose.data.sources import read_own
from semipose.errors import DataError
from semipose.skeletons import Skeleton
from semipose.structures import Persons

SKELETON = Skeleton(name="tri", keypoints=("head", "left_hand", "right_hand"), sigmas=(0.1,) * 3)
WIDTH, HEIGHT = 60, 44
NAMES = ("image_paths", "image_ids", "image_index", "ids", "boxes", "keypoints", "areas", "scores", "group_ids")


def point(label: str, x: float, y: float, group: int | None = None, **changes) -> dict:
    shape = {
        "label": label,
        "points": [[x, y]],
        "group_id": group,
        "shape_type": "point",
        "description": "",
        "flags": {},
    }
    return {**shape, **changes}


def rectangle(corners: list, group: int | None = None, label: str = "person") -> dict:
    return {"label": label, "points": corners, "group_id": group, "shape_type": "rectangle", "flags": {}}


def content(*shapes: dict, **changes) -> dict:
    document = {"version": "5.4.1", "flags": {}, "shapes": list(shapes), "imagePath": "a.jpg", "imageData": None}
    return {**document, "imageHeight": HEIGHT, "imageWidth": WIDTH, **changes}


def pair(group: int | None = None) -> list[dict]:
    return [point("head", 10, 20, group), point("left_hand", 20, 25, group)]


def write(path, document) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")


def read(folder, *shapes: dict, **changes) -> Persons:
    write(folder / "a.json", content(*shapes, **changes))
    return read_labelme(str(folder), SKELETON)


def test_persons_by_group_and_in_order(tmp_path):
    write(tmp_path / "b/a.json", content(*pair(), imagePath="two.jpg"))
    persons = read(tmp_path, point("right_hand", 30, 30, 7), *pair(4), point("head", 50, 10, 7))
    assert persons.ids.tolist() == [1, 2, 3] and persons.group_ids.tolist() == [7, 4, -1]
    assert persons.image_index.tolist() == [0, 0, 1] and persons.image_ids.tolist() == [1, 2]
    assert persons.image_paths.tolist() == [str(tmp_path / "a.jpg"), str(tmp_path / "b/two.jpg")]
    np.testing.assert_array_equal(persons.keypoints[0], np.float32([[50, 10, 1], [0, 0, 0], [30, 30, 1]]))
    np.testing.assert_array_equal(persons.keypoints[1], np.float32([[10, 20, 1], [20, 25, 1], [0, 0, 0]]))
    np.testing.assert_allclose(persons.boxes[1], [9, 19, 12, 7])  # margin 1 = 10 % of 10
    assert persons.areas[1] == pytest.approx(0.53 * 12 * 7) and persons.scores.tolist() == [1] * 3
    assert persons.keypoints.dtype == persons.boxes.dtype == np.float32 and persons.group_ids.dtype == np.int64


def test_rectangle_gives_the_box_in_any_corner_order_clipped(tmp_path):
    persons = read(
        tmp_path, *pair(1), *pair(2), rectangle([[30, 40], [5, 8]], 1), rectangle([[-9, 2], [99, 80]], 2, "x")
    )
    assert persons.boxes.tolist() == [[5, 8, 25, 32], [0, 2, WIDTH - 1, HEIGHT - 1 - 2]]


def test_rectangle_alone_is_an_unlabelled_person(tmp_path):
    boxes = [rectangle([[1, 2], [11, 12]]), rectangle([[3, 2], [11, 12]]), rectangle([[5, 2], [11, 12]], 3)]
    assert read(tmp_path, *boxes, *pair(9)).group_ids.tolist() == [9]
    persons = read_unlabeled_labelme(str(tmp_path), SKELETON)
    assert persons.group_ids.tolist() == [9, -1, -1, 3] and persons.boxes[1:, 0].tolist() == [1, 3, 5]
    assert not persons.keypoints[1:].any()


@pytest.mark.parametrize("label", ["left_hand", "Left Hand", " LEFT-hand ", "left  hand"])
def test_labels_by_plain_name(tmp_path, label):
    persons = read(tmp_path, point("head", 1, 2), point(label, 9, 8))
    assert persons.keypoints[0, :, 2].tolist() == [1, 1, 0]


def test_exact_names_win_where_plain_names_are_not_unique(tmp_path):
    skeleton = Skeleton(name="two", keypoints=("eye", "Eye"), sigmas=(0.1,) * 2)
    write(tmp_path / "a.json", content(point("eye", 1, 2), point("Eye", 9, 8)))
    assert read_labelme(str(tmp_path), skeleton).keypoints[0, :, 0].tolist() == [1, 9]
    write(tmp_path / "a.json", content(point("EYE", 1, 2)))
    refused(lambda: read_labelme(str(tmp_path), skeleton), "'EYE'", "'two'", "eye, Eye")


@pytest.mark.parametrize(("text", "v"), [("", 2), (None, 2), ("0", 0), ("1", 1), (" 2 ", 2), (1, 1)])
def test_description_is_visibility(tmp_path, text, v):
    persons = read(tmp_path, *pair(), point("right_hand", 30, 30, description=text))
    document = labelme_document(str(tmp_path), SKELETON)
    assert document["annotations"][0]["keypoints"][6:] == ([30, 30, v] if v else [0, 0, 0])
    assert document["annotations"][0]["num_keypoints"] == 2 + (v > 0)
    assert persons.keypoints[0, 2, 2] == min(v, 1)


@pytest.mark.parametrize("text", ["blurred", "3", "visible", 2.5, ["0"]])
def test_any_other_description_is_a_note_on_a_visible_point(tmp_path, caplog, text):
    with caplog.at_level(logging.INFO):
        persons = read(tmp_path, *pair(), point("right_hand", 30, 30, description=text))
    assert persons.keypoints[0, 2].tolist() == [30, 30, 1] and "1 points are visible" in caplog.text
    assert labelme_document(str(tmp_path), SKELETON)["annotations"][0]["keypoints"][8] == 2


def test_points_without_group_id_belong_to_the_only_rectangle_around_them(tmp_path, caplog):
    first, second = rectangle([[5, 15], [25, 30]]), rectangle([[30, 5], [50, 5], [50, 40], [30, 40]], 4)
    with caplog.at_level(logging.INFO):
        persons = read(tmp_path, first, second, *pair(), point("head", 40, 10), point("head", 55, 3, description="0"))
    assert persons.group_ids.tolist() == [-1, 4] and persons.keypoints[:, 0, 0].tolist() == [10, 40]
    assert persons.boxes.tolist() == [[5, 15, 20, 15], [30, 5, 20, 35]]
    assert "3 points without group_id belong to the rectangle" in caplog.text


def test_one_rectangle_without_group_id_has_all_points_without_one(tmp_path):
    other = [*pair(4), rectangle([[0, 0], [59, 43]], 4)]  # has its points already
    persons = read(tmp_path, *pair(), point("right_hand", 50, 30), rectangle([[5, 15], [25, 30]]), *other)
    assert persons.group_ids.tolist() == [-1, 4] and persons.keypoints[0, :, 0].tolist() == [10, 20, 50]


def test_one_rectangle_around_no_point_is_not_their_box(tmp_path):
    persons = read(tmp_path, *pair(), rectangle([[40, 2], [50, 8]], label="cage"))
    assert persons.keypoints[:, 0, 0].tolist() == [10]
    np.testing.assert_allclose(persons.boxes, [[9, 19, 12, 7]])


@pytest.mark.parametrize(("x", "where"), [(28, "no rectangle"), (22, "2 rectangles")])
def test_points_of_no_certain_rectangle_are_refused(tmp_path, x, where):
    boxes = [rectangle([[5, 15], [25, 30]]), rectangle([[20, 15], [26, 30]])]
    call = lambda: read(tmp_path, *boxes, point("head", x, 20))  # noqa: E731
    refused(call, "a.json: shape number 2: group_id: ", where, "group_id of their own")


def test_a_person_without_a_rectangle_beside_the_rectangle_of_another(tmp_path, caplog):
    assert len(read(tmp_path, *pair(), rectangle([[30, 5], [50, 40]], 4))) == 1
    assert "left out 1 persons that have a rectangle" in caplog.text
    assert read_unlabeled_labelme(str(tmp_path), SKELETON).group_ids.tolist() == [-1, 4]


def test_unknown_labels_are_left_out_where_that_is_asked_for(tmp_path, caplog):
    refused(lambda: read(tmp_path, *pair(), point("whisker", 1, 2)), "'whisker'", "ignore_unknown: true")
    persons = read_labelme(str(tmp_path), SKELETON, ignore_unknown=True)
    assert persons.keypoints[0, :, 0].tolist() == [10, 20, 0]
    assert "left out 1 points" in caplog.text and "'whisker' (1)" in caplog.text


def test_a_person_of_one_point_has_a_box_as_large_as_the_others(tmp_path, caplog):
    with caplog.at_level(logging.INFO):
        persons = read(tmp_path, *pair(1), rectangle([[10, 20], [30, 30]], 1), point("head", 40, 30, 2))
    assert persons.boxes.tolist() == [[10, 20, 20, 10], [30, 25, 20, 10]] and "1 persons of one point" in caplog.text
    line = [rectangle([[5, 5], [5, 5]], 3), point("head", 10, 9, 3), point("left_hand", 10, 29, 3)]
    np.testing.assert_allclose(read(tmp_path, *line).boxes, [[8, 7, 4, 24]])  # margin 2 = 10 % of 20


def test_a_single_point_has_the_median_box_of_the_others(tmp_path):
    flat = [point("head", 15, 20, 3), rectangle([[15, 20], [15, 20]], 3)]
    persons = read(tmp_path, *pair(1), rectangle([[8, 16], [24, 28]], 1), point("head", 30, 30, 2), *flat)
    np.testing.assert_allclose(persons.boxes, [[8, 16, 16, 12], [22, 24, 16, 12], [7, 14, 16, 12]])
    np.testing.assert_allclose(persons.areas, 0.53 * 16 * 12, rtol=1e-6)


def test_what_is_left_out(tmp_path, caplog):
    outside = point("right_hand", WIDTH + 3, 5, 1)
    polygon = {"label": "dress", "points": [[1, 1], [2, 2], [3, 1]], "shape_type": "polygon", "group_id": 1}
    hidden = point("head", 5, 5, 3, description="0")
    persons = read(tmp_path, *pair(1), outside, polygon, hidden, rectangle([[70, 1], [80, 9]], 4))
    assert persons.group_ids.tolist() == [1] and persons.keypoints[0, :, 2].tolist() == [1, 1, 0]
    assert "left out 1 shapes" in caplog.text and "'polygon' (1)" in caplog.text
    assert "1 labels outside their image" in caplog.text and "1 of 1 images are not found" in caplog.text


def test_files_that_are_not_of_labelme_are_named(tmp_path, caplog):
    write(tmp_path / "groups.json", {"1": 2})
    write(tmp_path / ".hidden/c.json", "{")
    assert len(read(tmp_path, *pair())) == 1
    assert "groups.json: is not a labelme file" in caplog.text
    (tmp_path / "a.json").unlink()
    refused(lambda: read_labelme(str(tmp_path), SKELETON), str(tmp_path))
    refused(lambda: read_labelme(str(tmp_path / "none"), SKELETON), "none: ")


@pytest.mark.parametrize(
    ("image_path", "image_root", "found"),
    [
        ("..\\images\\a.jpg", "", "images/a.jpg"),
        ("../images/a.jpg", "", "images/a.jpg"),
        ("C:\\Users\\me\\a.jpg", "", "labels/a.jpg"),
        ("/home/me/a.jpg", "", "labels/a.jpg"),
        ("..\\..\\..\\secret\\a.jpg", "", "labels/a.jpg"),
        ("../images/a.jpg", "images", "images/a.jpg"),
        ("a.jpg", "images", "images/a.jpg"),
        ("../../elsewhere/a.jpg", "images", "images/a.jpg"),
        ("caf\u00e9 \u4eba.jpg", "", "labels/caf\u00e9 \u4eba.jpg"),
    ],
)
def test_image_paths_stay_inside_the_root(tmp_path, draw_image, image_path, image_root, found):
    root = tmp_path / "root"
    names = ("images/a.jpg", "labels/a.jpg", "labels/caf\u00e9 \u4eba.jpg", "../secret/a.jpg", "../elsewhere/a.jpg")
    for name in names:
        draw_image(root / name, (WIDTH, HEIGHT))
    write(root / "labels/a.json", content(*pair(), imagePath=image_path))
    folder = root / "labels" if image_root else root
    persons = read_labelme(str(folder), SKELETON, image_root and str(root / image_root))
    assert os.path.normpath(persons.path(0)) == str(root / found)


@pytest.mark.parametrize("image_path", ["C:\\Users\\me\\a.jpg", "/home/me/a.jpg", "..\\..\\a.jpg"])
def test_an_image_that_is_nowhere_belongs_beside_its_labels(tmp_path, image_path):
    write(tmp_path / "labels/a.json", content(*pair(), imagePath=image_path))
    assert read_labelme(str(tmp_path), SKELETON).path(0) == str(tmp_path / "labels/a.jpg")


def test_the_same_place_below_another_root(tmp_path, draw_image):
    draw_image(tmp_path / "images/day/a.jpg", (WIDTH, HEIGHT))
    write(tmp_path / "labels/day/a.json", content(*pair()))
    persons = read_labelme(str(tmp_path / "labels"), SKELETON, str(tmp_path / "images"))
    assert persons.path(0) == str(tmp_path / "images/day/a.jpg")


def test_links_out_of_the_root_are_not_followed(tmp_path, draw_image):
    draw_image(tmp_path / "secret/a.jpg", (WIDTH, HEIGHT))
    write(tmp_path / "root/a.json", content(*pair()))
    (tmp_path / "root/a.jpg").symlink_to(tmp_path / "secret/a.jpg")
    refused(lambda: read_labelme(str(tmp_path / "root"), SKELETON), "a.json: imagePath: 'a.jpg'", "link", "LINKS")
    with links_to([str(tmp_path / "secret")]):
        assert read_labelme(str(tmp_path / "root"), SKELETON).path(0) == str(tmp_path / "root/a.jpg")


def turned_image(path, orientation: int) -> None:
    """A black picture with one bright pixel, stored so that viewers turn it."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[7, 12] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(pixels).save(path, exif=exif)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_labels_on_a_turned_picture_land_on_their_pixel(tmp_path, orientation):
    path = tmp_path / "a.png"
    turned_image(path, orientation)
    shown = np.asarray(ImageOps.exif_transpose(Image.open(path)))
    (y,), (x,) = np.nonzero(shown[..., 0])
    shapes = [point("head", int(x), int(y)), point("left_hand", 20, 25)]
    size = {"imageWidth": shown.shape[1], "imageHeight": shown.shape[0]}
    rect = rectangle([[int(x), int(y)], [20, 25]])
    read(tmp_path, *shapes, rect, imagePath=path.name, **size)
    persons = read_own(source_of(tmp_path, format="labelme", annotation=".", skeleton=SKELETON))
    column, row, _ = persons.keypoints[0, 0]
    assert (column, row) == (x, y) and persons.image_sizes.tolist() == [[shown.shape[1], shown.shape[0]]]
    assert read_image(str(path), reading=persons.reading(0))[int(row), int(column)].tolist() == [255, 255, 255]
    corners = np.array([persons.boxes[0, :2], persons.boxes[0, :2] + persons.boxes[0, 2:]])
    np.testing.assert_array_equal(corners, np.sort(persons.keypoints[0, :2, :2], axis=0))


def test_labels_made_on_the_stored_pixels_are_for_those(tmp_path):
    turned_image(tmp_path / "a.jpg", 6)
    read(tmp_path, *pair())
    persons = read_own(source_of(tmp_path, format="labelme", annotation=".", skeleton=SKELETON))
    assert persons.keypoints[0, 0].tolist() == [10, 20, 1] and persons.reading(0) == ((WIDTH, HEIGHT), 1, 0)


def test_picture_of_another_size_is_a_fault_of_its_own_and_a_missing_size_is_measured(tmp_path, draw_image):
    draw_image(tmp_path / "a.jpg", (WIDTH, HEIGHT))
    persons = read(tmp_path, *pair(), imageWidth=100)
    refused(lambda: read_image(persons.path(0), reading=persons.reading(0)), "a.jpg", "100 x 44", "60 x 44")
    persons = read(tmp_path, *pair(), point("right_hand", WIDTH, 5), imageWidth=None, imageHeight=None)
    assert persons.keypoints[0, :, 2].tolist() == [1, 1, 0]
    (tmp_path / "a.jpg").write_bytes(b"no image")  # is reported when it is read
    assert len(read(tmp_path, *pair())) == 1


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("label", ("nosse", None, "head")),
        ("points", ([[1, float("nan")]], [[1, 2], [3, 4]], [[1, 2, 3]], [[1, "2"]], [[True, 2]], [[10**400, 2]], [],
                    "1 2", None)),
        ("group_id", ("1", -1, 1.5, True, 10**30)),
    ],
)  # fmt: skip
def test_broken_shapes(tmp_path, field, values):
    for value in values:
        shapes = point("head", 1, 2), point("left_hand", 9, 8) | {field: value}
        refused(lambda: read(tmp_path, *shapes), f"{tmp_path}/a.json: shape number 1: {field}: ")  # noqa: B023
    for points in ([1, 2], [[1, 2]]):
        refused(lambda: read(tmp_path, *pair(), rectangle(points)), "shape number 2: points: ")  # noqa: B023


@pytest.mark.parametrize("group", [None, 5])
def test_two_rectangles_for_one_person(tmp_path, group):
    boxes = [rectangle([[1, 2], [9, 9]], group), rectangle([[1, 2], [9, 9]], group)]
    row = 0 if group is None else 3  # without a group_id its points lie in neither
    refused(lambda: read(tmp_path, *pair(group), *boxes), f"shape number {row}: group_id: ")


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"shapes": None}, "shape"), ({"shapes": {}}, "shape"), ({"shapes": [3]}, "shape number 0"),
        ({"imagePath": None}, "imagePath"), ({"imagePath": 5}, "imagePath"), ({"imagePath": ".."}, "imagePath: '..'"),
        ({"imagePath": "C:\\"}, "imagePath"), ({"imagePath": "a\0.jpg"}, "imagePath: 'a\\x00.jpg'"),
        ({"imageWidth": "60"}, "imageWidth"), ({"imageWidth": 0}, "imageWidth"),
        ({"imageHeight": 10**12}, "imageHeight"),
        ({"imageHeight": None}, "imageHeight"), ({"imageWidth": None, "imageHeight": None}, "imageWidth"),
    ],
)  # fmt: skip
def test_broken_files(tmp_path, changes, word):
    refused(lambda: read(tmp_path, *pair(), **changes), "a.json: ", word)


@pytest.mark.parametrize("text", ["", "{", "\ufeff{", '{"shapes": ' + "[" * 100_000])
def test_not_json(tmp_path, text):
    write(tmp_path / "a.json", text)
    refused(lambda: read_labelme(str(tmp_path), SKELETON), "a.json: ", "JSON", "; ")


VALUES = st.one_of(
    st.none(), st.booleans(), st.floats(), st.integers(), st.sampled_from([10**400, -1, "", "..", "\0", "人"]),
    st.text(max_size=4), st.lists(st.one_of(st.floats(), st.none(), st.lists(st.integers(), max_size=3)), max_size=3),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
)  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(field=st.sampled_from([*content(), *point("head", 1, 2)]), value=VALUES, kind=st.sampled_from([0, -1]))
@pytest.mark.promise("R18", trials=150)
def test_any_value_is_read_or_named(tmp_path, field, value, kind):
    document = content(*pair(), rectangle([[1, 2], [9, 9]]))
    (document if field in document else document["shapes"][kind])[field] = value
    write(tmp_path / "a.json", document)
    try:
        persons = read_labelme(str(tmp_path), SKELETON)
    except DataError as error:
        assert str(error).startswith(str(tmp_path)) and "\n" not in str(error)
    else:
        assert np.isfinite(persons.boxes).all() and np.isfinite(persons.keypoints).all()
        assert os.path.realpath(persons.image_paths[0]).startswith(str(tmp_path))


def test_embedded_image_data_change_nothing(tmp_path):
    plain = read(tmp_path, *pair(3))
    embedded = read(tmp_path, *pair(3), imageData="/9j/" * 300_000)
    for name in NAMES:
        np.testing.assert_array_equal(getattr(plain, name), getattr(embedded, name))


def test_coco_reader_gives_the_same_persons(tmp_path):
    write(tmp_path / "sub/b.json", content(*pair(2), rectangle([[1.3, 2.7], [40.1, 39.9]], 2), imagePath="b.jpg"))
    write(tmp_path / "sub/c.json", content(rectangle([[1, 2], [9, 9]], 8), imagePath="c.jpg"))
    hidden = point("right_hand", 31.4159, 30.1, 1, description="1")
    labelme = read(tmp_path, point("head", 10.123456789, 20.3, 1), hidden, *pair())
    write(tmp_path / "out/set.json", labelme_document(str(tmp_path), SKELETON))
    coco = read_coco(str(tmp_path / "out/set.json"), str(tmp_path), SKELETON)
    assert len(coco) == 3
    for name in set(NAMES) - {"group_ids"}:
        np.testing.assert_array_equal(getattr(labelme, name), getattr(coco, name))
    groups = json.loads((tmp_path / "out/set.json").read_text())["annotations"]
    assert [person.get("group_id", -1) for person in groups[:3]] == labelme.group_ids.tolist() == [1, -1, 2]
