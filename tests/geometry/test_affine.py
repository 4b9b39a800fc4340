import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from semipose.geometry import affine


def random_maps(count=6, seed=0, scale=(0.5, 1.5)):
    generator = torch.Generator().manual_seed(seed)
    draw = torch.rand(count, 6, generator=generator)
    return affine.similarity(
        draw[:, 0] * 360 - 180, scale[0] + (scale[1] - scale[0]) * draw[:, 1], torch.arange(count) % 2 == 0,
        draw[:, 2:4] * 60, draw[:, 4:6] * 60,
    )  # fmt: skip


def random_points(count=6, joints=17, seed=1):
    return torch.rand(count, joints, 2, generator=torch.Generator().manual_seed(seed)) * torch.tensor([48.0, 64.0])


def one(degrees, scale=1.0, mirrored=False, source=(0.0, 0.0), target=(0.0, 0.0)):
    return affine.similarity(
        torch.tensor([float(degrees)]), torch.tensor([scale]), torch.tensor([mirrored]), torch.tensor([source]),
        torch.tensor([target]),
    )  # fmt: skip


def bilinear_loop(image, matrix, size):
    """A slow warp of one channel (H, W): black outside."""
    height, width = image.shape

    def pixel(y, x):
        return image[y, x].item() if 0 <= y < height and 0 <= x < width else 0.0

    out = torch.zeros(size[1], size[0])
    for v in range(size[1]):
        for u in range(size[0]):
            x = (matrix[0, 0] * u + matrix[0, 1] * v + matrix[0, 2]).item()
            y = (matrix[1, 0] * u + matrix[1, 1] * v + matrix[1, 2]).item()
            left, top = math.floor(x), math.floor(y)
            a, b = x - left, y - top
            out[v, u] = (
                (1 - b) * ((1 - a) * pixel(top, left) + a * pixel(top, left + 1))
                + b * ((1 - a) * pixel(top + 1, left) + a * pixel(top + 1, left + 1))
            )  # fmt: skip
    return out


def test_identity_and_scaling_by_hand():
    assert affine.identity(2).tolist() == [[[1, 0, 0], [0, 1, 0]]] * 2
    points = torch.tensor([[[1.0, 10.0], [2.0, 20.0]]])
    moved = affine.apply(affine.scaling((2.0, 3.0), (5.0, -7.0)), points)
    assert moved.tolist() == [[[7.0, 23.0], [9.0, 53.0]]]


@pytest.mark.parametrize(
    ("degrees", "mirrored", "expected"),
    [(0, False, (1, 2)), (90, False, (-2, 1)), (180, False, (-1, -2)), (0, True, (-1, 2)), (90, True, (-2, -1))],
)
def test_similarity_by_hand(degrees, mirrored, expected):
    # 90 degrees turn x towards y; a mirror negates x before the turn
    moved = affine.apply(one(degrees, mirrored=mirrored), torch.tensor([[[1.0, 2.0]]]))
    assert torch.allclose(moved, torch.tensor([[expected]], dtype=torch.float32), atol=1e-6)


def test_similarity_puts_source_on_target():
    generator = torch.Generator().manual_seed(0)
    source, target = (torch.rand(8, 2, generator=generator) * 100 for _ in range(2))
    maps = affine.similarity(
        torch.linspace(-170, 170, 8), torch.linspace(0.3, 3, 8), torch.arange(8) % 3 == 0, source, target
    )
    assert torch.allclose(affine.apply(maps, source[:, None])[:, 0], target, atol=1e-4)


@given(st.floats(-180, 180), st.floats(0.2, 5), st.booleans())
def test_rotation_is_true_it_never_shears(degrees, scale, mirrored):
    points = random_points(1)
    moved = affine.apply(one(degrees, scale, mirrored, (24.0, 32.0), (10.0, 50.0)), points)
    before, after = torch.cdist(points, points), torch.cdist(moved, moved)
    assert torch.allclose(after, scale * before, rtol=1e-4, atol=1e-3)


def test_compose_equals_one_after_the_other():
    outer, inner, points = random_maps(seed=2), random_maps(seed=3), random_points()
    expected = affine.apply(outer, affine.apply(inner, points))
    assert torch.allclose(affine.apply(affine.compose(outer, inner), points), expected, atol=1e-3)


