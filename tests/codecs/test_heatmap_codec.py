import math

import pytest
import torch

from semipose.codecs import CODECS, CodecSettings, HeatmapCodec
from semipose.codecs.gaussian import _blurred_window
from semipose.geometry import affine
from semipose.skeletons import COCO
from semipose.views.view import ViewMap

SIZE, HEATMAP, STRIDE = (96, 128), (24, 32), 4
ORDER = torch.tensor(COCO.flip_order)
ALL = pytest.mark.parametrize("kind", ["gaussian", "msra", "udp"])
SUB_PIXEL = pytest.mark.parametrize("kind", ["gaussian", "udp"])


def make_codec(kind="gaussian", sigma=2.0, size=SIZE, stride=STRIDE):
    codec = CODECS[kind](CodecSettings(size, 17, stride=stride, sigma=sigma))
    assert isinstance(codec, HeatmapCodec)
    return codec


def random_points(codec, count=20, inside=3.0, seed=0):
    """(count, 17, 2) view pixels whose heatmap position is at least `inside` heatmap pixels from the border."""
    room = torch.tensor(codec.size, dtype=torch.float32) - 1 - 2 * inside
    return codec.to_view(torch.rand(count, 17, 2, generator=torch.Generator().manual_seed(seed)) * room + inside)


def ones(points):
    return torch.ones(points.shape[:2])


@SUB_PIXEL
@pytest.mark.parametrize(("size", "stride"), [((96, 128), 4), ((48, 64), 2), ((128, 96), 2), ((84, 112), 3.5)])
@pytest.mark.parametrize("sigma", [1.0, 1.5, 2.0, 3.0])
def test_sub_pixel_positions_are_decoded(kind, size, stride, sigma):
    codec = make_codec(kind, sigma, size, stride)
    # the wide blur of udp sees nothing behind the border, as in the reference
    points = random_points(codec, inside=3.0 if kind == "gaussian" else 3 * sigma)
    decoded, _ = codec.decode(codec.encode(points, ones(points))[0])
    assert (decoded - points).norm(dim=-1).max() < 0.1 * codec.stride


def test_msra_decodes_within_half_a_pixel():
    codec = make_codec("msra")
    points = random_points(codec)
    decoded, scores = codec.decode(codec.encode(points, ones(points))[0])
    assert (decoded - points).abs().max() <= 0.5 * STRIDE + 1e-3
    assert torch.equal(scores, ones(points))


@ALL
def test_encode_equals_a_loop_over_pixels(kind):
    codec, points = make_codec(kind, 1.5), torch.tensor([[[13.0, 30.0], [90.7, 101.2], [2.0, 127.0]]])
    heatmaps, _ = codec.encode(points, torch.ones(1, 3))
    assert heatmaps.shape == (1, 3, 32, 24)
    for k, (x, y) in enumerate(points[0].tolist()):
        u, v = {
            "msra": (int(x / 4 + 0.5), int(y / 4 + 0.5)),
            "gaussian": ((x - 1.5) / 4, (y - 1.5) / 4),
            "udp": (x * 23 / 95, y * 31 / 127),
        }[kind]
        for row in range(32):
            for column in range(24):
                expected = math.exp(-((column - u) ** 2 + (row - v) ** 2) / (2 * 1.5**2))
                assert heatmaps[0, k, row, column].item() == pytest.approx(expected, abs=1e-5)


@ALL
def test_batch_equals_one_by_one(kind):
    codec = make_codec(kind)
    points = random_points(codec, 4, inside=-2)
    weights = (torch.rand(4, 17) < 0.8).float()
    heatmaps, kept = codec.encode(points, weights)
    noisy = heatmaps + 0.05 * torch.rand(heatmaps.shape)
    decoded, scores = codec.decode(noisy)
    for b in range(4):
        for k in range(17):
            one, weight = codec.encode(points[b : b + 1, k : k + 1], weights[b : b + 1, k : k + 1])
            assert torch.equal(one[0, 0], heatmaps[b, k]) and torch.equal(weight[0, 0], kept[b, k])
            point, score = codec.decode(noisy[b : b + 1, k : k + 1])
            assert torch.allclose(point[0, 0], decoded[b, k], atol=1e-4) and torch.equal(score[0, 0], scores[b, k])


