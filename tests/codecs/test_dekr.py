"""The codec of bottom-up: targets, weights, decoding, the head."""

import itertools
import math
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from semipose.codecs import CodecSettings, find_codec
from semipose.codecs.dekr_decoding import find_instances
from semipose.codecs.dekr_head import AdaptiveConv, DekrHead
from semipose.codecs.dekr_targets import BACKGROUND, DekrTarget
from semipose.losses import reduce_keypoints
from semipose.structures import IGNORED
from semipose.views.view import ViewMap

JOINTS = 5
ORDER = torch.tensor([0, 2, 1, 4, 3])
SHAPE = torch.tensor([[0.0, -30], [20, -10], [-20, -12], [16, 30], [-14, 28]])  # view pixels around a root


@pytest.fixture
def codec():
    return find_codec("dekr")(CodecSettings((192, 128), JOINTS))


def people(*places, scale=1.0):
    """(1, N, K, 2) instances of the same shape; the keypoints of each have their own small differences."""
    generator = torch.Generator().manual_seed(1)
    moved = [SHAPE * scale + torch.tensor(p) + torch.randn(JOINTS, 2, generator=generator) for p in places]
    return torch.stack(moved)[None]


def ones(points):
    return torch.ones(points.shape[:-1])


def parts(codec, points, weights=None, mask=None):
    return DekrTarget.of(codec.encode(points, ones(points) if weights is None else weights, mask)[0])


def matched(found, points):
    """Distance in view pixels of each instance (N, K, 2) to the nearest one found (M, K, 2): the largest keypoint."""
    return torch.stack([(found - own).norm(dim=-1).amax(-1).min() for own in points])


def test_instances_come_back_within_half_a_pixel(codec):
    points = people([50.3, 60.1], [140.7, 64.9])
    found, scores = codec.decode(codec.perfect(codec.encode(points, ones(points))[0]))
    assert found.shape == (1, 2, JOINTS, 2)
    assert matched(found[0], points[0]).max() < 0.5
    assert (scores > 0.7).all()


def test_overlapping_instances_come_back_too(codec):
    points = torch.cat([people([84.0, 64.0]), people([108.0, 60.0], scale=0.6)], 1)
    found, _ = codec.decode(codec.perfect(codec.encode(points, ones(points))[0]))
    assert matched(found[0], points[0]).max() < 0.5


def test_keypoints_snap_to_the_peaks_of_their_heatmaps(codec):
    """Offsets that are wrong by a map pixel and a half: the peaks make up for it; where there is no peak they stay."""
    points = people([50.3, 60.1], [140.7, 64.9])
    output = codec.perfect(codec.encode(points, ones(points))[0])
    output[:, JOINTS + 1 :] += 1.5
    output[:, 0] = 0
    exact = replace(codec.settings, snap=1.0)
    for settings, low, high in ((codec.settings, 8, 9), (exact, 0, 1.5)):
        found, _ = find_codec("dekr")(settings).decode(output)
        miss = torch.stack([(found[0] - own).norm(dim=-1).amin(0) for own in points[0]])
        assert (miss[:, 1:] >= low).all() and (miss[:, 1:] < high).all() and (miss[:, 0] > 8).all()
    output[0, 0, 3, 3] = output[0, -1] = float("nan")
    assert find_codec("dekr")(exact).decode(output)[0].shape[-1] == 2


def test_pictures_of_a_batch_do_not_mix(codec):
    points = torch.cat([people([50.0, 60.0], [140.0, 64.0]), people([100.0, 64.0], [100.0, 64.0])])
    weights = ones(points)
    weights[1, 1] = 0  # padding
    output = codec.perfect(codec.encode(points, weights)[0])
    both, scores = codec.decode(output)
    assert (scores.amax(-1) > 0).tolist() == [[True, True], [True, False]]
    for row in range(2):
        alone, _ = codec.decode(output[row : row + 1])
        assert torch.equal(both[row, : alone.shape[1]], alone[0])


def test_the_order_of_instances_changes_no_bit(codec):
    points = torch.cat([people([80.0, 64.0], [95.0, 70.0]), people([90.0, 60.0], scale=0.6)], 1)
    weights = ones(points) * torch.tensor([1.0, 2.0, 3.0])[:, None]
    weights[0, 1, 2] = 0
    reference, _ = codec.encode(points, weights)
    for order in itertools.permutations(range(3)):
        order = list(order)
        assert torch.equal(codec.encode(points[:, order], weights[:, order])[0], reference)


