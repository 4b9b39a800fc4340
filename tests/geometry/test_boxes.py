import numpy as np
import pytest

from semipose.geometry.boxes import box_to_region, complete_boxes, crop_to_image, keypoint_boxes

BOXES = np.array([[10, 20, 30, 100], [0, 0, 300, 100], [5.5, 7.25, 48, 64]], dtype=np.float32)


def moved(matrix, point):
    return matrix[:, :2] @ np.asarray(point, dtype=np.float64) + matrix[:, 2]


def test_region_by_hand():
    # 30x100 is too tall for 3:4 and grows to 75x100; 300x100 is too wide and grows to 300x400; 48x64 fits
    centres, sizes = box_to_region(BOXES, 192 / 256, 1.25)
    np.testing.assert_allclose(centres, [[25, 70], [150, 50], [29.5, 39.25]])
    np.testing.assert_allclose(sizes, [[93.75, 125], [375, 500], [60, 80]])


@pytest.mark.parametrize("aspect", [0.5, 0.75, 1.0, 2.0])
def test_region_has_the_shape_of_the_crop_and_holds_the_box(aspect):
    boxes = np.random.default_rng(0).uniform(1, 200, (50, 4))
    centres, sizes = box_to_region(boxes, aspect, 1.0)
    np.testing.assert_allclose(sizes[:, 0] / sizes[:, 1], aspect)
    assert (sizes >= boxes[:, 2:] - 1e-9).all()
    # it is not larger than it must be: one side is the box's own
    np.testing.assert_allclose((sizes - boxes[:, 2:]).min(1), 0, atol=1e-9)
    np.testing.assert_allclose(centres, boxes[:, :2] + boxes[:, 2:] / 2)


def test_input_boxes_are_not_changed():
    boxes = BOXES.copy()
    box_to_region(boxes, 0.75, 1.25)
    np.testing.assert_array_equal(boxes, BOXES)


def test_crop_centre_is_the_box_centre_on_non_square_crops():
    centres, sizes = box_to_region(BOXES, 48 / 64, 1.25)
    for crop in ((48, 64), (60, 80)):
        for matrix, centre in zip(crop_to_image(centres, sizes, crop, (48, 64)), centres, strict=True):
            np.testing.assert_allclose(moved(matrix, ((crop[0] - 1) / 2, (crop[1] - 1) / 2)), centre)


def test_shown_part_spans_the_region_and_the_rest_is_margin():
    centres, sizes = box_to_region(BOXES, 48 / 64, 1.25)
    # crop 60x80, shown 48x64: 6 and 8 pixels of margin; a pixel reaches half a pixel to each side of its centre
    for matrix, centre, size in zip(crop_to_image(centres, sizes, (60, 80), (48, 64)), centres, sizes, strict=True):
        np.testing.assert_allclose(moved(matrix, (6 - 0.5, 8 - 0.5)), centre - size / 2)
        np.testing.assert_allclose(moved(matrix, (54 - 0.5, 72 - 0.5)), centre + size / 2)


def test_crop_map_has_no_rotation_and_one_scale():
    matrix = crop_to_image(*box_to_region(BOXES[:1], 48 / 64, 1.25), (60, 80), (48, 64))[0]
    np.testing.assert_allclose(matrix[:, :2], np.eye(2) * 125 / 64)


def test_no_boxes():
    centres, sizes = box_to_region(np.zeros((0, 4)), 0.75, 1.25)
    assert crop_to_image(centres, sizes, (60, 80), (48, 64)).shape == (0, 2, 3)


def test_a_box_around_labelled_keypoints_has_a_margin():
    keypoints = np.array([[[10, 20, 1], [50, 30, 2], [900, 900, 0]]])
    np.testing.assert_allclose(keypoint_boxes(keypoints), [[6, 16, 48, 18]])
    np.testing.assert_allclose(keypoint_boxes(keypoints, margin=0), [[10, 20, 40, 10]])


def test_boxes_are_completed_from_keypoints():
    keypoints = np.array([[[10, 20, 1], [50, 30, 1]], [[40, 40, 1], [40, 40, 1]], [[7, 7, 0], [8, 8, 0]]])
    boxes, sizes = np.array([[-5, 0, 25, 200], [9, 9, 0, 0], [9, 9, 0, 4]]), np.array([[100, 80]] * 3)
    found, new = complete_boxes(boxes, keypoints, sizes)
    # clipped; as large as the first one around (40, 40); nothing is labelled, so it stays
    np.testing.assert_allclose(found, [[0, 0, 20, 79], [30, 0.5, 20, 78.5], [9, 9, 0, 4]])
    assert new.tolist() == [False, True, False]
    found, new = complete_boxes(boxes[1:], keypoints[1:], sizes[1:])
    np.testing.assert_allclose(found[0], [30, 30, 20, 20])
    found, new = complete_boxes(boxes[1:], keypoints[1:], sizes[1:] * np.nan)
    assert not new.any() and (found[:, 2] == 0).all()