@ALL
def test_weight_is_zero_where_the_gaussian_lies_outside(kind):
    # sigma 2: six heatmap pixels past the last pixel on each side are still in reach
    codec = make_codec(kind, 2.0)
    inside = [(-5, 10), (28, 10), (10, -5), (10, 36), (0, 0), (23, 31), (-5, -5), (28, 36)]
    outside = [(-7, 10), (30, 10), (10, -7), (10, 38), (-7, -7), (1000, 10), (10, -1e6)]
    points = codec.to_view(torch.tensor([inside + outside], dtype=torch.float32))
    heatmaps, weights = codec.encode(points, torch.full((1, 15), 1.5))
    assert weights.tolist() == [[1.5] * len(inside) + [0.0] * len(outside)]
    assert (heatmaps[0, len(inside) :] == 0).all()
    assert (heatmaps[0, : len(inside)].amax((1, 2)) > 0).all()


@ALL
def test_joints_near_the_limit_are_in_or_out_as_a_comparison_of_pairs_says(kind):
    codec = make_codec(kind, 1.7)
    points = torch.rand(400, 17, 2, generator=torch.Generator().manual_seed(0)) * 200 - 50
    limit = codec.to_view(torch.tensor([24.0, 32.0]) - 1 + 3 * 1.7)
    points[:50] = limit + (points[:50] / 100).round() * 1e-5 * limit  # to the last bit
    place = codec.centre(points)
    far = torch.tensor([23 + 3 * 1.7, 31 + 3 * 1.7])
    expected = ((place > -3 * 1.7) & (place < far)).all(-1)
    assert torch.equal(codec.encode(points, ones(points))[1], expected.float())
    assert 0.2 < expected.float().mean() < 0.8


@ALL
def test_unlabelled_joints_are_empty(kind):
    codec = make_codec(kind)
    points = random_points(codec, 1)
    weights = torch.arange(17.0).remainder(2)[None]
    heatmaps, kept = codec.encode(points, weights)
    assert torch.equal(kept, weights)
    assert torch.equal(heatmaps.amax((2, 3)) > 0, weights > 0)


def quarter_loop(heatmap):
    """The decoding of SimpleBaseline and HRNet in its plainest form."""
    height, width = heatmap.shape
    y, x = divmod(int(heatmap.argmax()), width)
    u, v = float(x), float(y)
    if 1 < x < width - 1 and 1 < y < height - 1:
        u += 0.25 * torch.sign(heatmap[y, x + 1] - heatmap[y, x - 1]).item()
        v += 0.25 * torch.sign(heatmap[y + 1, x] - heatmap[y - 1, x]).item()
    return u, v


def test_quarter_step_equals_a_slow_loop_also_at_the_borders():
    codec = make_codec("msra", 1.0, (20, 24))
    heatmaps = torch.rand(30, 30, 6, 5)
    peaks = {divmod(int(m.argmax()), 5) for m in heatmaps.flatten(0, 1)}
    assert len(peaks) == 30, "every pixel is the peak of some map"
    points, _ = codec.decode(heatmaps)
    for b in range(30):
        for k in range(30):
            assert (points[b, k] / 4).tolist() == list(quarter_loop(heatmaps[b, k]))


@pytest.mark.parametrize("place", [(11.95, 15.6), (11.6, 15.95)])
@SUB_PIXEL
def test_the_step_follows_a_tilted_peak(place, kind):
    xs, ys = torch.arange(24.0), torch.arange(32.0)[:, None]
    u, v = xs - place[0], ys - place[1]
    heatmap = torch.exp(-(u**2 + v**2 - 1.2 * u * v) / 8)
    codec = make_codec(kind, sigma=2.0)
    points, _ = codec.decode(heatmap[None, None])
    assert codec.to_heatmap(points)[0, 0].tolist() == pytest.approx(place, abs=0.03)


def test_gaussian_step_bears_noise():
    codec = make_codec(sigma=2.0)
    points = random_points(codec, 50)
    heatmaps, _ = codec.encode(points, ones(points))
    noisy = heatmaps + 0.05 * torch.randn(heatmaps.shape, generator=torch.Generator().manual_seed(0))
    # without the blur before the logarithm it is three times as much
    assert (codec.decode(noisy)[0] - points).norm(dim=-1).mean() < 0.1 * STRIDE


