import itertools

import pytest
import torch

from semipose.geometry import affine
from semipose.skeletons import COCO, LSP
from semipose.views.view import View, ViewMap, centre_map, swap_rows

BASE, SIZE = (60, 80), (48, 64)
ORDER = torch.tensor(COCO.flip_order)
LEFT_WRIST, RIGHT_WRIST = COCO.index("left_wrist"), COCO.index("right_wrist")


def make_view(degrees, scale, flipped, shift=(0.0, 0.0), base=None):
    """A view of `base` crops: mirrored where `flipped`, turned and scaled around its middle, then moved."""
    count = len(degrees)
    middle = torch.tensor([(SIZE[0] - 1) / 2, (SIZE[1] - 1) / 2]).expand(count, 2)
    target = torch.tensor([(BASE[0] - 1) / 2 + shift[0], (BASE[1] - 1) / 2 + shift[1]]).expand(count, 2)
    to_base = affine.similarity(torch.tensor(degrees), torch.tensor(scale), torch.tensor(flipped), middle, target)
    images = torch.zeros(count, 3, SIZE[1], SIZE[0]) if base is None else affine.warp(base, to_base, SIZE)
    return View(images, to_base, torch.tensor(flipped), ORDER)


def blob(points, size):
    """(N, 1, H, W): one soft white spot per point (N, 2)."""
    xs, ys = torch.arange(size[0]), torch.arange(size[1])
    along_x = torch.exp(-(xs - points[:, :1]).square() / 8)
    along_y = torch.exp(-(ys - points[:, 1:]).square() / 8)
    return (along_y.unsqueeze(-1) * along_x.unsqueeze(-2)).unsqueeze(1)


def centroid(images):
    """(N, 2) centre of brightness of (N, 1, H, W)."""
    light = images[:, 0]
    ys, xs = torch.meshgrid(*(torch.arange(float(n)) for n in light.shape[1:]), indexing="ij")
    return torch.stack([(light * axis).sum((1, 2)) / light.sum((1, 2)) for axis in (xs, ys)], -1)


def test_swap_rows_by_hand():
    values = torch.arange(6).view(2, 3)
    swapped = swap_rows(values, torch.tensor([0, 2, 1]), torch.tensor([True, False]))
    assert swapped.tolist() == [[0, 2, 1], [3, 4, 5]]


@pytest.mark.parametrize("shape", [(4, 17), (4, 17, 2), (4, 17, 5, 3)])
def test_swap_rows_of_any_rank_equals_a_loop_and_undoes_itself(shape):
    values, rows = torch.rand(shape), torch.tensor([True, False, True, False])
    swapped = swap_rows(values, ORDER, rows)
    for b in range(4):
        for k in range(17):
            assert torch.equal(swapped[b, k], values[b, COCO.flip_order[k] if rows[b] else k])
    assert torch.equal(swap_rows(swapped, ORDER, rows), values)


def test_view_map_moves_points_from_source_to_target():
    # the target shows the source two times as large: target (0, 0) is source (10, 20)
    to_source = affine.scaling((0.5, 0.5), (10.0, 20.0))
    moved = ViewMap(to_source, torch.tensor([False]), torch.tensor([1, 0])).points(
        torch.tensor([[[10.0, 20.0], [12.0, 21.0]]])
    )
    assert moved.tolist() == [[[0.0, 0.0], [4.0, 2.0]]]


def test_view_map_exchanges_left_and_right_of_a_mirrored_target():
    to_source = torch.tensor([[[-1.0, 0.0, 47.0], [0.0, 1.0, 0.0]]])
    points = torch.rand(1, 17, 2)
    moved = ViewMap(to_source, torch.tensor([True]), ORDER).points(points)
    left, right = moved[0, LEFT_WRIST], moved[0, RIGHT_WRIST]
    assert torch.allclose(left, torch.stack([47 - points[0, RIGHT_WRIST, 0], points[0, RIGHT_WRIST, 1]]))
    assert torch.allclose(right, torch.stack([47 - points[0, LEFT_WRIST, 0], points[0, LEFT_WRIST, 1]]))


