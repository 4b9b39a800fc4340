"""COCO reader: hand-computed persons, what is left out, and a named error for every broken entry."""

import json
import os

import numpy as np
import pytest
from damage import VALUES, damaged
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from refusals import refused

from semipose.data.formats import has_annotation, locate_coco, read_coco, read_detections, read_unlabeled_coco
from semipose.data.formats.image_list import links_to
from semipose.data.formats.json_rows import WrongRows
from semipose.errors import DataError
from semipose.skeletons import Skeleton
from semipose.structures import Persons

SKELETON = Skeleton(name="tri", keypoints=("head", "left", "right"), sigmas=(0.1, 0.1, 0.1), swaps=(("left", "right"),))


def annotation(number: int, image: int, **changes) -> dict:
    entry = {
        "id": number, "image_id": image, "category_id": 1, "iscrowd": 0, "area": 50.5, "bbox": [10, 20, 30.5, 40],
        "keypoints": [11, 21, 2, 12.5, 22, 1, 0, 0, 0], "num_keypoints": 2, "segmentation": [[1, 2, 3, 4]],
    }  # fmt: skip
    return {**entry, **changes}


def document() -> dict:
    return {
        "images": [
            {"id": 7, "file_name": "a.jpg", "width": 100, "height": 80},
            {"id": 3, "file_name": "sub/b.jpg", "width": 60, "height": 50},
        ],
        "annotations": [annotation(101, 3), annotation(55, 7), annotation(56, 7)],
        "categories": [{"id": 1, "name": "person", "keypoints": ["head", "left", "right"]}],
    }


def write(folder, content, name="set.json") -> str:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


def read(folder, content) -> Persons:
    return read_coco(write(folder, content), str(folder), SKELETON)


def read_unlabeled(folder, content) -> Persons:
    return read_unlabeled_coco(write(folder, content), str(folder), SKELETON)


def test_persons_are_read_in_annotation_order(tmp_path):
    persons = read(tmp_path, document())
    assert persons.ids.tolist() == [101, 55, 56]
    assert persons.image_ids.tolist() == [7, 3]
    assert persons.image_index.tolist() == [1, 0, 0]
    assert persons.path(0) == os.path.join(str(tmp_path), "sub/b.jpg")
    np.testing.assert_array_equal(persons.boxes[1], np.float32([10, 20, 30.5, 40]))
    np.testing.assert_array_equal(persons.keypoints[0], np.float32([[11, 21, 1], [12.5, 22, 1], [0, 0, 0]]))
    assert persons.areas.tolist() == [50.5] * 3 and persons.scores.tolist() == [1] * 3
    kinds = {name: getattr(persons, name).dtype for name in ("ids", "image_ids", "image_index", "boxes", "keypoints")}
    assert kinds == {"ids": np.int64, "image_ids": np.int64, "image_index": np.int32, "boxes": np.float32,
                     "keypoints": np.float32}  # fmt: skip


@pytest.mark.parametrize(
    ("box", "clipped"),
    [
        ([-5, -5, 20, 20], [0, 0, 15, 15]),
        ([90, 70, 50, 50], [90, 70, 9, 9]),  # to 99 and 79, the last pixel centres
        ([0, 0, 100, 80], [0, 0, 99, 79]),
    ],
)
def test_boxes_are_clipped(tmp_path, box, clipped):
    content = document()
    content["annotations"] = [annotation(1, 7, bbox=box)]
    assert read(tmp_path, content).boxes.tolist() == [clipped]


@pytest.mark.parametrize("area", [{"area": None}, {"area": 0}, {}])
def test_missing_area_is_estimated_from_the_clipped_box(tmp_path, area):
    content = document()
    content["annotations"] = [annotation(1, 7, bbox=[-10, 0, 20, 40]), annotation(2, 7, bbox=[1, 1, 1, 1])]
    for entry in content["annotations"]:
        del entry["area"]
        entry.update(area)
    assert read(tmp_path, content).areas.tolist() == pytest.approx([0.53 * 10 * 40, 1.0])


