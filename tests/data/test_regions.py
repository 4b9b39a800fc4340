"""Regions of persons without labels: polygons and run lengths as masks, and what a COCO file says of them."""

import json
import logging

import numpy as np
import pytest
from small_coco import small_coco

from semipose.data.formats.coco import read_coco
from semipose.data.formats.coco_regions import read_regions
from semipose.data.regions import RunLengths, box_region, draw_regions, parse_segmentation
from semipose.errors import DataError
from semipose.skeletons import COCO

# 5 wide, 4 high; run lengths go down the columns
PICTURE = np.array([[0, 0, 1, 0, 0], [0, 1, 1, 0, 0], [0, 1, 1, 0, 1], [0, 0, 0, 0, 1]], np.uint8)
COUNTS = [5, 2, 1, 3, 7, 2]
COMPRESSED = "52116O"  # by pycocotools


def test_run_lengths_go_down_the_columns():
    (region,) = parse_segmentation({"size": [4, 5], "counts": COUNTS})
    assert np.array_equal(region.draw(), PICTURE)
    assert np.array_equal(draw_regions([region], (5, 4)), PICTURE)


def test_run_lengths_may_begin_with_ones():
    (region,) = parse_segmentation({"size": [1, 3], "counts": [0, 2, 1]})
    assert region.draw().tolist() == [[1, 1, 0]]


@pytest.mark.parametrize("mask", [PICTURE, 1 - PICTURE, PICTURE * 0, PICTURE * 0 + 1])
def test_run_lengths_of_a_mask(mask):
    found = RunLengths.of(mask)
    assert np.array_equal(found.draw(), mask) and (found.counts[1:] > 0).all()
    if mask is PICTURE:
        assert found.counts.tolist() == COUNTS


def test_compressed_run_lengths():
    (region,) = parse_segmentation({"size": [4, 5], "counts": COMPRESSED})
    assert region.counts.tolist() == COUNTS


@pytest.mark.parametrize("seed", range(5))
def test_compressed_as_pycocotools_does_it(seed):
    coder = pytest.importorskip("pycocotools.mask")
    draw = np.random.default_rng(seed)
    picture = draw.random((90, 130)) < (0.5, 0.01, 0.99, 0.3, 0.001)[seed]
    packed = coder.encode(np.asfortranarray(picture.astype(np.uint8)))
    (region,) = parse_segmentation({"size": packed["size"], "counts": packed["counts"].decode()})
    assert np.array_equal(region.draw(), picture)


def test_polygons_and_boxes():
    square = parse_segmentation([[2, 1, 5, 1, 5, 3, 2, 3]])
    drawn = draw_regions(square, (8, 6))
    assert drawn.sum() == 12 and drawn[1:4, 2:6].all()
    assert np.array_equal(draw_regions([box_region([2, 1, 3, 2])], (8, 6)), drawn)
    two = parse_segmentation([[0, 0, 1, 0, 1, 1, 0, 1], [4, 4, 5, 4, 5, 5, 4, 5]])
    assert draw_regions(two, (8, 6)).sum() == 8


def test_a_polygon_covers_about_what_pycocotools_says():
    coder = pytest.importorskip("pycocotools.mask")
    corners = [20.3, 10.7, 80.2, 30.1, 60.6, 70.9, 30.5, 55.2]
    theirs = coder.decode(coder.merge(coder.frPyObjects([corners], 90, 110)))
    ours = draw_regions(parse_segmentation([corners]), (110, 90))
    assert (theirs & ours).sum() / (theirs | ours).sum() > 0.95


def test_wild_corners_and_other_sizes():
    assert draw_regions(parse_segmentation([[-1e9, -1e9, 1e9, -1e9, 1e9, 1e9, -1e9, 1e9]]), (7, 5)).all()
    other = RunLengths((2, 9), np.array([0, 18]))
    assert draw_regions([other], (4, 4)).tolist() == [[1] * 4] * 2 + [[0] * 4] * 2