def test_a_pixel_belongs_to_the_smaller_instance_for_each_keypoint_by_itself(codec):
    large, small = people([96.0, 64.0]), people([96.0, 64.0], scale=0.6)
    weights = ones(torch.cat([large, small], 1))
    weights[0, 1, 2] = 0  # the small one lacks a keypoint, so the large one teaches it
    both = parts(codec, torch.cat([large, small], 1), weights)
    alone_small, alone_large = parts(codec, small, weights[:, 1:]), parts(codec, large)
    owned = alone_small.offset_weights[:, [0, 1, 3, 4]] > 0
    assert torch.equal(both.offset_weights[:, [0, 1, 3, 4]][owned], alone_small.offset_weights[:, [0, 1, 3, 4]][owned])
    assert torch.equal(both.offset_weights[:, 2], alone_large.offset_weights[:, 2])


def test_offset_weights_are_one_over_the_diagonal(codec):
    points = people([96.0, 64.0])
    diagonal = ((points.amax(2) - points.amin(2)) / codec.stride).norm()
    weights = parts(codec, points).offset_weights
    assert torch.allclose(weights[weights > 0], 1 / diagonal)


def test_a_tiny_instance_has_keypoints_but_no_root(codec):
    target = parts(codec, people([96.0, 64.0], scale=0.2))
    assert target.heat[:, :JOINTS].amax() > 0.9
    assert target.heat[:, JOINTS].amax() == 0 and target.offset_weights.amax() == 0


def test_weights_of_one_are_no_weights(codec):
    points = people([50.0, 60.0], [140.0, 64.0])
    assert torch.equal(codec.encode(points, ones(points))[0], codec.encode(points, ones(points) * 1.0)[0])
    target = parts(codec, points)
    assert torch.equal(target.heat_weights, torch.where(target.heat > 0, 1.0, BACKGROUND))


def test_a_weight_changes_the_pixels_of_its_instance_and_no_other(codec):
    points = people([50.0, 60.0], [140.0, 64.0])
    weights = ones(points)
    weights[0, 1] = 2
    plain, weighted = parts(codec, points), parts(codec, points, weights)
    first, other = parts(codec, points[:, :1]), parts(codec, points[:, 1:])
    own = other.heat > first.heat
    assert torch.equal(weighted.heat_weights, torch.where(own, 2.0, plain.heat_weights))
    assert torch.equal(weighted.heat, plain.heat) and torch.equal(weighted.offsets, plain.offsets)
    own = other.offset_weights > 0
    assert torch.equal(weighted.offset_weights, torch.where(own, 2.0, 1.0) * plain.offset_weights)


def test_an_ignored_instance_is_neither_foreground_nor_background(codec):
    points = people([50.0, 60.0], [140.0, 64.0])
    weights = ones(points)
    weights[0, 1] = IGNORED
    target, first, second = parts(codec, points, weights), parts(codec, points[:, :1]), parts(codec, points[:, 1:])
    near = second.heat > first.heat
    assert (target.heat_weights[near] == 0).all()
    assert torch.equal(target.heat_weights[~near], first.heat_weights[~near])
    assert torch.equal(target.offset_weights, first.offset_weights)


def test_no_instance_is_all_background(codec):
    points = torch.zeros(2, 1, JOINTS, 2)
    target = parts(codec, points, torch.zeros(2, 1, JOINTS))
    assert target.heat.amax() == 0 and (target.heat_weights == BACKGROUND).all()
    found, scores = codec.decode(torch.zeros_like(codec.perfect(target.joined)))
    assert found.shape == (2, 1, JOINTS, 2) and scores.amax() == 0


def test_masked_regions_teach_nothing(codec):
    points, mask = people([50.0, 60.0]), torch.ones(1, 1, 128, 192)
    mask[..., 96:] = 0
    target, whole = parts(codec, points, mask=mask), parts(codec, points)
    assert (target.heat_weights[..., 24:] == 0).all()
    assert torch.equal(target.heat_weights[..., :24], whole.heat_weights[..., :24])


def test_keypoints_that_a_source_does_not_have_are_no_background(codec):
    points, known = people([50.0, 60.0]), torch.ones(1, JOINTS)
    known[0, 2] = 0
    weights = ones(points)
    weights[..., 2] = 0
    target = DekrTarget.of(codec.encode(points, weights, None, known)[0])
    plain = parts(codec, points, weights)
    assert (target.heat_weights[:, 2] == 0).all() and (plain.heat_weights[:, 2] == BACKGROUND).all()
    others = [0, 1, 3, 4, JOINTS]
    assert torch.equal(target.heat_weights[:, others], plain.heat_weights[:, others])