def test_compose_broadcasts_a_single_map():
    maps, half = random_maps(), affine.scaling((0.5, 2.0), (1.0, -1.0))
    repeated = half.expand(len(maps), 2, 3)
    assert torch.equal(affine.compose(half, maps), affine.compose(repeated, maps))
    assert torch.equal(affine.compose(maps, half), affine.compose(maps, repeated))


def test_map_and_inverse_cancel():
    maps, points = random_maps(), random_points()
    inverse = affine.invert(maps)
    for round_trip in (affine.compose(maps, inverse), affine.compose(inverse, maps)):
        assert torch.allclose(round_trip, affine.identity(len(maps)), atol=1e-4)
    assert torch.allclose(affine.apply(inverse, affine.apply(maps, points)), points, atol=1e-4)


def test_invert_handles_shear_too():
    matrix = torch.tensor([[[2.0, 1.0, 3.0], [0.5, 4.0, -5.0]]])
    assert torch.allclose(affine.compose(matrix, affine.invert(matrix)), affine.identity(1), atol=1e-6)


def test_apply_equals_a_loop():
    maps, points = random_maps(), random_points()
    moved = affine.apply(maps, points)
    for b, matrix in enumerate(maps.tolist()):
        for k, (x, y) in enumerate(points[b].tolist()):
            expected = [row[0] * x + row[1] * y + row[2] for row in matrix]
            assert moved[b, k].tolist() == pytest.approx(expected, abs=1e-3)


def test_warp_by_identity_and_by_whole_pixels():
    images = torch.rand(2, 3, 11, 7)
    assert torch.allclose(affine.warp(images, affine.identity(2), (7, 11)), images, atol=1e-5)
    moved = affine.warp(images, affine.scaling((1.0, 1.0), (2.0, 3.0)).repeat(2, 1, 1), (4, 5))
    assert torch.allclose(moved, images[..., 3:8, 2:6], atol=1e-5)


def test_warp_equals_a_slow_bilinear_loop():
    # input and output differ in size and shape; the middle of one shows the middle of the other
    images, generator = torch.rand(4, 2, 16, 10), torch.Generator().manual_seed(5)
    maps = affine.similarity(
        torch.rand(4, generator=generator) * 360, 0.4 + torch.rand(4, generator=generator),
        torch.tensor([True, False, True, False]), torch.full((4, 2), 5.0), torch.tensor([[4.5, 7.5]]).expand(4, 2),
    )  # fmt: skip
    fast = affine.warp(images, maps, (13, 9))
    for b in range(4):
        for c in range(2):
            assert torch.allclose(fast[b, c], bilinear_loop(images[b, c], maps[b], (13, 9)), atol=1e-4)


def test_warp_to_and_from_a_single_pixel():
    image = torch.arange(12.0).view(1, 1, 3, 4)
    assert affine.warp(image, affine.scaling((1.0, 1.0), (2.0, 1.0)), (1, 1)).item() == pytest.approx(6, abs=1e-5)
    assert affine.warp(torch.full((1, 1, 1, 1), 5.0), affine.identity(1), (1, 1)).item() == pytest.approx(5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_warp_keeps_the_type_of_images_and_the_precision_of_coordinates(dtype):
    images, turn = torch.rand(1, 3, 256, 192), one(30, 1.1, False, (96.0, 128.0), (96.0, 128.0))
    warped = affine.warp(images.to(dtype), turn, (192, 256))
    assert warped.dtype == dtype
    expected = affine.warp(images.to(dtype).float(), turn, (192, 256))
    assert torch.allclose(warped.float(), expected, atol=2 * torch.finfo(torch.bfloat16).eps)


def test_autocast_does_not_move_coordinates():
    maps, points, images = random_maps(2), random_points(2) * 4, torch.rand(2, 1, 64, 48)
    turn = torch.tensor([30.0, -50.0]), torch.ones(2), torch.tensor([True, False]), points[:, 0], points[:, 1]

    def everything():
        return (
            affine.similarity(*turn), affine.compose(maps, maps.flip(0)), affine.invert(maps),
            affine.apply(maps, points), affine.warp(images, maps, (48, 64)),
        )  # fmt: skip

    expected = everything()
    with torch.autocast("cpu", torch.bfloat16):
        lowered = everything()
    for a, b in zip(lowered, expected, strict=True):
        assert torch.equal(a, b)
