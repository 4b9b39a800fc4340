"""What is special about coordinates that are put out, and about those that are an expectation."""

import math

import torch

from semipose.codecs import CODECS, CodecSettings


def make_codec(kind):
    return CODECS[kind](CodecSettings((96, 128), 2))


def test_coordinates_are_shares_of_the_view_from_border_to_border():
    codec = make_codec("regression")
    target, weights = codec.encode(torch.tensor([[[-0.5, 127.5], [47.5, 63.5]]]), torch.ones(1, 2))
    assert target.tolist() == [[[0.0, 1.0], [0.5, 0.5]]] and weights.tolist() == [[1.0, 1.0]]


def test_a_quarter_of_the_view_outside_can_be_learned():
    for codec in (make_codec("regression"), make_codec("rle")):
        points = torch.tensor([[[-24.0, 50.0], [-25.0, 50.0]], [[119.0, 50.0], [50.0, 160.0]]])
        assert codec.encode(points, torch.full((2, 2), 2.0))[1].tolist() == [[2.0, 0.0], [2.0, 0.0]]


def test_one_heatmap_pixel_of_regression_is_four_view_pixels():
    settings = CodecSettings((96, 128), 2, stride=32.0)
    assert CODECS["regression"](settings).stride == CODECS["rle"](settings).stride == 4


def test_the_loss_of_regression_is_about_the_mean_distance():
    codec = make_codec("regression")
    target = torch.zeros(1, 2, 2)
    loss = codec.loss(target + torch.tensor([0.3, -0.1]), target, None)
    torch.testing.assert_close(loss, torch.full((1, 2), 0.2 - 0.005))


def test_the_expectation_equals_a_loop():
    codec, logits = make_codec("integral"), torch.randn(1, 2, 32, 24)
    points, scores = codec.decode(logits)
    shares = logits[0, 1].double().exp() / logits[0, 1].double().exp().sum()
    x = sum(shares[row, column] * column for row in range(32) for column in range(24)).item()
    y = sum(shares[row, column] * row for row in range(32) for column in range(24)).item()
    near = [(r, c) for r in range(32) for c in range(24) if math.hypot(c - x, r - y) <= 6]
    assert math.isclose(points[0, 1, 0], 4 * x + 1.5, abs_tol=1e-3)
    assert math.isclose(points[0, 1, 1], 4 * y + 1.5, abs_tol=1e-3)
    assert math.isclose(scores[0, 1], sum(shares[place].item() for place in near), abs_tol=1e-4)


def test_the_loss_of_integral_equals_distance_and_divergence():
    codec, logits = make_codec("integral"), torch.randn(1, 2, 32, 24)
    points = torch.tensor([[[40.0, 60.0], [70.0, 30.0]]])
    target, _ = codec.encode(points, torch.ones(1, 2))
    loss = codec.loss(logits, target, None)
    distance = (codec.decode(logits)[0] - points).norm(dim=-1) / 4 / 16
    first = logits.flatten(2).double().softmax(-1)
    second = codec.perfect(target).flatten(2).double().softmax(-1)
    mixed = (first + second) / 2
    parts = [(p * ((p + 1e-300) / mixed).log()).sum(-1) for p in (first, second)]
    torch.testing.assert_close(loss, distance + (sum(parts) / 2).float(), atol=1e-4, rtol=1e-4)


def test_points_outside_have_no_expectation():
    codec = make_codec("integral")
    points = torch.tensor([[[-0.4, 127.4], [-1.0, 50.0]], [[50.0, 128.0], [95.4, 0.0]]])
    assert codec.encode(points, torch.ones(2, 2))[1].tolist() == [[1.0, 0.0], [0.0, 1.0]]


def test_networks_that_disagree_are_not_sure():
    codec = make_codec("integral")
    places = torch.tensor([[[20.0, 30.0]] * 2]), torch.tensor([[[70.0, 100.0]] * 2])
    outputs = [codec.perfect(codec.encode(place, torch.ones(1, 2))[0]) for place in places]
    points, scores = codec.decode(codec.average(outputs))
    assert (points - torch.tensor([45.0, 65.0])).abs().max() < 0.1
    assert scores.max() < 0.1
