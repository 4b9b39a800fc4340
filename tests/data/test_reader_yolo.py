"""YOLO pose labels: hand-computed persons, where images and labels lie, and a named error for every broken line."""

import numpy as np
import pytest
from PIL import Image
from refusals import refused

from semipose.data.formats.yolo import read_yolo
from semipose.errors import SemiposeError
from semipose.skeletons import Skeleton

SKELETON = Skeleton(
    name="tri", keypoints=("head", "left_hand", "right_hand"), sigmas=(0.1,) * 3, swaps=(("left_hand", "right_hand"),)
)
WIDTH, HEIGHT = 100, 50
LINE = "0 0.5 0.5 0.4 0.8 0.5 0.2 2 0.4 0.6 1 0 0 0"
DATA = "path: .\ntrain: images/train\nval: images/val\nkpt_shape: [3, 3]\nflip_idx: [0, 2, 1]\nnames:\n  0: cat\n"


@pytest.fixture
def make(tmp_path, draw_image):
    """A function that makes images with label files, and data.yaml, and gives the folder."""

    def run(data: str = DATA, images: str = "images/train", labels: str = "labels/train", **files: str):
        for name, text in (files or {"a": LINE}).items():
            draw_image(tmp_path / images / f"{name}.jpg", (WIDTH, HEIGHT))
            (tmp_path / labels).mkdir(parents=True, exist_ok=True)
            (tmp_path / labels / f"{name}.txt").write_text(text)
        if data:
            (tmp_path / "data.yaml").write_text(data)
        return tmp_path

    return run


def read(folder, split="train", **keys):
    return read_yolo(str(folder), SKELETON, split, root=str(keys.pop("root", folder)), **keys)


def test_values_boxes_and_paths(make):
    persons = read(make(a=f"{LINE}\n\n1 0.1 0.1 0.4 0.4\n", b=LINE))
    assert persons.image_paths.tolist() == [f"{make()}/images/train/{name}.jpg" for name in "ab"]
    assert persons.image_index.tolist() == [0, 0, 1] and persons.ids.tolist() == [1, 2, 3]
    assert persons.keypoints[0].tolist() == [[50, 10, 1], [40, 30, 1], [0, 0, 0]]
    assert not persons.keypoints[1].any() and persons.group_ids.tolist() == [-1] * 3
    np.testing.assert_allclose(persons.boxes[:2], [[30, 5, 40, 40], [0, 0, 30, 15]], atol=1e-4)
    np.testing.assert_allclose(persons.areas[:2], [0.53 * 1600, 0.53 * 450], rtol=1e-5)


@pytest.mark.parametrize(("points", "labelled"), [
    ("0.5 0.2 0.4 0.6 0 0", [1, 1, 0]), ("0.5 0.2 -1 -1 0.1 0.1", [1, 0, 1]), ("0.5 0 0 0.5 0 0", [1, 1, 0]),
])  # fmt: skip
@pytest.mark.parametrize("shape", ["kpt_shape: [3, 2]\n", ""])
def test_two_numbers_for_each_keypoint(make, points, labelled, shape):
    data = DATA.replace("kpt_shape: [3, 3]\n", shape)
    assert read(make(data, a=f"0 0.5 0.5 0.4 0.8 {points}")).keypoints[0, :, 2].tolist() == labelled


@pytest.mark.parametrize(("data", "images", "labels"), [
    ("path: .\ntrain: images/train\nnames: [cat]\n", "images/train", "labels/train"),
    ("train: ../train/images\nnames: [cat]\n", "train/images", "train/labels"),  # as Roboflow writes it
    ("path: /home/me/sets\ntrain: images\nnames: [cat]\n", "images", "labels"),
    ("path: deep\\er\ntrain: images\nnames: [cat]\n", "deep/er/images", "deep/er/labels"),
    ("train: [images/one, images/train]\nnames: [cat]\n", "images/train", "labels/train"),
    ("path: ./\ntrain: train.txt\nnames: [cat]\n", "images/train", "labels/train"),  # as CVAT writes it
    ("train: frames\nnames: [cat]\n", "frames", "frames"),  # no folder is named images
    ("", "images/train", "labels/train"), ("", "train/images", "train/labels"), ("", "images", "labels"),
])  # fmt: skip
def test_where_images_and_labels_lie(make, draw_image, data, images, labels):
    folder = make(data, images, labels)
    draw_image(folder / "images/one/one.jpg", (WIDTH, HEIGHT))
    (folder / "train.txt").write_text("./images/train/a.jpg\n")
    persons = read(folder)
    assert persons.path(0) == str(folder / images / "a.jpg") and len(persons) == 1
    assert persons.keypoints[0, 0].tolist() == [50, 10, 1]


@pytest.mark.parametrize(
    "line",
    [
        "images/train/a.jpg",
        "./images/train/a.jpg",
        "images\\train\\a.jpg",
        "{}/images/train/a.jpg",
        "data/images/train/a.jpg",
        "/content/set/images/train/a.jpg",
        "D:\\set\\images\\train\\a.jpg",
    ],  # fmt: skip
)
def test_lists_of_images(make, line):
    folder = make("train: lists/train.txt\nnames: [cat]\n")
    (folder / "lists").mkdir()
    (folder / "lists/train.txt").write_text(line.format(folder) + "\n")
    assert read(folder / "data.yaml").path(0) == str(folder / "images/train/a.jpg")


@pytest.mark.parametrize("data", ["train: /content/set/images/train", "path: D:\\set\ntrain: images/train"])
def test_folders_of_another_machine(make, caplog, data):
    folder = make(f"{data}\nnames: [cat]\n")
    assert read(folder).path(0) == str(folder / "images/train/a.jpg")
    assert f"{folder}/images/train is taken" in caplog.text


