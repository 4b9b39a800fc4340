"""MPII reader, original .mat: the same persons as from the JSON, MATLAB's missing fields, and damaged files."""

import numpy as np
import pytest
from refusals import refused
from scipy.io import savemat

from semipose.data.formats import read_mpii
from semipose.errors import DataError
from semipose.skeletons import get_skeleton
from semipose.structures import Persons

MPII = get_skeleton("mpii")
EMPTY = np.zeros((0, 0))


def structs(*rows: dict) -> np.ndarray:
    """A MATLAB struct array; a field that a row lacks is empty."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    array = np.empty((1, len(rows)), [(name, object) for name in names])
    for column, row in enumerate(rows):
        array[0, column] = tuple(row.get(name, EMPTY) for name in names)
    return array


def joint(number: float, x: float, y: float, **more) -> dict:
    return {"x": x, "y": y, "id": number, **more}


def person(*joints: dict, **changes) -> dict:
    return {
        "x1": 10.0, "y1": 20.0, "x2": 40.0, "y2": 60.0, "scale": 1.5, "objpos": structs({"x": 80.0, "y": 90.0}),
        "annopoints": structs({"point": structs(*joints)}), **changes,
    }  # fmt: skip


def image(name: object, *persons: dict) -> dict:
    return {"image": structs({"name": name}), "annorect": structs(*persons) if persons else EMPTY}


def read(folder, images: list[dict], train: list, **options) -> Persons:
    savemat(folder / "mpii.mat", {"RELEASE": {"annolist": structs(*images), "img_train": train}}, **options)
    return read_mpii(str(folder / "mpii.mat"), str(folder), MPII)


JOINTS = joint(0, 61, 71, is_visible="1"), joint(9, 62.5, 72, is_visible=EMPTY), joint(6, 63, 73, is_visible=0)


@pytest.mark.parametrize("do_compression", [False, True])
def test_train_images_only(tmp_path, do_compression):
    images = [image("b.jpg", person(*JOINTS)), image("test.jpg", person(*JOINTS)), image("bare.jpg"),
              image("a.jpg", person(joint(15, 5, 6)), person(*JOINTS, x2=EMPTY))]  # fmt: skip
    persons = read(tmp_path, images, [1, 0, 1, 1], do_compression=do_compression)
    assert persons.ids.tolist() == [1, 2, 3] and persons.image_index.tolist() == [0, 1, 1]
    assert persons.image_paths.tolist() == [str(tmp_path / "b.jpg"), str(tmp_path / "a.jpg")]
    # occluded joints are labelled as well
    assert np.argwhere(persons.keypoints[:, :, 2]).tolist() == [[0, 0], [0, 6], [0, 9], [1, 15], [2, 0], [2, 6], [2, 9]]
    np.testing.assert_allclose(persons.keypoints[0, 9], [61.5, 71, 1])
    np.testing.assert_allclose(persons.boxes[0], [79 - 150, 89 + 22.5 - 150, 300, 300])
    np.testing.assert_allclose(persons.head_sizes, [30, 30, 0])


def test_lists_of_one(tmp_path):
    persons = read(tmp_path, [image("a.jpg", person(joint(2, 3, 4)))], [1])
    assert persons.ids.tolist() == [1] and persons.keypoints[0, 2].tolist() == [2, 3, 1]


@pytest.mark.parametrize(
    "changes", [{"objpos": EMPTY}, {"scale": EMPTY}, {"annopoints": EMPTY}, {"annopoints": structs({"point": EMPTY})}]
)
def test_persons_with_missing_fields_are_left_out(tmp_path, changes, caplog):
    with caplog.at_level("INFO"):
        persons = read(tmp_path, [image("a.jpg", person(*JOINTS), person(*JOINTS, **changes))], [1])
    assert len(persons) == 1
    assert "left out: 1 without joints, position or scale" in caplog.text


@pytest.mark.parametrize(
    ("broken", "field"),
    [
        (person(joint(16, 1, 2)), "annopoints"), (person(joint(EMPTY, 1, 2)), "annopoints"),
        (person(joint(1, np.nan, 2)), "joints"), (person(joint(1, EMPTY, 2)), "joints"),
        (person(*JOINTS, scale=np.inf), "scale"),
    ],
)  # fmt: skip
def test_wrong_person_is_named(tmp_path, broken, field):
    images = [image("a.jpg", person(*JOINTS), broken)]
    refused(lambda: read(tmp_path, images, [1]), "mpii.mat", f"'a.jpg, person 2': {field}: ")


@pytest.mark.parametrize(
    ("name", "train", "word"),
    [(EMPTY, [1], "image: "), ("../a.jpg", [1], "'../a.jpg'"), ("a.jpg", [1, 1], "img_train")],
)
def test_wrong_images(tmp_path, name, train, word):
    refused(lambda: read(tmp_path, [image(name, person(*JOINTS))], train), "mpii.mat", word)


@pytest.mark.parametrize("release", [5, "text", {"annolist": 1, "img_train": "x"}, {"annolist": EMPTY}])
def test_wrong_structs(tmp_path, release):
    savemat(tmp_path / "mpii.mat", {"RELEASE": release})
    with pytest.raises(DataError, match="mpii.mat.*RELEASE.*img_train"):
        read_mpii(str(tmp_path / "mpii.mat"), str(tmp_path), MPII)


def test_files_that_are_not_matlab(tmp_path):
    path = tmp_path / "mpii.MAT"
    refused(lambda: read_mpii(str(path), str(tmp_path), MPII), "mpii.MAT")
    path.write_bytes(b"")
    refused(lambda: read_mpii(str(path), str(tmp_path), MPII), "mpii.MAT")
    savemat(path, {"other": 1}, appendmat=False)
    refused(lambda: read_mpii(str(path), str(tmp_path), MPII), "mpii.MAT", "'RELEASE'")


def test_damaged_bytes_give_a_named_error(tmp_path):
    read(tmp_path, [image("a.jpg", person(*JOINTS), person(*JOINTS))], [1], do_compression=True)
    whole = (tmp_path / "mpii.mat").read_bytes()
    rng = np.random.default_rng(0)
    for place in rng.integers(136, len(whole), 60).tolist():  # within the compressed part, which has a checksum
        damage = whole[:place] if place % 2 else whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :]
        (tmp_path / "mpii.mat").write_bytes(damage)
        with pytest.raises(DataError, match="mpii.mat"):
            read_mpii(str(tmp_path / "mpii.mat"), str(tmp_path), MPII)
