"""Coordinates in parts of the image or in percent stop the run; sound sets, small animals too, do not."""

from dataclasses import replace

import numpy as np
import pytest
from refusals import refused
from small_coco import COCO, small_coco, source_of, write_set

from semipose.data.coordinates import refuse_no_pixels
from semipose.data.formats.image_list import whole_frames
from semipose.data.sources import read_own, read_pool

LARGE = (640, 480)


def persons(points: np.ndarray, size=LARGE):
    """One person with the K points (N, K, 2) of its row on each of N images."""
    count = len(points)
    frames = whole_frames(np.full(count, "a.jpg"), np.arange(count), np.tile(size, (count, 1)), points.shape[1])
    return replace(frames, keypoints=np.concatenate([points, np.ones_like(points[..., :1])], axis=2))


def draw(high, low=0.0, count=8) -> np.ndarray:
    return np.random.default_rng(0).uniform(low, high, (count, 4, 2)).astype(np.float32)


def test_parts_of_the_image():
    refused(lambda: refuse_no_pixels("mine", persons(draw(1))), "mine: all keypoints", "parts")
    refused(lambda: refuse_no_pixels("mine", persons(draw(1), (0, 0))), "mine", "parts")  # sizes are not known
    refused(lambda: refuse_no_pixels("mine", persons(draw(1, count=1))), "mine", "parts")


def test_percent():
    refused(lambda: refuse_no_pixels("mine", persons(draw(80, 20))), "mine: all keypoints", "percent")


@pytest.mark.parametrize(
    ("points", "size"),
    [
        (draw(100), (120, 110)),  # nearly the whole image
        (draw(100), (0, 0)),  # sizes are not known
        (draw(60, 40), LARGE),  # a small animal that stays where it is
        (draw(100, count=3), LARGE),  # too few to say
        (draw(101) + 50, LARGE),
        (draw(1) - 0.5, LARGE),
        (draw(1)[:1, :1], LARGE),  # one point
        (draw(1)[:0], LARGE),
    ],
)
def test_what_may_be_pixels_is_believed(points, size):
    refuse_no_pixels("mine", persons(points, size))


def test_points_that_are_not_labelled_do_not_count():
    found = persons(draw(400))
    found.keypoints[:, 1:] = 0
    refuse_no_pixels("mine", found)
    found.keypoints[:, 0, :2] /= 400
    refused(lambda: refuse_no_pixels("mine", found), "parts")


def test_any_source_is_looked_at(tmp_path):
    document = small_coco(4)
    for row in document["annotations"]:
        row["keypoints"] = (np.reshape(row["keypoints"], (-1, 3)) / [80, 60, 1]).clip(0, [1, 1, 2]).ravel().tolist()
        row["keypoints"][2::3] = [int(v) for v in row["keypoints"][2::3]]
    write_set(tmp_path, "train", document)
    refused(lambda: read_own(source_of(tmp_path, "mine", annotation="train")), "mine", "parts")
    refused(lambda: read_pool(source_of(tmp_path, "mine", annotation="train"), COCO), "mine", "parts")


def test_boxes_of_a_pool_count_where_no_point_is_labelled():
    pool = replace(persons(draw(1)), keypoints=np.zeros((8, 4, 3), np.float32))
    refuse_no_pixels("pool", pool)
    refused(
        lambda: refuse_no_pixels("pool", replace(pool, boxes=np.full((8, 4), 0.4, np.float32))), "all boxes", "parts"
    )
