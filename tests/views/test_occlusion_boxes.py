import pytest
import torch

from semipose.views.hiding_boxes import Boxes, box_mask, draw_half_sizes, fill_boxes, keep_boxes, largest_half_size

FILL = torch.tensor([0.485, 0.456, 0.406])


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def some_boxes(batch, size=(48, 64), count=4):
    centres = torch.rand(batch, count, 2, generator=generator()) * torch.tensor(size)
    return Boxes(centres, draw_half_sizes((10.0, 20.0), (batch, count), size, generator(1)))


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
    images, fill = torch.rand(6, 3, 64, 48), FILL
    before = images.clone()
    boxes = some_boxes(6)
    filled, mask = fill_boxes(images, boxes, fill), box_mask(boxes, (48, 64))
    assert torch.equal(images, before)
    assert 0 < mask.sum() < mask.numel()
    pixels = filled.permute(0, 2, 3, 1)
    assert (pixels[mask] == fill).all()
    assert torch.equal(pixels[~mask], images.permute(0, 2, 3, 1)[~mask])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_fill_keeps_half_precision_images(dtype):
    images = torch.rand(2, 3, 64, 48).to(dtype)
    boxes = some_boxes(2)
    filled = fill_boxes(images, boxes, torch.tensor([0.5, 0.25, 1.0]))
    assert filled.dtype == dtype
    mask = box_mask(boxes, (48, 64))
    assert (filled.permute(0, 2, 3, 1)[mask] == torch.tensor([0.5, 0.25, 1.0], dtype=dtype)).all()


@pytest.mark.parametrize("size", [(192, 256), (256, 192), (48, 64), (50, 40)])
def test_half_sizes_scale_with_the_shorter_side_and_have_a_limit(size):
    half = draw_half_sizes((18.0, 30.0), (500, 3), size, generator()) * 192 / min(size)
    assert half.shape == (500, 3, 2)
    assert 18 <= half.min() < 18.1 and 29.9 < half.max() <= 30
    assert largest_half_size((18.0, 30.0), size) - 1 < 30 * min(size) / 192 <= largest_half_size((18.0, 30.0), size)


@pytest.mark.parametrize("shape", [(6, 4), (6, 1)])
def test_boxes_switched_off_cover_nothing(shape):
    boxes = some_boxes(6)
    # a centre on a pixel, so that even a box of half size zero would show
    boxes = Boxes(boxes.centres.round(), boxes.half_sizes)
    active = torch.rand(shape, generator=generator(5)) < 0.5
    assert active.any() and not active.all()
    mask = box_mask(keep_boxes(boxes, active), (48, 64))
    for row in range(6):
        on = active[row].expand(4)
        alone = Boxes(boxes.centres[row : row + 1, on], boxes.half_sizes[row : row + 1, on])
        assert torch.equal(mask[row], box_mask(alone, (48, 64))[0])