@pytest.mark.parametrize("place", [(0.3, 10.4), (1.3, 10.4), (22.3, 10.4), (10.4, 0.3), (10.4, 30.3)])
def test_gaussian_takes_no_step_at_the_border(place):
    codec = make_codec()
    points = codec.to_view(torch.tensor([[place]]))
    decoded, _ = codec.decode(codec.encode(points, torch.ones(1, 1))[0])
    assert codec.to_heatmap(decoded)[0, 0].tolist() == [round(c) for c in place]


@pytest.mark.parametrize(("kind", "inner", "outer"), [("gaussian", 1.5, 4), ("udp", 5, 9)])
def test_no_step_out_of_a_dent(kind, inner, outer):
    # a lone pixel inside a brighter, lopsided ring: after the blur it is a minimum, with no Gaussian to fit
    ys, xs = torch.meshgrid(torch.arange(32.0) - 16, torch.arange(24.0) - 12, indexing="ij")
    radius = (xs**2 + ys**2).sqrt()
    heatmap = torch.where((radius > inner) & (radius < outer), 0.9 + 0.01 * xs, torch.full_like(xs, 0.1))
    heatmap[16, 12] = 1.0
    codec = make_codec(kind)
    points, _ = codec.decode(heatmap[None, None])
    assert codec.to_heatmap(points)[0, 0].tolist() == pytest.approx([12, 16], abs=1e-4)


@ALL
def test_decode_does_not_depend_on_the_height_of_the_peak(kind):
    codec = make_codec(kind)
    points = random_points(codec, 2)
    heatmaps, _ = codec.encode(points, ones(points))
    high, low = codec.decode(heatmaps), codec.decode(0.125 * heatmaps)
    assert torch.allclose(high[0], low[0], atol=1e-2)
    assert torch.equal(low[1], 0.125 * high[1])


