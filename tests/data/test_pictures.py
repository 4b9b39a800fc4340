"""Images as rows: which ones a side of a run uses, and what they show without labels."""

import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from small_coco import person, source_of, write_set

from semipose.data.pictures import (
    chosen_pictures,
    labelled_pictures,
    picture_rows,
    picture_sizes,
    unlabelled_regions,
)
from semipose.data.sources import read_labeled, read_pool
from semipose.errors import ConfigError
from semipose.skeletons import COCO
from semipose.structures import Persons


@pytest.fixture
def sparse(people) -> Persons:
    """Nine persons on five images, of whom nobody is labelled on the second and the fourth."""
    keypoints = people.keypoints.copy()
    keypoints[np.isin(people.image_index, (1, 3)), :, 2] = 0
    return replace(people, keypoints=keypoints)


def names(persons: Persons) -> list[int]:
    return persons.image_ids.tolist()


def test_rows(people):
    rows = picture_rows(people, picture_sizes(people))
    assert rows.ids.tolist() == people.image_ids.tolist() and rows.image_index.tolist() == [0, 1, 2, 3, 4]
    assert rows.boxes.tolist() == [[0, 0, 60, 44]] * 5 and not rows.keypoints.any()
    assert not picture_rows(people).boxes.any()


def test_the_size_of_a_file_that_is_no_image(people, tmp_path):
    (tmp_path / "images/a.png").write_bytes(b"no image")
    assert sorted(picture_sizes(people).tolist()) == [[1, 1]] + [[60, 44]] * 4


def test_some_images_and_those_on_them(people):
    part = people.take_images(np.array([True, False, False, True, False]))
    assert names(part) == [100, 103] and part.image_paths.tolist() == people.image_paths[[0, 3]].tolist()
    rows = np.isin(people.image_index, (0, 3))
    assert part.ids.tolist() == people.ids[rows].tolist()
    assert [part.path(row) for row in range(len(part))] == [people.path(row) for row in np.flatnonzero(rows)]


def test_what_each_side_uses(sparse, tmp_path):
    whole = source_of(tmp_path)
    assert names(chosen_pictures(whole, sparse, "labelled")) == names(labelled_pictures(sparse)) == [100, 102, 104]
    for side in ("unlabelled", "validation"):
        assert names(chosen_pictures(whole, sparse, side)) == [100, 101, 102, 103, 104]


def test_start_and_length_count_pictures(sparse, tmp_path):
    cut = source_of(tmp_path, start=1, length=2)
    assert names(chosen_pictures(cut, sparse, "labelled")) == [102, 104]
    assert names(chosen_pictures(cut, sparse, "validation")) == [102, 104]
    assert names(chosen_pictures(cut, sparse, "unlabelled")) == [101, 102]
    assert names(chosen_pictures(source_of(tmp_path, start=3), sparse, "unlabelled")) == [103, 104]
    with pytest.raises(ConfigError, match="3 pictures"):
        chosen_pictures(source_of(tmp_path, length=4), sparse, "labelled")
    with pytest.raises(ConfigError, match="3 pictures"):
        chosen_pictures(source_of(tmp_path, start=3), sparse, "validation")


def coco_with_nobody(root) -> dict:
    """Three images; on the second only a person without keypoints, on the third nobody."""
    images = [{"id": n, "file_name": f"{n}.jpg", "width": 80, "height": 60} for n in (1, 2, 3)]
    draw = np.random.default_rng(0)
    rows = [person(1, 1, draw), person(2, 1, draw), person(3, 2, draw), person(4, 1, draw)]
    rows[2] |= {"keypoints": [0] * 51, "num_keypoints": 0}
    rows[3] |= {"keypoints": [0] * 51, "num_keypoints": 0, "bbox": [40, 20, 9, 9]}
    document = {
        "images": images, "annotations": rows,
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO.keypoints)}],
    }  # fmt: skip
    write_set(root, "train", document)
    return document


def test_a_pool_has_all_images_of_its_file(tmp_path):
    coco_with_nobody(tmp_path)
    source = source_of(tmp_path)
    labelled = chosen_pictures(source, read_labeled(source, COCO), "labelled")
    assert (names(labelled), labelled.ids.tolist()) == ([1], [1, 2])
    assert names(chosen_pictures(source, read_pool(source, COCO), "unlabelled")) == [1, 2, 3]
    ((path, regions),) = unlabelled_regions(source, labelled).items()
    assert path.endswith("1.jpg") and regions[0][0].tolist() == [40, 20] and len(regions) == 1


def test_labelme_rectangles_without_keypoints(tmp_path):
    def shape(kind, points, **more):
        return {"shape_type": kind, "points": points, "flags": {}, **more}

    shapes = [
        shape("point", [[10, 10]], label="nose", group_id=1), shape("point", [[20, 30]], label="left_hip", group_id=1),
        shape("rectangle", [[30, 5], [39, 25]], label="person", group_id=2),
    ]  # fmt: skip
    for name, kept in (("a", shapes), ("b", shapes[2:])):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.zeros((40, 50, 3), np.uint8))
        content = {"imagePath": f"{name}.png", "imageHeight": 40, "imageWidth": 50, "shapes": kept}
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    source = source_of(tmp_path, format="labelme", annotation=".")
    labelled = chosen_pictures(source, read_labeled(source, COCO), "labelled")
    assert len(labelled.image_paths) == 1 and len(labelled) == 1
    regions = unlabelled_regions(source, labelled)
    assert [parts[0].tolist() for parts in regions.values()] == [[[30, 5], [39, 5], [39, 25], [30, 25]]]
