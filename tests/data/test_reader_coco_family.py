"""JHMDB's pixels from 1, CrowdPose's crowd index and areas, OCHuman; and the sample files of all sets, where given.

SEMIPOSE_SAMPLES names a folder with the sample data of MMPose (`coco/test_coco.json` and so on).
"""

import json
import os

import numpy as np
import pytest

from semipose.data import formats as readers
from semipose.errors import DataError
from semipose.skeletons import SKELETONS, Skeleton

TRI = Skeleton(name="tri", keypoints=("top", "left", "right"), sigmas=(0.1, 0.1, 0.1))
SAMPLES = os.environ.get("SEMIPOSE_SAMPLES", "")


def write(folder, **image) -> str:
    content = {
        "images": [{"id": 2280001, "file_name": "some video/1.png", "width": 100, "height": 80, **image}],
        "annotations": [
            {"id": 1000002280001, "image_id": 2280001, "category_id": 1, "bbox": [81.0, 1.0, 20.0, 30.0],
             "keypoints": [82.5, 2.5, 2.0, 90.0, 5.0, 1.0, 0, 0, 0], "scores": [], "track_id": 0}
        ],
        "categories": [{"id": 1, "name": "person", "keypoints": ["head", "left", "right"]}],
    }  # fmt: skip
    (folder / "set.json").write_text(json.dumps(content))
    return str(folder / "set.json")


def test_jhmdb_counts_pixels_from_one(tmp_path):
    persons = readers.read_jhmdb(write(tmp_path), str(tmp_path), TRI)
    assert persons.ids.tolist() == [1000002280001] and persons.image_ids.tolist() == [2280001]
    # 80 + 20 is beyond the last pixel, 99
    assert persons.boxes.tolist() == [[80, 0, 19, 30]]
    np.testing.assert_allclose(persons.keypoints[0, :2], [[81.5, 1.5, 1], [89, 4, 1]])
    assert persons.areas.tolist() == pytest.approx([0.53 * 19 * 30])


@pytest.mark.parametrize("reader", [readers.read_crowdpose, readers.read_ochuman])
def test_sets_without_areas(tmp_path, reader):
    persons = reader(write(tmp_path, crowdIndex=0.33), str(tmp_path), TRI)
    assert persons.boxes.tolist() == [[81, 1, 18, 30]]
    assert persons.areas.tolist() == pytest.approx([0.53 * 18 * 30])


def test_crowd_index(tmp_path):
    assert readers.read_crowd_index(write(tmp_path, crowdIndex=0.33)) == {2280001: 0.33}
    assert readers.read_crowd_index(write(tmp_path, crowdIndex=1)) == {2280001: 1.0}


@pytest.mark.parametrize("index", [None, "high", float("nan"), -0.1, 1.5, [0.2]])
def test_wrong_crowd_index(tmp_path, index):
    with pytest.raises(DataError, match="set.json.*image id 2280001.*crowdIndex"):
        readers.read_crowd_index(write(tmp_path, crowdIndex=index))


def test_crowd_index_of_another_file(tmp_path):
    (tmp_path / "set.json").write_text("[]")
    with pytest.raises(DataError, match="set.json.*JSON.*'images'"):
        readers.read_crowd_index(str(tmp_path / "set.json"))


@pytest.mark.skipif(not SAMPLES, reason="SEMIPOSE_SAMPLES is not set")
@pytest.mark.parametrize(
    ("reader", "name", "skeleton", "persons", "images"),
    [
        ("read_coco", "coco/test_coco.json", "coco", 12, 4),
        ("read_aic", "aic/test_aic.json", "aic", 9, 3),
        ("read_crowdpose", "crowdpose/test_crowdpose.json", "crowdpose", 4, 2),
        ("read_mpii", "mpii/test_mpii.json", "mpii", 5, 5),
        ("read_jhmdb", "jhmdb/test_jhmdb_sub1.json", "jhmdb", 3, 3),
        ("read_ochuman", "ochuman/test_ochuman.json", "ochuman", 5, 3),
    ],
)
def test_counts_of_the_samples(reader, name, skeleton, persons, images):
    file = os.path.join(SAMPLES, name)
    found = getattr(readers, reader)(file, os.path.dirname(file), SKELETONS[skeleton])
    assert (len(found), len(found.image_paths)) == (persons, images)
    assert all(map(os.path.isfile, found.image_paths.tolist()))
    # every labelled keypoint lies in the person's padded box
    inside = np.abs(found.keypoints[:, :, :2] - (found.boxes[:, :2] + found.boxes[:, 2:] / 2)[:, None]) <= (
        0.75 * found.boxes[:, None, 2:]
    )
    assert (inside.all(axis=2) | (found.keypoints[:, :, 2] == 0)).mean() > 0.97


@pytest.mark.skipif(not SAMPLES, reason="SEMIPOSE_SAMPLES is not set")
@pytest.mark.parametrize(("threshold", "count"), [(0.0, 118), (0.3, 33)])
def test_detections_of_the_samples(threshold, count):
    folder = os.path.join(SAMPLES, "coco")
    files = (os.path.join(folder, name) for name in ("test_coco_det_AP_H_56.json", "test_coco.json"))
    assert len(readers.read_detections(*files, folder, SKELETONS["coco"], threshold)) == count