@pytest.mark.parametrize(
    "changes",
    [
        {"iscrowd": 1},
        {"keypoints": [5, 5, 0] * 3},
        {"keypoints": []},
        {"keypoints": None},
        {"bbox": [200, 10, 20, 20], "keypoints": [210, 15, 2] * 3},
        {"bbox": None, "keypoints": [5, 90, 2] * 3},
    ],
)
def test_left_out(tmp_path, changes):
    content = document()
    content["annotations"][0].update(changes)
    assert read(tmp_path, content).ids.tolist() == [55, 56]


def test_no_person_left_gives_empty_arrays(tmp_path):
    persons = read(tmp_path, {**document(), "annotations": []})
    assert persons.keypoints.shape == (0, 3, 3) and persons.boxes.shape == (0, 4) and len(persons.image_paths) == 2


WRONG_VALUES = {
    "bbox": ([1, 2, float("nan"), 4], [1, 2, 3, float("inf")], [1, 2, 3], "1 2 3 4", 0, [1, 2, True, 4]),
    "keypoints": (
        [1, 2, 2] * 4, [1, float("nan"), 2] * 3, [[1, 2, 2]] * 3, [1, 2, 3, 1, 2, 2, 1, 2, 2], [1, 2, 2, 1, 2, 2, 1, 2],
    ),
    "image_id": (12, "3", None),
    "area": (-1, "big"),
    "iscrowd": ("no",),
    "category_id": ("person",),
}  # fmt: skip


@pytest.mark.parametrize(
    ("field", "value"), [(field, value) for field, all_of in WRONG_VALUES.items() for value in all_of]
)
def test_wrong_annotation_is_named(tmp_path, field, value):
    content = document()
    content["annotations"][2][field] = value
    if field != "category_id":  # which only a pool looks at
        refused(lambda: read(tmp_path, content), "set.json", f"annotation id 56: {field}: ")
    content["annotations"][0]["keypoints"] = None  # the fault is named by its own row
    refused(lambda: read_unlabeled(tmp_path, content), "set.json", f"annotation id 56: {field}: ")


@pytest.mark.parametrize("value", [55, 1.5, 2**70, None])
def test_a_wrong_id_is_named_by_its_row(tmp_path, value):
    content = document()
    content["annotations"][2]["id"] = value
    refused(lambda: read(tmp_path, content), "set.json", "annotation number 2: id: ")


def test_all_wrong_rows_are_in_the_error_with_the_sound_persons(tmp_path):
    content = document()
    content["images"][1]["width"] = 0
    content["annotations"][1]["bbox"] = content["annotations"][1]["area"] = "wide"
    content["categories"].append({"id": 2, "keypoints": 5})
    for reader, sound in ((read, [56]), (read_unlabeled, [56])):
        with pytest.raises(WrongRows) as error:
            reader(tmp_path, content)
        found = {kind: list(rows) for kind, rows in error.value.rows.items()}
        assert found == {"category": [1], "image": [1], "annotation": [1]} and len(error.value.lines) == 3
        assert error.value.persons.ids.tolist() == sound
        assert "category id 2" in str(error.value) and "2 more" in str(error.value)


R10 = pytest.mark.promise("R10")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("width", 0), ("height", None), ("file_name", 5), ("file_name", ""),
        *(pytest.param("file_name", name, marks=R10)
          for name in ("../a.jpg", "sub/../../a.jpg", "/etc/a.jpg", "C:/a.jpg", "sub\\a.jpg", "a\0.jpg")),
    ],
)  # fmt: skip
def test_wrong_image_is_named(tmp_path, field, value):
    content = document()
    content["images"][1][field] = value
    refused(lambda: read(tmp_path, content), "set.json", f"image id 3: {field}: ")


@pytest.mark.parametrize("name", ["a..b.jpg", "..a.jpg", "mädchen/写真.jpg", "a b.jpg", "./a.jpg"])
def test_harmless_file_names(tmp_path, name):
    content = document()
    content["images"][0]["file_name"] = name
    assert read(tmp_path, content).path(1) == os.path.join(str(tmp_path), name)