def test_the_loss_is_zero_for_perfect_and_grows_with_each_part(codec):
    points = people([50.0, 60.0], [140.0, 64.0])
    target, weights = codec.encode(points, ones(points))
    perfect = codec.perfect(target)
    assert weights.shape == (1, JOINTS + 1)
    assert codec.loss(perfect, target, None).abs().max() == 0
    for channel in range(perfect.shape[1]):
        worse = perfect.clone()
        worse[:, channel] += 0.5
        loss = codec.loss(worse, target, None)
        column = channel if channel <= JOINTS else (channel - JOINTS - 1) // 2
        assert loss[0, column] > 0 and loss.count_nonzero() == 1


def test_the_loss_equals_its_definition(codec):
    points = people([50.0, 60.0], [140.0, 64.0])
    target, weights = codec.encode(points, ones(points))
    output = torch.randn(codec.perfect(target).shape, generator=torch.Generator().manual_seed(0))
    wanted = DekrTarget.of(target)
    heat, offsets = output[:, : JOINTS + 1], output[:, JOINTS + 1 :].unflatten(1, (JOINTS, 2))
    expected = (wanted.heat_weights * (heat - wanted.heat) ** 2).mean()
    share = wanted.offset_weights.unsqueeze(2).expand_as(offsets)
    misses = F.smooth_l1_loss(offsets, wanted.offsets, reduction="none", beta=1 / 9)
    expected = expected + 0.03 * (share * misses).sum() / (share > 0).sum()
    assert torch.allclose(reduce_keypoints(codec.loss(output, target, None), weights), expected, rtol=1e-5)


def test_mirroring_twice_is_nothing_and_once_is_the_mirrored_target(codec):
    points = people([50.0, 60.0], [140.0, 64.0])
    output = codec.perfect(codec.encode(points, ones(points))[0])
    assert torch.equal(codec.unmirror(codec.unmirror(output, ORDER), ORDER), output)
    mirrored = points[:, :, ORDER].clone()
    mirrored[..., 0] = 191 - mirrored[..., 0]
    found, _ = codec.decode(codec.unmirror(codec.perfect(codec.encode(mirrored, ones(points))[0]), ORDER))
    assert matched(found[0], points[0]).max() < 0.5


def test_duplicates_are_left_out_and_the_better_one_stays(codec):
    points = people([96.0, 64.0])
    output = codec.perfect(codec.encode(points, ones(points))[0])
    root = output[:, JOINTS].clone()
    place = root.flatten(1).argmax()
    y, x = int(place) // 48, int(place) % 48
    output[:, JOINTS, y, x] = 0.5  # two maxima, both with offsets to the same keypoints
    output[:, JOINTS, y, x + 3] = 0.99
    found = find_instances(output, JOINTS)
    assert found.roots[0].count_nonzero() == 1 and found.roots[0, 0] == pytest.approx(0.99)


def test_warped_maps_are_those_of_the_moved_points(codec):
    points = people([90.0, 64.0])
    to_source = torch.tensor([[[1.0, 0, 8.0], [0, 1.0, -4.0]]])
    view_map = ViewMap(to_source, torch.tensor([True]), ORDER)
    warped = DekrTarget.of(codec.warp(codec.perfect(codec.encode(points, ones(points))[0]), view_map))
    wanted = parts(codec, view_map.points(points))
    assert torch.allclose(warped.heat, wanted.heat, atol=0.03)
    assert warped.offset_weights.amax() == 0


def test_adaptive_convolution_starts_as_a_grouped_convolution():
    torch.manual_seed(0)
    layer, x = AdaptiveConv(3, 4), torch.randn(2, 12, 7, 9)
    assert torch.allclose(layer(x), F.conv2d(x, layer.weight, padding=1, groups=3), atol=1e-5)


def moved_layer():
    torch.manual_seed(0)
    layer, x = AdaptiveConv(3, 4), torch.randn(2, 12, 7, 9)
    nn.init.normal_(layer.affine.weight, std=0.05)
    nn.init.normal_(layer.affine.bias, std=0.3)
    return layer, x


def bilinear(plane, x, y):
    """The value of a plane (h, w) at a place; 0 outside."""
    left, top, total = math.floor(x), math.floor(y), 0.0
    for column, row in itertools.product((left, left + 1), (top, top + 1)):
        if 0 <= column < plane.shape[1] and 0 <= row < plane.shape[0]:
            total += (1 - abs(x - column)) * (1 - abs(y - row)) * plane[row, column].item()
    return total