@pytest.mark.parametrize(
    "value",
    [
        "polygon", 7, [[1, 2, 3, 4]], [[1, 2, 3, 4, 5]], [[1, 2, 3, 4, 5, "6"]], [[1, 2, 3, 4, 5, float("nan")]], [5],
        {"counts": COUNTS}, {"size": [4, 5]}, {"size": [4, 5], "counts": [1, 2]}, {"size": [4, 5], "counts": [-5, 25]},
        {"size": [4, 5], "counts": "@@@"}, {"size": [4, 5], "counts": [20.0]},
        {"size": [10**6, 10**6], "counts": [10**12]},
    ],
)  # fmt: skip
def test_what_is_not_a_segmentation(value):
    with pytest.raises(ValueError):
        parse_segmentation(value)


@pytest.mark.parametrize("value", [None, [], {}])
def test_no_segmentation(value):
    assert parse_segmentation(value) == []


@pytest.fixture
def crowded(tmp_path):
    """Three images with two persons each; then a crowd and unlabelled persons. Returns (document, file, persons)."""
    document = small_coco(3)
    for number, row in enumerate(document["annotations"]):
        row["segmentation"] = [[0, 0, 70, 0, 70, 50, 0, 50]]  # of labelled persons; it must not count
        row["id"] = number + 1
    base = {"category_id": 1, "iscrowd": 0, "bbox": [30, 20, 10, 5], "area": 9}
    runs = {"size": [60, 80], "counts": [0, 120, 4680]}  # the first two columns
    document["annotations"] += [
        base | {"id": 50, "image_id": 1, "iscrowd": 1, "segmentation": runs},
        base | {"id": 51, "image_id": 1, "segmentation": [[60, 10, 69, 10, 69, 19, 60, 19]], "keypoints": [0] * 51},
        base | {"id": 52, "image_id": 2},
        base | {"id": 53, "image_id": 2, "category_id": 7, "segmentation": [[0, 0, 9, 0, 9, 9]]},
    ]
    document["categories"].append({"id": 7, "name": "dog"})
    file = tmp_path / "set.json"

    def write():
        file.write_text(json.dumps(document))
        return read_coco(str(file), str(tmp_path), COCO)

    return document, file, write


def test_regions_of_a_file(crowded):
    _, file, write = crowded
    persons = write()
    regions = read_regions(str(file), persons)
    assert {image: len(parts) for image, parts in regions.items()} == {1: 2, 2: 1}
    first, second = (draw_regions(regions[image], (80, 60)) for image in (1, 2))
    assert first[:, :2].all() and first[10:20, 60:70].all() and first.sum() == 120 + 100
    assert second[20:26, 30:41].all() and second.sum() == 66


def test_persons_who_are_not_learned_from_are_regions_too(crowded):
    _, file, write = crowded
    persons = write()
    regions = read_regions(str(file), persons.take(persons.ids != 5))
    assert draw_regions(regions[3], (80, 60))[:51, :71].all()


def test_a_segmentation_that_cannot_be_read_gives_way_to_its_box(crowded, caplog):
    document, file, write = crowded
    document["annotations"][6]["segmentation"] = {"size": [60, 80], "counts": [7]}
    persons = write()
    with caplog.at_level(logging.WARNING):
        regions = read_regions(str(file), persons)
    (line,) = [record.getMessage() for record in caplog.records]
    assert str(file) in line and " 1 segmentations" in line and "annotation id 50" in line
    assert draw_regions(regions[1], (80, 60))[20:26, 30:41].all()


def test_neither_segmentation_nor_box(crowded):
    document, file, write = crowded
    persons = write()
    document["annotations"][6] |= {"segmentation": None, "bbox": [1, 2, "3", 4]}
    document["annotations"][8].pop("bbox")
    file.write_text(json.dumps(document))
    assert {image: len(parts) for image, parts in read_regions(str(file), persons).items()} == {1: 1}


def test_a_file_that_is_gone(crowded, tmp_path):
    *_, write = crowded
    with pytest.raises(DataError, match="gone.json"):
        read_regions(str(tmp_path / "gone.json"), write())
