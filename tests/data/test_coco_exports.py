"""COCO files as tools and people write them: boxes, categories, flags, sizes and file names."""

import json
import logging

import numpy as np
import pytest
from refusals import refused
from small_coco import draw

from semipose.data.formats import locate_coco, read_coco, read_detections, read_unlabeled_coco
from semipose.data.formats.coco_categories import category_names
from semipose.evaluation.ground_truth import CocoReading, load_ground_truth
from semipose.skeletons import Skeleton, get_skeleton
from semipose.structures import Persons

TRI = Skeleton(name="tri", keypoints=("head", "left", "right"), sigmas=(0.1, 0.1, 0.1), swaps=(("left", "right"),))
NAMES = list(TRI.keypoints)


def annotation(number: int, **changes) -> dict:
    person = {"id": number, "image_id": 7, "category_id": 1, "iscrowd": 0, "bbox": [10, 20, 30, 40], "area": 600}
    return person | {"keypoints": [12, 22, 2, 30, 50, 2, 0, 0, 0], "num_keypoints": 2} | changes


def document(*annotations: dict, **changes) -> dict:
    images = [{"id": 7, "file_name": "a.jpg", "width": 100, "height": 80}]
    categories = [{"id": 1, "name": "cat", "keypoints": NAMES}]
    return {"images": images, "annotations": list(annotations), "categories": categories} | changes


def write(folder, content, name="set.json") -> str:
    (folder / name).write_text(json.dumps(content))
    return str(folder / name)


def read(folder, content, **options) -> Persons:
    return read_coco(write(folder, content), str(folder), TRI, **options)


def scored(folder, content, skeleton=TRI, **reading) -> list[dict]:
    """The annotations that OKS is computed from."""
    reading = CocoReading(skeleton, **reading)
    return load_ground_truth(write(folder, content), skeleton.sigmas, reading).dataset["annotations"]


LINE = {"keypoints": [20, 30, 2, 60, 30, 2, 0, 0, 0], "bbox": [20, 30, 40, 0], "area": 0}
POINT = {"keypoints": [50, 40, 2, 0, 0, 0, 0, 0, 0], "num_keypoints": 1}


@pytest.mark.parametrize(
    ("changes", "box"),
    [
        (LINE, [16, 26, 48, 8]),  # a tenth of 40 px more on each side
        (LINE | {"bbox": None}, [16, 26, 48, 8]),
        (LINE | {"bbox": []}, [16, 26, 48, 8]),
        (LINE | {"bbox": [20, 30, -40, 9]}, [16, 26, 48, 8]),
        (LINE | {"bbox": [200, 30, 40, 9]}, [16, 26, 48, 8]),  # outside the image
        (POINT | {"bbox": [50, 40, 0, 0], "area": 0}, [35, 20, 30, 40]),  # as large as the other person's box
        (POINT | {"bbox": None, "area": None, "keypoints": [99, 40, 2] + [0] * 6}, [84, 20, 15, 40]),  # clipped
    ],
)
def test_a_box_without_area_comes_from_the_keypoints_in_training_and_scoring(tmp_path, changes, box, caplog):
    content = document(annotation(1), annotation(2, **changes))
    persons = read(tmp_path, content)
    assert persons.boxes.tolist() == [[10, 20, 30, 40], box]
    assert persons.areas.tolist() == pytest.approx([600, 0.53 * box[2] * box[3]])
    truth = scored(tmp_path, content)
    assert [row["bbox"] for row in truth] == [[10, 20, 30, 40], box] and truth[1]["num_keypoints"] > 0
    assert [row["area"] for row in truth] == pytest.approx([600, 0.53 * box[2] * box[3]])
    assert caplog.text.count("set.json: 1 boxes that are missing or without area") == 1
    pool = read_unlabeled_coco(write(tmp_path, content), str(tmp_path), TRI)
    np.testing.assert_array_equal(pool.boxes, persons.boxes)


