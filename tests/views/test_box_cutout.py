import pytest
import torch

from semipose.views.box_cutout import BoxPolicy, CutMixPolicy, draw_boxes, draw_cutmix, paste_boxes
from semipose.views.hiding_boxes import Boxes, box_mask

CROP, CPU = (192, 256), torch.device("cpu")
DRAWS = {
    "cutout": lambda batch, size, stream: draw_boxes(BoxPolicy(), batch, size, CPU, stream),
    "cutmix": lambda batch, size, stream: draw_cutmix(CutMixPolicy(), batch, size, CPU, stream),
}
BY_NAME = pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@BY_NAME
@pytest.mark.parametrize("size", [(48, 64), (64, 48)])
def test_every_pixel_is_covered_sometimes_the_corners_too(draw, size):
    share = box_mask(draw(3000, size, generator()), size).float().mean(0)
    middle = share[size[1] // 4 : -size[1] // 4, size[0] // 4 : -size[0] // 4].mean()
    # a corner is in reach of a quarter of the centres
    assert share.min() > 0.18 * middle
    # neither side is preferred
    for axis in (0, 1):
        assert torch.allclose(share.mean(axis), share.flip(1 - axis).mean(axis), atol=0.15 * middle)


def test_boxes_of_cutout_follow_the_policy_and_scale_with_the_crop():
    boxes = draw_boxes(BoxPolicy(4, (10.0, 20.0)), 1000, CROP, CPU, generator())
    assert boxes.centres.shape == boxes.half_sizes.shape == (1000, 4, 2)
    assert boxes.half_sizes.min() >= 10 and boxes.half_sizes.max() <= 20
    small = draw_boxes(BoxPolicy(4, (10.0, 20.0)), 1000, (48, 64), CPU, generator())
    assert torch.allclose(small.half_sizes * 4, boxes.half_sizes)
    assert torch.allclose((small.centres + 0.5) * 4, boxes.centres + 0.5, atol=1e-4)


def test_rectangles_of_cutmix_have_the_area_and_the_proportions():
    boxes = draw_cutmix(CutMixPolicy((0.1, 0.3)), 4000, CROP, CPU, generator())
    sides = 2 * boxes.half_sizes[:, 0]
    area = sides.prod(1) / (192 * 256)
    assert 0.0999 <= area.min() < 0.105 and 0.295 < area.max() <= 0.3001
    assert area.mean().item() == pytest.approx(0.2, abs=0.005)
    assert torch.allclose(sides[:, 0] / sides[:, 1], torch.tensor(0.75))
    # what is not cut off at the border covers that share of the pixels
    inside = ((boxes.centres - boxes.half_sizes) > 0) & ((boxes.centres + boxes.half_sizes) < torch.tensor(CROP) - 1)
    inside = inside.flatten(1).all(1).nonzero()[:50, 0]
    mask = box_mask(Boxes(boxes.centres[inside], boxes.half_sizes[inside]), CROP)
    assert torch.allclose(mask.float().mean((1, 2)), area[inside], atol=0.005)


def test_pasted_boxes_equal_a_loop_over_pixels():
    images = torch.rand(4, 3, 17, 13, generator=generator())
    before = images.clone()
    boxes = draw_cutmix(CutMixPolicy((0.05, 0.2), 2), 4, (13, 17), CPU, generator())
    donors, mask = torch.tensor([2, 0, 3, 1]), box_mask(boxes, (13, 17))
    pasted = paste_boxes(images, boxes, donors)
    for b in range(4):
        for y in range(17):
            for x in range(13):
                source = donors[b] if mask[b, y, x] else b
                assert torch.equal(pasted[b, :, y, x], images[source, :, y, x])
    assert mask.flatten(1).any(1).all() and torch.equal(images, before)
