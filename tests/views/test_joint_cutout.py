import pytest
import torch

from semipose.views.hiding_boxes import box_mask, fill_boxes
from semipose.views.joint_cutout import (
    CutoutPolicy,
    adaptive_counts,
    draw_adaptive_cutout,
    draw_cutout,
    draw_joint_mask,
)

CROP = (192, 256)
EXACT = CutoutPolicy(joints=1, jitter=0.0)  # boxes centred on their joint


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def spread_joints(count, size=CROP, joints=17, seed=1):
    return torch.rand(count, joints, 2, generator=generator(seed)) * torch.tensor(size)


def drawn_joints(boxes, keypoints):
    """(B, n) which joint each box without jitter sits on."""
    distance = torch.cdist(boxes.centres, keypoints)
    assert distance.amin(-1).max() == 0
    return distance.argmin(-1)


@pytest.mark.parametrize("size", [CROP, (256, 192), (48, 64)])
def test_every_row_and_column_can_be_masked(size):
    # one image per row and one per column, with its joint there
    for axis, length in enumerate(size):
        keypoints = torch.zeros(length, 1, 2)
        keypoints[:, 0, axis] = torch.arange(length)
        keypoints[:, 0, 1 - axis] = size[1 - axis] / 2
        mask = box_mask(draw_cutout(EXACT, keypoints, size, generator()), size)
        assert mask.shape == (length, size[1], size[0])
        hit = mask.any(dim=2 if axis == 1 else 1)
        assert hit.diagonal().all()


@pytest.mark.parametrize("count", [1, 5, 17, 19])
def test_joints_are_distinct_also_where_more_are_wanted_than_there_are(count):
    keypoints = spread_joints(50)
    drawn = drawn_joints(draw_cutout(CutoutPolicy(count, jitter=0.0), keypoints, CROP, generator()), keypoints)
    assert drawn.shape == (50, min(count, 17))
    assert all(len(set(row)) == len(row) for row in drawn.tolist())


def test_all_joints_are_drawn_equally_often():
    keypoints = spread_joints(1, joints=17).expand(10_000, 17, 2)
    drawn = drawn_joints(draw_cutout(CutoutPolicy(5, jitter=0.0), keypoints, CROP, generator()), keypoints)
    share = torch.bincount(drawn.flatten(), minlength=17) / 10_000
    assert torch.allclose(share, torch.tensor(5 / 17), atol=0.02)


def test_half_sizes_and_jitter_follow_the_policy():
    keypoints = torch.zeros(5000, 1, 2)
    boxes = draw_cutout(CutoutPolicy(1, (10.0, 20.0), 10.0), keypoints, CROP, generator())
    assert boxes.half_sizes.min() >= 10 and boxes.half_sizes.max() <= 20
    assert boxes.half_sizes.mean().item() == pytest.approx(15, abs=0.2)
    assert boxes.half_sizes.std().item() == pytest.approx(10 / 12**0.5, rel=0.03)
    assert boxes.centres.std().item() == pytest.approx(10, rel=0.03)
    assert boxes.centres.mean((0, 1)).abs().max() < 0.5
    assert torch.corrcoef(boxes.half_sizes[:, 0].T)[0, 1].abs() < 0.05, "width and height are drawn apart"


@pytest.mark.parametrize("size", [(48, 64), (64, 48), (384, 512)])
def test_boxes_scale_with_the_crop(size):
    factor = min(size) / 192
    keypoints = spread_joints(10)
    reference = draw_cutout(CutoutPolicy(), keypoints, CROP, generator())
    scaled = draw_cutout(CutoutPolicy(), keypoints * factor, size, generator())
    assert torch.allclose(scaled.half_sizes, reference.half_sizes * factor)
    assert torch.allclose(scaled.centres, reference.centres * factor, atol=1e-3)


def test_boxes_far_outside_hide_nothing():
    images = torch.rand(1, 3, 64, 48)
    keypoints = torch.tensor([[[-500.0, 30.0], [20.0, 900.0]]])
    boxes = draw_cutout(CutoutPolicy(2), keypoints, (48, 64), generator())
    assert torch.equal(fill_boxes(images, boxes, torch.zeros(3)), images)


def counts_of(boxes):
    """(B,) boxes that are not switched off."""
    assert ((boxes.half_sizes > 0).all(-1) == (boxes.half_sizes > 0).any(-1)).all()
    return (boxes.half_sizes > 0).all(-1).sum(1)


def test_a_mask_hides_a_number_of_distinct_joints_drawn_for_each_image():
    keypoints = spread_joints(4000)
    boxes = draw_joint_mask(CutoutPolicy(jitter=0.0), (4, 5), keypoints, CROP, generator())
    counts = counts_of(boxes)
    assert sorted(set(counts.tolist())) == [4, 5]
    assert (counts == 4).float().mean().item() == pytest.approx(0.5, abs=0.03)
    assert all(len(set(row)) == 5 for row in drawn_joints(boxes, keypoints).tolist())
    on = boxes.half_sizes[boxes.half_sizes > 0]
    assert on.min() >= 10 and on.max() <= 20 and on.max() - on.min() > 9.9


@pytest.mark.parametrize(("joints", "expected"), [((0, 0), {0}), ((3, 3), {3}), ((1, 9), {1, 2, 3, 4}), ((6, 9), {4})])
def test_mask_counts_are_limited_to_the_joints_there_are(joints, expected):
    boxes = draw_joint_mask(CutoutPolicy(), joints, spread_joints(200, joints=4), CROP, generator())
    assert set(counts_of(boxes).tolist()) == expected


def test_adaptive_counts_by_hand():
    # 17 joints: two are always hidden, then int(l / 17 * 8), all of them at most 8; the largest peak is 0.8
    for sure, hidden in ((0, 2), (4, 2), (6, 2), (7, 3), (10, 4), (12, 5), (13, 6), (16, 7), (17, 8)):
        scores = torch.full((2, 17), 0.8)
        scores[0] = 0.8 * 0.44
        scores[0, :sure] = 0.8 * 0.46
        assert adaptive_counts(scores).tolist() == [hidden, 8]


@pytest.mark.parametrize("joints", [1, 2, 3, 4, 8, 14, 16, 17, 21, 24])
def test_adaptive_counts_equal_a_loop(joints):
    scores = torch.rand(60, joints, generator=generator())
    largest = scores.max().item()
    expected = []
    for row in scores.tolist():
        sure = sum(score / largest > 0.45 for score in row)
        expected.append(min(joints, max(2, int(sure / joints * 8))))
    assert adaptive_counts(scores).tolist() == expected


@pytest.mark.parametrize("value", [0.0, -0.5])
def test_a_teacher_that_sees_nothing_hides_two_joints(value):
    assert adaptive_counts(torch.full((3, 17), value)).tolist() == [2, 2, 2]


def test_adaptive_cutout_hides_that_many_distinct_joints():
    keypoints, scores = spread_joints(300), torch.rand(300, 17, generator=generator())
    boxes = draw_adaptive_cutout(CutoutPolicy(jitter=0.0), keypoints, scores, CROP, generator())
    assert torch.equal(counts_of(boxes), adaptive_counts(scores)) and len(set(adaptive_counts(scores).tolist())) > 3
    assert all(len(set(row)) == 8 for row in drawn_joints(boxes, keypoints).tolist())