def test_one_keypoint_and_no_box_at_all(tmp_path, caplog):
    tip = Skeleton(name="tip", keypoints=("tip",), sigmas=(0.1,))
    person = annotation(1, keypoints=[50, 40, 2], bbox=[50, 40, 0, 0], area=0)
    content = document(person, categories=[{"id": 1, "keypoints": ["tip"]}])
    persons = read_coco(write(tmp_path, content), str(tmp_path), tip)
    assert persons.boxes.tolist() == [[40, 30, 20, 20]]  # a fifth of the longer side of 100 x 80
    assert scored(tmp_path, content, tip)[0]["bbox"] == [40, 30, 20, 20]
    assert "1 have one point" in caplog.text


def test_a_crowd_without_a_box_stays_a_region_to_ignore(tmp_path):
    content = document(annotation(1), annotation(2, iscrowd=True, bbox=None))
    assert read(tmp_path, content).ids.tolist() == [1]
    assert [(row["iscrowd"], row["bbox"]) for row in scored(tmp_path, content)] == [
        (0, [10, 20, 30, 40]), (1, [0, 0, 0, 0]),
    ]  # fmt: skip


def species(count: int, **changes) -> list[dict]:
    return [{"id": n, "name": f"species {n}", "keypoints": NAMES} | changes for n in range(1, count + 1)]


def test_all_categories_of_the_skeleton_are_one_class(tmp_path, caplog):
    content = document(*(annotation(n, category_id=n) for n in (1, 2, 3)), categories=species(3))
    with caplog.at_level(logging.INFO):
        assert read(tmp_path, content).ids.tolist() == [1, 2, 3]
    assert "3 persons of 3 categories (one class)" in caplog.text
    truth = scored(tmp_path, content)
    assert [row["annotation_id"] for row in truth] == [1, 2, 3] and len({row["category_id"] for row in truth}) == 1
    assert category_names(write(tmp_path, content)) == {1: "species_1", 2: "species_2", 3: "species_3"}


@pytest.mark.parametrize("wanted", [["2"], ["species 2"]])
def test_categories_are_chosen_by_id_or_name(tmp_path, wanted, caplog):
    content = document(*(annotation(n, category_id=n) for n in (1, 2, 3)), categories=species(3))
    assert read(tmp_path, content, categories=wanted).ids.tolist() == [2]
    assert [row["annotation_id"] for row in scored(tmp_path, content, categories=wanted)] == [2]
    assert "left out 2 annotations" in caplog.text and "'species 1' (1)" in caplog.text
    refused(lambda: read(tmp_path, content, categories=["dog"]), "set.json", "'dog'", "2 'species 2'")


@pytest.mark.parametrize("names", [["a", "b"], ["a", "b", "c"], ["head", "right", "left"], [*NAMES, "tail"]])
def test_categories_with_other_keypoints_are_left_out_and_named(tmp_path, names, caplog):
    other = {"id": 2, "name": "chair", "keypoints": names}
    rows = annotation(1), annotation(2, category_id=2, keypoints=[1, 2, 2] * len(names))
    content = document(*rows, categories=[*species(1), other])
    assert read(tmp_path, content).ids.tolist() == [1]
    assert [row["annotation_id"] for row in scored(tmp_path, content)] == [1]
    assert read_unlabeled_coco(write(tmp_path, content), str(tmp_path), TRI).ids.tolist() == [1]
    assert "left out 1 annotations of categories with other keypoints: 'chair' (1)" in caplog.text
    if set(names) & set(NAMES) or len(names) != 3:
        refused(lambda: read(tmp_path, content, categories=["chair"]), "set.json", "category id 2: keypoints")
    else:  # as many of them, all with names of their own: believed where they are asked for
        assert read(tmp_path, content, categories=["chair"]).ids.tolist() == [2]