@pytest.mark.parametrize("target", ["file", "folder"])
@pytest.mark.promise("R10")
def test_link_that_leads_out_is_refused(tmp_path, target):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/b.jpg").write_bytes(b"x")
    images = tmp_path / "images"
    images.mkdir()
    if target == "folder":
        (images / "sub").symlink_to(tmp_path / "outside")
    else:
        (images / "sub").mkdir()
        (images / "sub/b.jpg").symlink_to(tmp_path / "outside/b.jpg")
    file = write(tmp_path, document())
    refused(lambda: read_coco(file, str(images), SKELETON), "image id 3: file_name: 'sub/b.jpg'", "link")


@pytest.mark.parametrize("whole_folder", [True, False])
def test_links_into_a_folder_that_is_named(tmp_path, whole_folder):
    images, store = tmp_path / "images", tmp_path / "store"
    images.mkdir()
    (store / "sub").mkdir(parents=True)
    if whole_folder:
        (images / "sub").symlink_to(store / "sub")
    else:
        (images / "sub").mkdir()
        (images / "sub/b.jpg").symlink_to(store / "sub/b.jpg")
    file = write(tmp_path, document())
    with links_to([str(tmp_path / "sto"), str(tmp_path / "other")]):  # a name that begins alike is another folder
        refused(lambda: read_coco(file, str(images), SKELETON), "image id 3", "'sub/b.jpg'", "DATASET.LINKS")
    with links_to([str(tmp_path / "other"), str(tmp_path / "store")]):
        assert len(read_coco(file, str(images), SKELETON)) == 3
    refused(lambda: read_coco(file, str(images), SKELETON), "image id 3", "DATASET.LINKS")


def test_image_folder_may_be_a_link_and_links_inside_it_are_fine(tmp_path):
    real = tmp_path / "real"
    (real / "sub").mkdir(parents=True)
    (real / "a.jpg").write_bytes(b"x")
    (real / "sub/b.jpg").symlink_to(real / "a.jpg")
    (tmp_path / "link").symlink_to(real)
    assert len(read_coco(write(tmp_path, document()), str(tmp_path / "link"), SKELETON)) == 3


@pytest.mark.parametrize(
    "content",
    [
        "", "{", pytest.param("[" * 100_000, marks=pytest.mark.promise("R11")), "1" * 5000, "[]", "{}", b"\xff\xfe\x00",
        '{"images": {}}', '{"images": [1]}', '{"images": []}', '{"images": [], "annotations": 5}', None,
    ],
)  # fmt: skip
def test_wrong_documents(tmp_path, content):
    path = tmp_path / "set.json"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    refused(lambda: read_coco(str(path), str(tmp_path), SKELETON), "set.json")


@pytest.mark.parametrize(
    "names",
    [["head", "left"], ["head", "right", "left"], ["Head", " RIGHT", "LEFT "], ["nose", "right", "tail"], "head"],
)
def test_category_of_another_skeleton(tmp_path, names):
    content = document()
    content["categories"][0]["keypoints"] = names
    refused(lambda: read(tmp_path, content), "set.json", "category id 1: keypoints: ", "'tri'")


def test_other_names_are_only_logged(tmp_path, caplog):
    content = document()
    content["categories"][0]["keypoints"] = ["tip", "left", 5]
    assert len(read(tmp_path, content)) == 3
    assert "'tip' for 'head', '5' for 'right'" in caplog.text


def test_names_may_have_capitals_and_spaces(tmp_path, caplog):
    content = document()
    content["categories"][0]["keypoints"] = ["Upper head", "LEFT", "Right"]
    skeleton = Skeleton(name="big", keypoints=("upper_head", "left", "right"), sigmas=(0.1, 0.1, 0.1))
    assert len(read_coco(write(tmp_path, content), str(tmp_path), skeleton)) == 3
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


