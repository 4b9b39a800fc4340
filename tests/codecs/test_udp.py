"""Both forms of udp against plain loops."""

import math

import pytest
import torch

from semipose.codecs import CODECS, CodecSettings
from semipose.codecs.udp import _blurred, blur_of


def make_codec(kind="udp", sigma=2.0):
    return CODECS[kind](CodecSettings((96, 128), 3, sigma=sigma))


def test_kernels_are_those_of_the_reference():
    assert blur_of(2.0) == (5, pytest.approx(2.0))
    assert blur_of(3.0) == (8, pytest.approx(2.9))


def blurred_map(heatmap, reach, sigma):
    kernel = torch.exp(-torch.arange(-reach, reach + 1.0).square() / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).view(1, 1, 1, -1)
    maps = torch.nn.functional.conv2d(heatmap[None, None], kernel, padding=(0, reach))
    return torch.nn.functional.conv2d(maps, kernel.mT, padding=(reach, 0))[0, 0]


@pytest.mark.parametrize("sigma", [1.0, 2.0, 3.0])
def test_blurring_only_the_window_equals_blurring_the_whole_map(sigma):
    maps = torch.rand(1, 3, 32, 24, generator=torch.Generator().manual_seed(0))
    peaks = [(12, 16), (1, 2), (22, 30)]
    found = _blurred(maps, torch.tensor([peaks]), sigma)
    for k, (x, y) in enumerate(peaks):
        expected = blurred_map(maps[0, k], *blur_of(sigma))
        torch.testing.assert_close(found[0, k], expected[y - 1 : y + 2, x - 1 : x + 2])


def newton_loop(heatmap, sigma):
    """The reference in its plainest form: x and y in heatmap pixels."""
    y, x = divmod(int(heatmap.argmax()), heatmap.shape[1])
    blurred = blurred_map(heatmap, *blur_of(sigma))
    f = (blurred * heatmap.max() / blurred[y - 1 : y + 2, x - 1 : x + 2].max()).clamp(1e-3, 50).log()
    dx, dy = (f[y, x + 1] - f[y, x - 1]) / 2, (f[y + 1, x] - f[y - 1, x]) / 2
    dxx, dyy = f[y, x + 1] - 2 * f[y, x] + f[y, x - 1], f[y + 1, x] - 2 * f[y, x] + f[y - 1, x]
    up = f[y + 1, x + 1] - f[y, x + 1] - f[y + 1, x] + f[y, x]
    down = f[y, x] - f[y, x - 1] - f[y - 1, x] + f[y - 1, x - 1]
    dxy = (up + down) / 2
    step = torch.linalg.solve(torch.stack([torch.stack([dxx, dxy]), torch.stack([dxy, dyy])]), torch.stack([dx, dy]))
    return torch.tensor([x, y]) - step


def test_decoding_equals_a_loop():
    codec = make_codec()
    points = codec.to_view(torch.rand(10, 3, 2, generator=torch.Generator().manual_seed(0)) * 8 + 8)
    heatmaps, _ = codec.encode(points, torch.ones(10, 3))
    heatmaps = heatmaps + 0.05 * torch.rand(heatmaps.shape, generator=torch.Generator().manual_seed(1))
    found = codec.to_heatmap(codec.decode(heatmaps)[0])
    for b in range(10):
        for k in range(3):
            torch.testing.assert_close(found[b, k], newton_loop(heatmaps[b, k], 2.0), atol=1e-3, rtol=0)


def test_corners_of_view_and_heatmap_coincide():
    for codec in (make_codec("udp"), make_codec("udp_offset")):
        corners = torch.tensor([[0.0, 0.0], [95.0, 127.0]])
        torch.testing.assert_close(codec.to_heatmap(corners), torch.tensor([[0.0, 0.0], [23.0, 31.0]]))


def test_discs_equal_a_loop_over_pixels():
    codec = make_codec("udp_offset")
    assert codec.radius == 0.0546875 * 32
    places = [(10.3, 20.6), (-1.0, 5.0), (40.0, 5.0)]
    target, weights = codec.encode(codec.to_view(torch.tensor([places])), torch.ones(1, 3))
    assert weights.tolist() == [[1.0, 1.0, 0.0]]
    for k, (u, v) in enumerate(places):
        for row in range(32):
            for column in range(24):
                x, y = (u - column) / codec.radius, (v - row) / codec.radius
                expected = (1.0, x, y) if math.hypot(x, y) <= 1 else (0.0, 0.0, 0.0)
                assert target[0, k, :, row, column].tolist() == pytest.approx(expected, abs=1e-4)


def test_the_offset_loss_equals_a_loop():
    codec = make_codec("udp_offset")
    target, _ = codec.encode(torch.rand(1, 3, 2) * 60 + 20, torch.ones(1, 3))
    output = torch.randn(target.shape)
    loss = codec.loss(output, target, None)
    for k in range(3):
        ours, wanted = output[0, k], target[0, k]
        terms = [(ours[0] - wanted[0]).square().mean()]
        terms += [(wanted[0] * ours[i] - wanted[0] * wanted[i]).square().mean() for i in (1, 2)]
        torch.testing.assert_close(loss[0, k], 0.5 * sum(terms))


def test_offsets_off_the_disc_do_not_count():
    codec = make_codec("udp_offset")
    target, _ = codec.encode(torch.full((1, 3, 2), 50.0), torch.ones(1, 3))
    output = target.clone()
    output[:, :, 1:] += 5 * (1 - target[:, :, :1])
    assert codec.loss(output, target, None).max() == 0
    assert (codec.decode(output)[0] - 50).abs().max() < 1e-3


def test_a_disc_with_a_noisy_rim_is_decoded_from_its_middle():
    codec = make_codec("udp_offset")
    points = torch.full((1, 3, 2), 50.0)
    target, _ = codec.encode(points, torch.ones(1, 3))
    target[:, :, 0, 3, 4] = 1.2  # a lone bright pixel, without an offset
    points_found, scores = codec.decode(target)
    assert (points_found - points).abs().max() < 1e-3
    assert scores.tolist() == [[pytest.approx(1.2)] * 3]