def test_more_names_than_points(tmp_path, caplog):
    content = document(annotation(1), categories=species(1, keypoints=[*NAMES, "tail"]))
    assert read(tmp_path, content).ids.tolist() == [1]
    assert "names 4 keypoints" in caplog.text
    assert len(scored(tmp_path, content)) == 1
    content["annotations"][0]["keypoints"] += [1, 2, 2]
    refused(lambda: read(tmp_path, content), "set.json", "category id 1")


def test_truth_values_for_numbers(tmp_path, caplog):
    keypoints = [12, 22, True, 30, 50, True, 0, 0, False]
    content = document(annotation(1, iscrowd=False, keypoints=keypoints), annotation(2, iscrowd=True), annotation(3))
    persons = read(tmp_path, content)
    assert persons.ids.tolist() == [1, 3] and persons.keypoints[0, :, 2].tolist() == [1, 1, 0]
    assert [row["keypoints"] for row in scored(tmp_path, content)][0] == [12, 22, 2, 30, 50, 2, 0, 0, 0]
    assert "2 annotations have true or false as numbers of 'iscrowd'" in caplog.text
    assert "1 annotations have true or false as numbers of 'keypoints'" in caplog.text
    content["annotations"][0]["keypoints"][0] = True  # x
    refused(lambda: read(tmp_path, content), "set.json", "annotation id 1: keypoints")


@pytest.mark.parametrize("size", [{}, {"width": None, "height": None}, {"width": -1, "height": -1}, {"width": 90}])
def test_sizes_that_are_not_given_are_read_from_the_file(tmp_path, size, caplog):
    draw(tmp_path / "a.jpg", 0, (90, 70))
    content = document(annotation(1, bbox=[10, 20, 200, 200]), annotation(2, **LINE))
    content["images"] = [{"id": 7, "file_name": "a.jpg"} | size]
    assert read(tmp_path, content).boxes.tolist() == [[10, 20, 79, 49], [16, 26, 48, 8]]
    assert "1 images without width and height" in caplog.text
    assert scored(tmp_path, content, image_dir=str(tmp_path))[1]["bbox"] == [16, 26, 48, 8]
    content["images"][0]["file_name"] = "none.jpg"
    refused(lambda: read(tmp_path, content), "set.json", "image id 7", "none.jpg")


def whole_body(**changes) -> dict:
    counts = {"keypoints": 17, "foot_kpts": 6, "face_kpts": 68, "lefthand_kpts": 21, "righthand_kpts": 21}
    flags = {"foot_valid": True, "face_valid": True, "lefthand_valid": False, "righthand_valid": True}
    fields = {field: [place + 1, 10, 1] * count for place, (field, count) in enumerate(counts.items())}
    return annotation(1, num_keypoints=17) | fields | flags | changes


def test_the_five_fields_of_whole_body_are_joined(tmp_path):
    skeleton, body = get_skeleton("coco_wholebody"), get_skeleton("coco")
    content = document(whole_body(), categories=[{"id": 1, "name": "person", "keypoints": list(body.keypoints)}])
    points = read_coco(write(tmp_path, content), str(tmp_path), skeleton).keypoints[0]
    assert points[[0, 16, 17, 22, 23, 90, 112, 132], 0].tolist() == [1, 1, 2, 2, 3, 3, 5, 5]
    assert points[:, 2].tolist() == [1] * 91 + [0] * 21 + [1] * 21  # the left hand is not valid
    (truth,) = scored(tmp_path, content, skeleton)
    assert truth["num_keypoints"] == 112 and len(truth["keypoints"]) == 399
    assert read_coco(write(tmp_path, content), str(tmp_path), body).keypoints.shape == (1, 17, 3)
    content["annotations"] = [whole_body(face_kpts=[1, 2, 1] * 60)]
    refused(lambda: read_coco(write(tmp_path, content), str(tmp_path), skeleton), "annotation id 1: face_kpts", "204")


def located(root, name: str) -> tuple[str, str]:
    """Where the image of a set whose file is `name` is found, below `root`."""
    content = document(annotation(1))
    content["images"][0]["file_name"] = name
    write(root, content)
    file, folder = locate_coco(str(root), "set.json")
    return read_coco(file, folder, TRI).path(0)