@pytest.mark.parametrize(("kind", "longest"), [("gaussian", 1), ("udp", 3)])
def test_the_step_is_limited_and_always_finite(kind, longest):
    codec = make_codec(kind)
    flat = torch.zeros(1, 3, 32, 24)
    flat[0, 1], flat[0, 2] = 0.5, -1.0
    for heatmaps in (flat, torch.rand(8, 17, 32, 24), torch.randn(8, 17, 32, 24), -torch.rand(2, 17, 32, 24)):
        points, _ = codec.decode(heatmaps)
        peak = heatmaps.flatten(2).argmax(-1)
        whole = torch.stack([peak % 24, peak // 24], -1)
        assert torch.isfinite(points).all()
        assert (codec.to_heatmap(points) - whole).abs().max() <= longest + 1e-4


@ALL
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_decode_of_half_precision_is_in_full_precision(kind, dtype):
    codec = make_codec(kind)
    heatmaps = torch.rand(2, 17, 32, 24).to(dtype)
    points, scores = codec.decode(heatmaps)
    expected = codec.decode(heatmaps.float())
    assert points.dtype == scores.dtype == torch.float32
    assert torch.equal(points, expected[0]) and torch.equal(scores, expected[1])


def rigid_map(degrees, mirrored, shift):
    """A map between two views without change of scale."""
    count = len(degrees)
    middle = torch.tensor([(SIZE[0] - 1) / 2, (SIZE[1] - 1) / 2]).expand(count, 2)
    to_source = affine.similarity(
        torch.tensor(degrees), torch.ones(count), torch.tensor(mirrored), middle, middle + torch.tensor(shift)
    )
    return ViewMap(to_source, torch.tensor(mirrored), ORDER)


@SUB_PIXEL
def test_warped_heatmap_is_the_heatmap_of_the_warped_points(kind):
    codec = make_codec(kind, sigma=3.0)
    points = random_points(codec, 4, inside=10, seed=2)
    view_map = rigid_map([0.0, 33.0, -60.0, 140.0], [False, False, True, True], (5.3, -2.6))
    heatmaps, _ = codec.encode(points, ones(points))
    warped, moved = codec.warp(heatmaps, view_map), view_map.points(points)
    # bilinear sampling of a Gaussian of sigma 3 is off by at most 2 / (8 sigma^2)
    assert (warped - codec.encode(moved, ones(points))[0]).abs().max() < 2 / (8 * 3**2)
    assert (codec.decode(warped)[0] - moved).norm(dim=-1).max() < 0.1 * STRIDE


@ALL
def test_warp_by_whole_heatmap_pixels_is_exact(kind):
    codec = make_codec(kind, 1.5)
    points = random_points(codec, 1, inside=9)
    view_map = rigid_map([0.0], [False], (2.0 * codec.steps[0], -3.0 * codec.steps[1]))
    heatmaps, _ = codec.encode(points, ones(points))
    expected, _ = codec.encode(view_map.points(points), ones(points))
    warped = codec.warp(heatmaps, view_map)
    # what comes in from outside the source is black
    assert torch.allclose(warped[..., 3:, :-2], expected[..., 3:, :-2], atol=1e-4)


@SUB_PIXEL
def test_warp_by_a_mirror_is_exact_and_swaps_channels(kind):
    codec = make_codec(kind, sigma=1.5)
    points = random_points(codec, 2, inside=0)
    view_map = rigid_map([0.0, 0.0], [True, False], (0.0, 0.0))
    heatmaps, _ = codec.encode(points, ones(points))
    warped = codec.warp(heatmaps, view_map)
    assert torch.allclose(warped[0], heatmaps[0].flip(-1)[ORDER], atol=1e-4)
    assert torch.allclose(warped[1], heatmaps[1], atol=1e-4)


def test_warp_of_msra_keeps_to_its_own_pixel_grid():
    # x_input = 4 * x_heatmap without an offset: the mirror of heatmap pixel u is (95 - 4u) / 4 = 23.75 - u
    codec = make_codec("msra")
    heatmap = torch.zeros(1, 17, 32, 24)
    heatmap[0, 0, 10, 7] = 1.0
    warped = codec.warp(heatmap, rigid_map([0.0], [True], (0.0, 0.0)))[0, 0]
    # rows: turned by 0 degrees around the middle, so unchanged
    assert warped[10, 17].item() == pytest.approx(0.75, abs=1e-3)
    assert warped[10, 16].item() == pytest.approx(0.25, abs=1e-3)


def mirrored(points):
    return torch.stack([SIZE[0] - 1 - points[..., 0], points[..., 1]], -1)[:, ORDER]


@SUB_PIXEL
def test_flip_test_needs_no_shift(kind):
    codec = make_codec(kind)
    points = random_points(codec, inside=-1)
    weights = torch.ones(points.shape[:2])
    turned = codec.unmirror(codec.encode(mirrored(points), weights)[0], ORDER)
    assert torch.allclose(turned, codec.encode(points, weights)[0], atol=1e-5)


def test_flip_test_of_msra_moves_by_one_pixel():
    heatmaps = torch.rand(2, 17, 32, 24)
    turned = make_codec("msra").unmirror(heatmaps, ORDER)
    expected = heatmaps[:, ORDER].flip(-1)
    assert torch.equal(turned[..., 1:], expected[..., :-1])
    assert torch.equal(turned[..., 0], expected[..., 0])


@pytest.mark.parametrize("sigma", [1.0, 2.0, 3.0])
def test_blurring_only_the_window_equals_blurring_the_whole_map(sigma):
    """Also where the window reaches over the border, which decoding leaves at the highest pixel."""
    maps = torch.randn(2, 17, *HEATMAP[::-1], generator=torch.Generator().manual_seed(0))
    reach = max(1, round(1.5 * sigma))
    kernel = torch.exp(-torch.arange(-reach, reach + 1.0).square() / (2 * (0.5 * sigma) ** 2))
    kernel = (kernel / kernel.sum()).view(1, 1, -1, 1)
    padded = torch.nn.functional.pad(maps.flatten(0, 1).unsqueeze(1), (reach,) * 4, mode="replicate")
    along_x = torch.nn.functional.conv2d(padded, kernel.mT)
    blurred = torch.nn.functional.conv2d(along_x, kernel).view(maps.shape)
    peak = torch.randint(2, 22, (2, 17, 2), generator=torch.Generator().manual_seed(1))
    found = _blurred_window(maps, peak, sigma)
    for b, k in [(0, 0), (0, 16), (1, 5), (1, 9)]:
        x, y = peak[b, k].tolist()
        torch.testing.assert_close(found[b, k], blurred[b, k, y - 2 : y + 3, x - 2 : x + 3])