def test_adaptive_convolution_samples_where_its_taps_lie():
    layer, x = moved_layer()
    taps, found, weight = layer.tap_offsets(x).unflatten(0, (2, 3)), layer(x), layer.weight.unflatten(0, (3, 4))
    for b, group, row, column, out in [(0, 0, 3, 4, 0), (1, 2, 0, 0, 3), (0, 1, 6, 8, 1), (1, 1, 2, 7, 2)]:
        total = 0.0
        for tap, channel in itertools.product(range(9), range(4)):
            along_x, along_y = taps[b, group, tap, row, column].tolist()
            value = bilinear(x[b, group * 4 + channel], column + along_x, row + along_y)
            total += weight[group, out, channel].flatten()[tap].item() * value
        assert found[b, group * 4 + out, row, column].item() == pytest.approx(total, abs=1e-4)


def test_adaptive_convolution_equals_torchvisions_deformable_one_where_that_loads():
    from semipose.models.torchvision_import import import_torchvision

    import_torchvision()
    from torchvision.ops import deform_conv2d

    layer, x = moved_layer()
    steps = layer.tap_offsets(x) - layer.taps.view(9, 1, 1, 2)  # (B * groups, 9, h, w, 2)
    offset = steps.flip(-1).unflatten(0, (2, 3)).movedim(-1, 3).reshape(2, 3 * 9 * 2, 7, 9)
    try:
        expected = deform_conv2d(x, offset, layer.weight, padding=1)
    except RuntimeError as error:
        assert "custom C++ ops" in str(error)  # this torchvision has no compiled operators
        return
    assert torch.allclose(layer(x), expected, atol=1e-4)


def test_every_part_of_the_head_learns(codec):
    torch.manual_seed(0)
    head, points = codec.make_head(8), people([50.0, 60.0], [140.0, 64.0])
    target, weights = codec.encode(points, ones(points))
    reduce_keypoints(codec.loss(head(torch.randn(1, 8, 32, 48)), target, head), weights).backward()
    still = [name for name, p in head.named_parameters() if not p.grad.abs().sum() > 0]
    assert not still


def test_a_keypoint_whose_channels_are_all_below_0_still_learns(codec):
    torch.manual_seed(0)
    head, points = codec.make_head(8).eval(), people([50.0, 60.0], [140.0, 64.0])
    for name, parameter in head.offset.named_parameters():
        if name.endswith("bn.bias"):
            parameter.data -= 10
    target, weights = codec.encode(points, ones(points))
    reduce_keypoints(codec.loss(head(torch.randn(1, 8, 32, 48)), target, head), weights).backward()
    per_joint = head.offset[-2].conv.weight.grad.unflatten(0, (JOINTS, -1)).abs().flatten(1).sum(1)
    assert (per_joint > 0).all()


def test_the_head_has_the_papers_number_of_parameters():
    """Layer by layer as the authors build it, for 480 channels and 17 keypoints."""
    heat = 480 * 32 + 2 * 32 + 2 * (32 * 32 * 9 + 2 * 32) + 32 * 18 + 18
    adaptive = (15 * 4 * 9 + 4) + (15 * 2 * 9 + 2) + 15 * 15 * 9 + 2 * 15
    offset = 480 * 255 + 2 * 255 + 17 * (2 * adaptive + 15 * 2 + 2)
    assert sum(p.numel() for p in DekrHead(480, 17).parameters()) == heat + offset


def test_the_head_puts_out_contiguous_maps_also_of_channels_last():
    torch.manual_seed(0)
    head, features = DekrHead(8, JOINTS, 4, 3).eval(), torch.randn(2, 8, 6, 7)
    output = head.to(memory_format=torch.channels_last)(features.to(memory_format=torch.channels_last))
    assert output.is_contiguous() and torch.allclose(output, head(features), atol=1e-5)


def test_the_head_compiles_without_a_break():
    torch.manual_seed(0)
    head, features = DekrHead(8, JOINTS, 4, 3).eval(), torch.randn(2, 8, 6, 7)
    compiled = torch.compile(head, backend="eager", fullgraph=True, dynamic=False)
    assert torch.allclose(compiled(features), head(features), atol=1e-5)


@pytest.mark.parametrize("size", [1e2, 1e6])
def test_the_loss_of_extreme_outputs_is_finite(codec, size):
    points = people([50.0, 60.0], [140.0, 64.0])
    target, _ = codec.encode(points, ones(points))
    output = (codec.perfect(target) * 0 + size).requires_grad_()
    loss = codec.loss(output, target, None).sum()
    loss.backward()
    assert loss.isfinite() and output.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_taps_lie_where_they_should_in_16_bits_too(dtype):
    torch.manual_seed(0)
    layer, x = AdaptiveConv(2, 3), torch.randn(1, 6, 4, 160)
    nn.init.normal_(layer.affine.bias, std=0.5)
    expected = layer(x)
    assert (layer.to(dtype)(x.to(dtype)).float() - expected).abs().max() < 0.02