def test_splits(make):
    make(images="images/val", labels="labels/val", b=LINE, c=LINE)
    folder = make()
    assert [len(read(folder, split)) for split in ("train", "val")] == [1, 2]
    refused(lambda: read(folder, "test"), "data.yaml: test", "train, val")
    (folder / "data.yaml").unlink()
    assert [len(read(folder, split)) for split in ("train", "val")] == [1, 2]


def test_the_images_of_a_source(make):
    folder = make("", "pictures", "text")
    assert len(read(folder / "text", images=str(folder / "pictures"))) == 1


def test_chosen_classes(make, caplog):
    folder = make(DATA.replace("  0: cat", "  0: cat\n  1: dog"), a=f"{LINE}\n1{LINE[1:]}\n1 0.1 0.1 0.4 0.4")
    counts = [len(read(folder, categories=chosen)) for chosen in ((), ("dog",), ("0",), (1, "cat"))]
    assert counts == [3, 2, 1, 3]
    assert "1 persons left out, whose class" in caplog.text
    refused(lambda: read(folder, categories=("cow",)), "data.yaml", "'cow'", "0 cat, 1 dog")


def test_keypoints_by_name(make):
    folder = make(DATA + "kpt_names:\n  0: [Right Hand, head, left-hand]\n")
    assert read(folder).keypoints[0].tolist() == [[40, 30, 1], [0, 0, 0], [50, 10, 1]]
    make(DATA + "node_names:\n- right_hand\n- head\n- left_hand\n")  # as sleap-io writes it
    assert read(folder).keypoints[0].tolist() == [[40, 30, 1], [0, 0, 0], [50, 10, 1]]
    make(DATA + "kpt_names:\n  0: [nose, head, left-hand]\n")
    refused(lambda: read(folder), "data.yaml: kpt_names", "'tri'")


@pytest.mark.parametrize(("flipped", "said"), [("[0, 2, 1]", False), ("[0, 1, 2]", False), ("[1, 0, 2]", True)])
def test_other_swaps_than_those_of_the_skeleton_are_told(make, caplog, flipped, said):
    read(make(DATA.replace("[0, 2, 1]", flipped)))
    assert ("flip_idx" in caplog.text) == said


def test_what_is_counted(make, caplog):
    (make(b="0 0.5 0.5 0 0 0.5 0.2 2 0.4 0.6 1 1.2 0.5 2", c="0 0.5 0.5 0 0") / "labels/train/a.txt").unlink(
        missing_ok=True
    )
    folder = make()
    (folder / "labels/train/a.txt").unlink()
    persons = read(folder)
    np.testing.assert_allclose(persons.boxes, [[38, 8, 14, 24]], atol=1e-4)  # margin 2 = 10 % of 20
    for text in ("1 images without a label file", "1 boxes without area", "1 labels outside", "1 persons left out"):
        assert text in caplog.text


@pytest.mark.parametrize(("line", "words"), [
    ("0 0.5 0.5 0.4", "has 4 numbers, 5 or 14"), (LINE + " 0", "has 15 numbers"), ("0 0.5 0.5 0.4 x", "no number"),
    ("0.5 0.5 0.5 0.4 0.8", "class: '0.5'"), ("-1 0.5 0.5 0.4 0.8", "class: '-1'"), ("0 50 25 40 40", "the box"),
    ("0 nan 0.5 0.4 0.8", "the box"), (LINE.replace("0.2", "20"), "a keypoint"),
    (LINE.replace(" 2 ", " nan "), "v of a"), (LINE.replace(" 2 ", " 3 "), "v of a"),
    (LINE.replace(" 2 ", " 0.87 "), "v of a keypoint"),
])  # fmt: skip
def test_broken_lines(make, line, words):
    folder = make(a=f"{LINE}\n{line}\n{line}")
    refused(lambda: read(folder), f"{folder}/labels/train/a.txt: line 2: ", words, "1 more")


@pytest.mark.parametrize(("data", "words"), [
    ("train: none\nnames: [cat]\n", ("data.yaml: train: 'none'",)),
    ("train: /etc\nnames: [c]\n", ("data.yaml: train: /etc",)),
    (DATA.replace("[3, 3]", "[17, 3]"), ("kpt_shape: 17, 3", "3, 2 or 3, 3")),
    ("train: {a: b}\nnames: [c]\n", ("train",)),
    ("train: [\n", ("data.yaml", "YAML")), ("- train:\n- names:\n", ("data.yaml",)),
])  # fmt: skip
def test_broken_data_files(make, data, words):
    folder = make(data)
    refused(lambda: read(folder / "data.yaml"), *words)


def test_images_without_any_label_and_broken_images_are_named(make):
    folder = make()
    (folder / "images/train/a.jpg").write_bytes(b"no image")
    refused(lambda: read(folder), f"{folder}/images/train/a.jpg")
    (folder / "labels/train/a.txt").unlink()
    with pytest.raises(SemiposeError):
        read(folder)


def test_names_that_leave_the_data_set_are_refused(make):
    folder = make("train: train.txt\nnames: [cat]\n")
    (folder / "train.txt").write_text("images/train/a.jpg\n../../etc/a.jpg\n")
    refused(lambda: read(folder), "data.yaml: image number 1: file_name", "leaves the image folder")


def test_labels_are_those_of_the_upright_picture(make):
    folder = make()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (WIDTH, HEIGHT)).save(folder / "images/train/a.jpg", exif=exif)
    persons = read(folder)
    assert persons.image_sizes.tolist() == [[HEIGHT, WIDTH]]
    assert persons.keypoints[0].tolist() == [[25, 20, 1], [20, 60, 1], [0, 0, 0]]
