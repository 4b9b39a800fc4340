"""Labelme files with predictions filled in: which of them a person has corrected."""

import json
from copy import deepcopy
from pathlib import Path

import cv2
import numpy as np
import pytest

from semipose.data.formats.corrected_labelme import FLAG, RECORD, is_corrected, shapes_digest
from semipose.data.formats.labelme import read_labelme
from semipose.errors import DataError
from semipose.skeletons import Skeleton

NOSE = Skeleton(name="one", keypoints=("nose",), sigmas=(0.1,))


def shape(label: str, x: float, y: float) -> dict:
    return {"label": label, "points": [[x, y]], "group_id": None, "description": "", "shape_type": "point", "flags": {}}


@pytest.fixture
def document() -> dict:
    shapes = [shape("nose", 10.25, 20), shape("tail", 30, 40.5)]
    return {"flags": {"semipose_predicted": True}, "semipose": {"sha1": shapes_digest(shapes)}, "shapes": shapes}


def test_a_file_as_it_was_written_is_not_corrected(document):
    assert not is_corrected(json.loads(json.dumps(document)))


def test_saving_it_in_a_tool_that_adds_fields_and_reorders_is_no_correction(document):
    document["shapes"] = [one | {"mask": None, "points": [list(map(float, one["points"][0]))], "description": None}
                          for one in reversed(document["shapes"])]  # fmt: skip
    assert not is_corrected(document)


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d["shapes"][0]["points"][0].__setitem__(0, 10.26),
        lambda d: d["shapes"][1].update(label="ear"),
        lambda d: d["shapes"][1].update(description="0"),
        lambda d: d["shapes"][1].update(group_id=1),
        lambda d: d["shapes"].pop(),
        lambda d: d["shapes"].append(shape("ear", 1, 1)),
        lambda d: d["flags"].update(semipose_predicted=False),
    ],
)
def test_any_edit_of_a_shape_and_a_flag_that_is_off_are_corrections(document, change):
    changed = deepcopy(document)
    change(changed)
    assert is_corrected(changed)


def test_a_file_of_a_person_has_no_record_and_counts(document):
    del document["semipose"]
    assert is_corrected(document)
    assert is_corrected({"shapes": []})
    assert not is_corrected({"shapes": [], "flags": None, "semipose": {"sha1": shapes_digest([])}})


def test_shapes_that_make_no_sense_still_have_a_digest():
    assert shapes_digest([None, {"points": "x"}, {"points": [[1e400, 10**400, None]]}])


def write(folder, name: str, shapes: list, predicted: list | None) -> None:
    cv2.imwrite(str(folder / f"{name}.png"), np.full((50, 60, 3), len(name), np.uint8))
    document = {"shapes": shapes, "imagePath": f"{name}.png", "imageWidth": 60, "imageHeight": 50}
    record = {} if predicted is None else {"flags": {FLAG: True}, RECORD: {"sha1": shapes_digest(predicted)}}
    (folder / f"{name}.json").write_text(json.dumps(document | record))


def test_the_reader_takes_corrected_files_and_those_of_a_person(tmp_path, caplog):
    shapes, moved = [shape("nose", 10, 20)], [shape("nose", 12, 20)]
    write(tmp_path, "own", shapes, None)
    write(tmp_path, "moved", moved, shapes)
    write(tmp_path, "untouched", shapes, shapes)
    found = read_labelme(str(tmp_path), NOSE)
    assert sorted(Path(path).stem for path in found.image_paths) == ["moved", "own"]
    assert any("left out 1 " in message for message in caplog.messages)


def test_a_folder_in_which_nothing_is_corrected_is_named(tmp_path):
    shapes = [shape("nose", 10, 20)]
    write(tmp_path, "untouched", shapes, shapes)
    with pytest.raises(DataError, match=str(tmp_path)):
        read_labelme(str(tmp_path), NOSE)
