import pytest
import torch

from semipose.augment.joint_cutout import Boxes, CutoutPolicy, box_mask, draw_cutout, fill_boxes

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


def test_default_boxes_reach_all_pixels_of_the_crop():
    keypoints = spread_joints(400)
    mask = box_mask(draw_cutout(CutoutPolicy(), keypoints, CROP, generator()), CROP)
    assert mask.any(0).all()
    # and no quarter is left out: joints are spread evenly, so boxes are too
    rows = mask.float().mean((0, 2))
    assert rows[192:].mean() > 0.8 * rows[64:192].mean()


@pytest.mark.parametrize("count", [1, 5, 17])
def test_joints_are_distinct(count):
    keypoints = spread_joints(50)
    drawn = drawn_joints(draw_cutout(CutoutPolicy(count, jitter=0.0), keypoints, CROP, generator()), keypoints)
    assert drawn.shape == (50, count)
    assert all(len(set(row)) == count for row in drawn.tolist())


def test_all_joints_are_drawn_equally_often():
    keypoints = spread_joints(1, joints=17).expand(10_000, 17, 2)
    drawn = drawn_joints(draw_cutout(CutoutPolicy(5, jitter=0.0), keypoints, CROP, generator()), keypoints)
    share = torch.bincount(drawn.flatten(), minlength=17) / 10_000
    assert torch.allclose(share, torch.tensor(5 / 17), atol=0.02)


def test_more_boxes_than_joints_hide_every_joint_once():
    keypoints = spread_joints(3, joints=4)
    drawn = drawn_joints(draw_cutout(CutoutPolicy(9, jitter=0.0), keypoints, CROP, generator()), keypoints)
    assert [sorted(row) for row in drawn.tolist()] == [[0, 1, 2, 3]] * 3


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


def test_draws_are_a_function_of_the_generator():
    keypoints = spread_joints(4)
    first, again, other = (draw_cutout(CutoutPolicy(), keypoints, CROP, generator(seed)) for seed in (0, 0, 1))
    assert torch.equal(first.centres, again.centres) and torch.equal(first.half_sizes, again.half_sizes)
    assert not torch.equal(first.half_sizes, other.half_sizes)


def test_mask_by_hand():
    boxes = Boxes(torch.tensor([[[2.0, 1.0]]]), torch.tensor([[[1.0, 0.4]]]))
    assert box_mask(boxes, (5, 4)).int().tolist() == [
        [[0, 0, 0, 0, 0], [0, 1, 1, 1, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0]]
    ]


def test_mask_equals_a_loop_over_pixels():
    size = (13, 17)
    boxes = Boxes(torch.rand(3, 4, 2) * 30 - 8, torch.rand(3, 4, 2) * 4)
    mask = box_mask(boxes, size)
    for b in range(3):
        for y in range(17):
            for x in range(13):
                reach = (torch.tensor([x, y]) - boxes.centres[b]).abs() <= boxes.half_sizes[b]
                assert mask[b, y, x] == reach.all(-1).any()


def test_fill_is_exact_and_nothing_else_is_touched():
    images, fill = torch.rand(6, 3, 64, 48), torch.tensor([0.485, 0.456, 0.406])
    before = images.clone()
    boxes = draw_cutout(CutoutPolicy(), spread_joints(6, (48, 64)), (48, 64), generator())
    filled, mask = fill_boxes(images, boxes, fill), box_mask(boxes, (48, 64))
    assert torch.equal(images, before)
    assert 0 < mask.sum() < mask.numel()
    pixels = filled.permute(0, 2, 3, 1)
    assert (pixels[mask] == fill).all()
    assert torch.equal(pixels[~mask], images.permute(0, 2, 3, 1)[~mask])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_fill_keeps_half_precision_images(dtype):
    images = torch.rand(2, 3, 64, 48).to(dtype)
    boxes = draw_cutout(CutoutPolicy(), spread_joints(2, (48, 64)), (48, 64), generator())
    filled = fill_boxes(images, boxes, torch.tensor([0.5, 0.25, 1.0]))
    assert filled.dtype == dtype
    mask = box_mask(boxes, (48, 64))
    assert (filled.permute(0, 2, 3, 1)[mask] == torch.tensor([0.5, 0.25, 1.0], dtype=dtype)).all()


def test_no_joints_hide_nothing():
    images = torch.rand(2, 3, 64, 48)
    boxes = draw_cutout(CutoutPolicy(joints=0), spread_joints(2, (48, 64)), (48, 64), generator())
    assert torch.equal(fill_boxes(images, boxes, torch.zeros(3)), images)


def test_boxes_far_outside_hide_nothing():
    images = torch.rand(1, 3, 64, 48)
    keypoints = torch.tensor([[[-500.0, 30.0], [20.0, 900.0]]])
    boxes = draw_cutout(CutoutPolicy(2), keypoints, (48, 64), generator())
    assert torch.equal(fill_boxes(images, boxes, torch.zeros(3)), images)