@pytest.mark.parametrize("reader", [read_coco, read_unlabeled_coco])
def test_coordinates_may_count_from_one(tmp_path, reader):
    content = document()
    content["annotations"] = [annotation(1, 7, bbox=[0.5, 70, 20, 10])]
    persons = reader(write(tmp_path, content), str(tmp_path), SKELETON, one_based=True)
    # moved before it is clipped to the 100 x 80 image
    assert persons.boxes.tolist() == [[0, 69, 19.5, 10]]
    np.testing.assert_array_equal(persons.keypoints[0, :2], np.float32([[10, 20, 1], [11.5, 21, 1]]))
    assert persons.keypoints[0, 2, 2] == 0


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({}, True),
        ({"keypoints": [5, 5, 0] * 3}, True),
        ({"keypoints": [], "category_id": None}, True),
        ({"keypoints": None}, True),
        ({"keypoints": None, "iscrowd": 1}, False),
        ({"keypoints": None, "bbox": [200, 10, 20, 20]}, False),
        ({"keypoints": None, "category_id": 2}, False),
    ],
)
def test_unlabeled_persons_need_a_box_only(tmp_path, changes, kept):
    content = document()
    content["annotations"][0].update(changes)
    persons = read_unlabeled(tmp_path, content)
    assert persons.ids.tolist() == [101] * kept + [55, 56]
    if kept and changes:
        assert not persons.keypoints[0, :, 2].any()
    np.testing.assert_array_equal(persons.keypoints[-2:], read(tmp_path, document()).keypoints[-2:])


def test_boxes_of_another_skeleton_serve_without_their_keypoints(tmp_path, caplog):
    content = document()
    content["categories"] = [{"id": 1, "name": "person", "keypoints": list("abcd")}, {"id": 2, "name": "dog"}]
    content["annotations"] = [annotation(1, 7, keypoints=[1, 2, 2] * 4), annotation(2, 3, category_id=2)]
    with caplog.at_level("INFO"):
        persons = read_unlabeled(tmp_path, content)
    assert persons.ids.tolist() == [1] and persons.keypoints.shape == (1, 3, 3) and not persons.keypoints.any()
    assert "skeleton 'tri'" in caplog.text
    content["categories"][0]["keypoints"] = ["head", "right", "left"]  # as many, so they are hidden labels: checked
    refused(lambda: read_unlabeled(tmp_path, content), "category id 1", "head, left, right")


def test_unlabeled_boxes_are_clipped_and_missing_areas_estimated(tmp_path):
    content = document()
    content["annotations"] = [{"id": 4, "image_id": 7, "bbox": [-10, 0, 20, 40]}]
    persons = read_unlabeled(tmp_path, content)
    assert persons.boxes.tolist() == [[0, 0, 10, 40]] and persons.areas.tolist() == pytest.approx([212])
    assert persons.keypoints.shape == (1, 3, 3) and not persons.keypoints.any()


@pytest.mark.parametrize(
    ("categories", "ids"),
    [
        ([{"id": 1, "name": "person"}, {"id": 2, "keypoints": ["head", "left", "right"]}], [55]),
        ([{"id": 3, "name": "dog"}, {"id": 1, "name": "person"}], [101]),
        ([{"id": 3, "name": "dog"}], [101, 55, 56]),
        (None, [101, 55, 56]),
    ],
)
def test_unlabeled_persons_are_told_by_their_category(tmp_path, categories, ids):
    content = {**document(), "categories": categories}
    for row, category in enumerate((1, 2, 3)):
        content["annotations"][row]["category_id"] = category
    assert read_unlabeled(tmp_path, content).ids.tolist() == ids


def test_unlabeled_other_categories_may_have_other_fields(tmp_path):
    content = document()
    content["annotations"][0].update(category_id=9, keypoints=[1, 2, 2], bbox=None)
    assert read_unlabeled(tmp_path, content).ids.tolist() == [55, 56]