ELSEWHERE = ("C:\\me\\set\\images\\a.jpg", "/home/me/a.jpg", "\\\\host\\share\\set\\a.jpg")


@pytest.mark.parametrize("name", ["images\\a.jpg", "{root}/images/a.jpg", *ELSEWHERE])
def test_file_names_of_other_machines(tmp_path, name, caplog):
    draw(tmp_path / "images/a.jpg", 0)
    assert located(tmp_path, name.format(root=tmp_path)) == str(tmp_path / "images/a.jpg")
    assert "1 file names" in caplog.text


def test_absolute_names_below_several_folders_of_the_root(tmp_path):
    content = document(annotation(1), annotation(2, image_id=8))
    for image, place in zip((7, 8), ("one/a.jpg", "two/a.jpg")):
        draw(tmp_path / place, image)
    content["images"] = [
        {"id": n, "file_name": f"{tmp_path}/{place}", "width": 100, "height": 80}
        for n, place in ((7, "one/a.jpg"), (8, "two/a.jpg"))
    ]
    write(tmp_path, content)
    persons = read_coco(*locate_coco(str(tmp_path), "set.json"), TRI)
    assert [persons.path(row) for row in (0, 1)] == [str(tmp_path / "one/a.jpg"), str(tmp_path / "two/a.jpg")]


def test_a_file_of_windows_with_a_byte_order_mark(tmp_path):
    draw(tmp_path / "a.jpg", 0)
    (tmp_path / "SET.JSON").write_text(json.dumps(document(annotation(1))), encoding="utf-8-sig")
    assert read_coco(*locate_coco(str(tmp_path), "SET.JSON"), TRI).path(0) == str(tmp_path / "a.jpg")


def test_absolute_names_of_pictures_of_this_machine(tmp_path, caplog):
    root = tmp_path / "root"
    draw(root / "images/b.jpg", 0)
    draw(tmp_path / "store/a.jpg", 0)
    assert located(root, f"{tmp_path}/store/a.jpg") == str(tmp_path / "store/a.jpg")
    assert "1 file names are absolute" in caplog.text
    (tmp_path / "secret.txt").write_text("x")
    (tmp_path / "store/link.jpg").symlink_to(tmp_path / "secret.txt")
    for name in ("store/link.jpg", "store/../store/a.jpg", "secret.txt"):
        refused(lambda name=name: located(root, f"{tmp_path}/{name}"), "set.json")


@pytest.mark.promise("R10")
@pytest.mark.parametrize("name", ["images\\..\\..\\a.jpg", "/home/../a.jpg", "{outside}/a.txt", "/x/a\0.jpg"])
def test_names_that_lead_out_stay_refused(tmp_path, name):
    root = tmp_path / "root"
    draw(root / "images/b.jpg", 0)
    draw(tmp_path / "a.jpg", 0)
    (tmp_path / "a.jpg").rename(tmp_path / "a.txt")
    refused(lambda: located(root, name.format(outside=tmp_path)), "set.json", "a")
    content = document(annotation(1))
    content["images"][0]["file_name"] = name.format(outside=tmp_path)
    file = write(root, content)
    refused(lambda: read_coco(file, str(root / "images"), TRI), "set.json", "image id 7: file_name")


def test_two_paths_that_would_become_one_name_are_refused(tmp_path):
    draw(tmp_path / "a.jpg", 0)
    content = document(annotation(1))
    content["images"] = [
        {"id": n, "file_name": f"/x/{n}/a.jpg", "width": 100, "height": 80} for n in (7, 8)
    ]  # fmt: skip
    refused(lambda: read(tmp_path, content), "set.json", "image id 7: file_name", "absolute")


def detected(folder, rows, content=None, **options) -> Persons:
    content = content or document(annotation(1, category_id=3), categories=[{"id": 3, "keypoints": NAMES}])
    files = write(folder, rows, "det.json"), write(folder, content)
    return read_detections(*files, str(folder), TRI, **options)