@pytest.mark.parametrize(("first", "second"), [*itertools.product([False, True], repeat=2)])
def test_swapped_where_exactly_one_view_is_mirrored(first, second):
    a, b = make_view([10.0], [1.0], [first]), make_view([-20.0], [1.2], [second])
    assert a.map_to(b).swapped.item() == (first != second)
    assert b.from_base().swapped.item() == second


def views():
    flips = ([False, True, False, True], [False, False, True, True])
    easy = make_view([0.0, 25.0, -40.0, 60.0], [1.0, 0.8, 1.2, 0.9], flips[0])
    hard = make_view([30.0, -15.0, 55.0, 5.0], [0.9, 1.1, 0.75, 1.25], flips[1], shift=(2.0, -3.0))
    return easy, hard


def test_map_between_views_equals_the_way_over_the_base_crop():
    easy, hard = views()
    base = torch.rand(4, 17, 2) * torch.tensor(BASE)
    direct = easy.map_to(hard).points(easy.from_base().points(base))
    assert torch.allclose(direct, hard.from_base().points(base), atol=1e-3)


def test_map_there_and_back_cancels():
    easy, hard = views()
    points = torch.rand(4, 17, 2) * torch.tensor(SIZE)
    assert torch.allclose(hard.map_to(easy).points(easy.map_to(hard).points(points)), points, atol=1e-3)
    values = torch.rand(4, 17)
    assert torch.equal(hard.map_to(easy).swap(easy.map_to(hard).swap(values)), values)
    own = easy.map_to(easy)
    assert not own.swapped.any()
    assert torch.allclose(own.points(points), points, atol=1e-4)


@pytest.mark.parametrize("flipped", [False, True])
def test_a_white_spot_lands_where_its_keypoint_lands(flipped):
    # one crop per joint, each with a spot at that joint only
    generator = torch.Generator().manual_seed(3)
    joints = torch.rand(17, 2, generator=generator) * torch.tensor([16.0, 20.0]) + torch.tensor([22.0, 30.0])
    degrees = (torch.rand(17, generator=generator) * 120 - 60).tolist()
    scale = (torch.rand(17, generator=generator) * 0.5 + 0.8).tolist()
    view = make_view(degrees, scale, [flipped] * 17, shift=(1.0, 2.0), base=blob(joints, BASE))
    points = view.from_base().points(joints.expand(17, 17, 2))
    for k, place in enumerate(centroid(view.images)):
        row = COCO.flip_order[k] if flipped else k
        assert torch.allclose(points[k, row], place, atol=0.05), f"joint {k}"


def test_with_images_keeps_the_geometry():
    view, _ = views()
    other = view.with_images(torch.ones_like(view.images))
    assert len(other) == 4 and other.images.min() == 1
    assert other.to_base is view.to_base and other.flipped is view.flipped and other.flip_order is view.flip_order


def test_centre_map_puts_the_middle_on_the_middle():
    maps = centre_map(BASE, SIZE, 3)
    assert maps.tolist() == [[[1.0, 0.0, 6.0], [0.0, 1.0, 8.0]]] * 3
    odd = centre_map((5, 8), (2, 4), 1)
    assert affine.apply(odd, torch.tensor([[[0.5, 1.5]]])).tolist() == [[[2.0, 3.5]]]


def test_other_skeletons_swap_by_their_own_names():
    order = torch.tensor(LSP.flip_order)
    view = View(torch.zeros(1, 3, 4, 4), affine.identity(1), torch.tensor([True]), order)
    values = view.from_base().swap(torch.arange(14)[None])[0]
    assert values[LSP.index("left_ankle")] == LSP.index("right_ankle")
    assert values[LSP.index("neck")] == LSP.index("neck")