@pytest.mark.parametrize("annotations", [{}, {"annotations": []}, {"annotations": None}])
def test_images_without_annotations_are_whole_frames(tmp_path, annotations):
    persons = read_unlabeled(tmp_path, {"images": document()["images"], **annotations})
    assert persons.ids.tolist() == [1, 2] and persons.image_index.tolist() == [0, 1]
    assert persons.image_ids.tolist() == [7, 3]
    assert persons.path(1) == os.path.join(str(tmp_path), "sub/b.jpg")
    assert persons.boxes.tolist() == [[0, 0, 100, 80], [0, 0, 60, 50]]
    assert persons.areas.tolist() == pytest.approx([0.53 * 8000, 0.53 * 3000])
    assert persons.keypoints.shape == (2, 3, 3) and not persons.keypoints.any()


def detections() -> list[dict]:
    box = [10, 10, 20, 20]
    return [
        {"image_id": 7, "category_id": 1, "bbox": [-10, 10, 20, 20], "score": 0.9},
        {"image_id": 3, "category_id": 2, "bbox": box, "score": 0.9},
        {"image_id": 3, "category_id": 1, "bbox": box, "score": 0.3},
        {"image_id": 3, "category_id": 1, "bbox": box, "score": 0.29},
        {"image_id": 99, "category_id": 1, "bbox": box, "score": 0.9},
        {"image_id": 3, "category_id": 1, "bbox": [90, 10, 20, 20], "score": 0.9},
    ]


def read_boxes(folder, content, threshold=0.3) -> Persons:
    images = {"images": document()["images"]}
    files = write(folder, content, "boxes.json"), write(folder, images, "images.json")
    return read_detections(*files, str(folder), SKELETON, threshold)


def test_detections(tmp_path, caplog):
    persons = read_boxes(tmp_path, detections())
    assert persons.image_index.tolist() == [0, 1]
    assert persons.boxes.tolist() == [[0, 10, 10, 20], [10, 10, 20, 20]]
    assert persons.scores.tolist() == pytest.approx([0.9, 0.3])
    assert persons.areas.tolist() == pytest.approx([0.53 * 200, 0.53 * 400])
    assert persons.keypoints.shape == (2, 3, 3) and not persons.keypoints.any()
    assert len(set(persons.ids.tolist())) == 2
    assert "skipped 1 detections" in caplog.text
    refused(lambda: read_boxes(tmp_path, []), "boxes.json", "empty")


@pytest.mark.parametrize(
    ("field", "value"), [("bbox", [1, 2, 3, float("nan")]), ("score", "high"), ("score", None), ("category_id", "1")]
)
def test_wrong_detection_is_named_by_its_place(tmp_path, field, value):
    content = detections()
    content[2][field] = value
    refused(lambda: read_boxes(tmp_path, content), "boxes.json", f"detection number 2: {field}: ")


def test_detections_of_another_data_set(tmp_path):
    refused(lambda: read_boxes(tmp_path, detections()[4:5]), "boxes.json", "images.json")


@pytest.mark.parametrize("place", ["images/some", "some", "images", "annotations", "."])
@pytest.mark.parametrize("prefix", ["person_keypoints_", "image_info_", ""])
def test_locate_looks_in_the_usual_places(tmp_path, prefix, place):
    (tmp_path / "annotations").mkdir()
    path = write(tmp_path / "annotations", document(), f"{prefix}some.json")
    (tmp_path / place / "sub").mkdir(parents=True, exist_ok=True)
    (tmp_path / place / "sub/b.jpg").write_bytes(b"x")  # a.jpg, the first one, is missing
    for name in (f"annotations/{prefix}some.json", *(["some"] if prefix else [])):
        annotation_file, images = locate_coco(str(tmp_path), name)
        assert os.path.samefile(annotation_file, path) and os.path.samefile(images, tmp_path / place)