def detection(**changes) -> dict:
    return {"image_id": 7, "category_id": 3, "bbox": [10, 20, 30, 40], "score": 0.9} | changes


def test_detections_have_the_category_of_the_keypoints(tmp_path):
    assert len(detected(tmp_path, [detection(), detection(category_id=1)])) == 1
    assert len(detected(tmp_path, [detection(), detection(category_id=0)], box_categories=[0, 3])) == 2
    unnamed = document(annotation(1, category_id=3), categories=None)
    assert len(detected(tmp_path, [detection()], unnamed)) == 1
    many = document(annotation(1), categories=species(4))
    assert len(detected(tmp_path, [detection()], many)) == 1
    refused(lambda: detected(tmp_path, [detection()], many, categories=["species 2"]), "det.json", "3 (1)")


def test_detections_that_cannot_be_used_are_named(tmp_path):
    zero = [detection(category_id=0)] * 2
    refused(
        lambda: detected(tmp_path, zero), "det.json", "category 3, that of the keypoints", "0 (2)", "box_categories"
    )
    refused(lambda: detected(tmp_path, zero, box_categories=[7]), "det.json", "category 7, as asked", "0 (2)")
    refused(lambda: detected(tmp_path, []), "det.json", "empty")
    refused(lambda: detected(tmp_path, [detection()], score_threshold=0.95), "det.json", "0.9", "0.95")
    refused(lambda: detected(tmp_path, [detection(image_id=9)]), "det.json", "set.json")
    refused(lambda: detected(tmp_path, [detection(image_id="b")]), "det.json", "set.json", "'b'")


@pytest.mark.parametrize("name", ["a", "a.jpg", "sub/a.jpg", "sub/a"])
def test_image_ids_may_be_names_of_files(tmp_path, name, caplog):
    content = document(annotation(1, category_id=3), categories=[{"id": 3, "keypoints": NAMES}])
    content["images"][0]["file_name"] = "sub/a.jpg"
    persons = detected(tmp_path, [detection(image_id=name), detection(image_id="b")], content)
    assert len(persons) == 1 and persons.image_ids[persons.image_index].tolist() == [7]
    assert "image ids of 1 detections are texts" in caplog.text and "skipped 1" in caplog.text
    content["images"].append({"id": 8, "file_name": "other/a.jpg", "width": 100, "height": 80})
    if not name.startswith("sub"):
        refused(lambda: detected(tmp_path, [detection(image_id=name)], content), "det.json", "2 images")


def test_image_ids_may_be_texts_of_ids_if_none_is_the_name_of_a_file(tmp_path):
    images = [{"id": n, "file_name": f"{n - 1}.jpg", "width": 100, "height": 80} for n in (7, 9)]
    content = document(annotation(1, category_id=3), images=images, categories=[{"id": 3, "keypoints": NAMES}])
    for names, ids in ((("7", "9"), [7, 9]), (("6", "9"), [7])):
        persons = detected(tmp_path, [detection(image_id=name) for name in names], content)
        assert persons.image_ids[persons.image_index].tolist() == ids


def test_image_ids_may_be_numbers_of_files(tmp_path, caplog):
    images = [{"id": n + 1, "file_name": f"{n:03d}.jpg", "width": 100, "height": 80} for n in range(3)]
    categories = [{"id": 3, "keypoints": NAMES}]
    content = document(annotation(1, category_id=3, image_id=1), images=images, categories=categories)
    persons = detected(tmp_path, [detection(image_id=n) for n in (0, 1)], content)
    assert persons.image_ids[persons.image_index].tolist() == [1, 2]
    assert "numbers in the names of the files" in caplog.text
    persons = detected(tmp_path, [detection(image_id=n) for n in (1, 2)], content)  # all are ids
    assert persons.image_ids[persons.image_index].tolist() == [1, 2]