def test_locate_prefers_the_folder_of_the_set(tmp_path):
    write(tmp_path, document(), "image_info_some.json")
    for place in ("images/some", "some", "images"):
        (tmp_path / place).mkdir(parents=True, exist_ok=True)
        (tmp_path / place / "a.jpg").write_bytes(b"x")
    assert locate_coco(str(tmp_path), "image_info_some.json")[1] == str(tmp_path / "images/some")


def test_set_with_images_only(tmp_path):
    (tmp_path / "annotations").mkdir()
    (tmp_path / "some").mkdir()
    (tmp_path / "some/a.jpg").write_bytes(b"x")
    bare = write(tmp_path / "annotations", {"images": document()["images"]}, "image_info_some.json")
    located = locate_coco(str(tmp_path), "some")
    assert located == (bare, str(tmp_path / "some"))
    assert len(read_unlabeled_coco(*located, SKELETON)) == 2
    refused(lambda: read_coco(*located, SKELETON), "image_info_some.json", "'annotations'")
    full = write(tmp_path / "annotations", document(), "person_keypoints_some.json")
    assert locate_coco(str(tmp_path), "some")[0] == full


def test_has_annotation(tmp_path):
    root = str(tmp_path)
    (tmp_path / "annotations").mkdir()
    (tmp_path / "folder").mkdir()
    path = write(tmp_path / "annotations", document(), "person_keypoints_full.json")
    write(tmp_path / "annotations", document(), "image_info_bare.json")
    names = ("full", "bare", path, "annotations/image_info_bare.json")
    assert all(has_annotation(root, name) for name in names)
    assert not any(has_annotation(root, name) for name in ("folder", "absent", "absent.json", "annotations"))


def test_locate_by_file_and_image_folder(tmp_path):
    path = write(tmp_path, document())
    (tmp_path / "pictures").mkdir()
    for name in ("set.json", path):
        assert locate_coco(str(tmp_path), name, "pictures") == (path, str(tmp_path / "pictures"))


@pytest.mark.parametrize(
    ("root", "name", "images", "word"),
    [
        ("absent", "set.json", "", "absent"), (".", "some", "", "person_keypoints_some.json"),
        (".", "set.json", "absent", "absent"), (".", "set.json", "", "'a.jpg'"),
        (".", "broken.json", "", "broken.json"),
        (".", "empty.json", "", "empty.json"), (".", "bare.json", "", "bare.json"),
    ],
)  # fmt: skip
def test_locate_faults(tmp_path, root, name, images, word):
    write(tmp_path, document())
    for other, content in {"broken.json": "{", "empty.json": "", "bare.json": '{"images": []}'}.items():
        write(tmp_path, content, other)
    refused(lambda: locate_coco(str(tmp_path / root), name, images), word)


@settings(max_examples=180, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(damaged(document), st.sampled_from([read, read_unlabeled]))
@pytest.mark.promise("R18", trials=180)
def test_any_damage_gives_persons_or_a_named_error(tmp_path, content, reader):
    try:
        persons = reader(tmp_path, content)
    except DataError as error:
        assert "set.json" in str(error) and "\n" not in str(error) and len(str(error)) < 1000
        str(error).encode()  # can be printed
        return
    assert (
        np.isfinite(persons.boxes).all() and np.isfinite(persons.keypoints).all() and np.isfinite(persons.areas).all()
    )
    assert (persons.boxes[:, 2:] > 0).all() and (persons.areas > 0).all()
    assert np.isin(persons.keypoints[:, :, 2], (0, 1)).all()
    assert all(".." not in path[len(str(tmp_path)) :].split("/") for path in persons.image_paths.tolist())


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["image_id", "category_id", "bbox", "score"]), VALUES)
@pytest.mark.promise("R18", trials=50)
def test_any_damaged_detection_gives_persons_or_a_named_error(tmp_path, field, value):
    content = detections()
    content[0][field] = value
    try:
        persons = read_boxes(tmp_path, content)
    except DataError as error:
        assert "boxes.json" in str(error) and "\n" not in str(error)
        return
    assert np.isfinite(persons.boxes).all() and (persons.boxes[:, 2:] > 0).all()
