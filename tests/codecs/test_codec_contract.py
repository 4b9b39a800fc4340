"""What every codec of the table keeps to."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from semipose.codecs import CODECS, TOP_DOWN, CodecSettings, find_codec
from semipose.errors import ConfigError
from semipose.losses import reduce_keypoints

SETTINGS = [
    CodecSettings((96, 128), 6),
    CodecSettings((84, 112), 6, stride=3.5, sigma=1.5),
    CodecSettings((128, 96), 6, stride=2.0, sigma=1.5, bins=3.0),
]
ORDER = torch.tensor([0, 2, 1, 3, 5, 4])
ALL = pytest.mark.parametrize("kind", TOP_DOWN)
ALL_SIZES = pytest.mark.parametrize("settings", SETTINGS, ids=lambda s: f"{s.size[0]}x{s.size[1]}-{s.stride:g}")


def make_codec(kind, settings=SETTINGS[0]):
    return CODECS[kind](settings)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def random_points(codec, count=8, inside=28.0, seed=0):
    """(count, 6, 2) view pixels at least `inside` from the border."""
    room = torch.tensor(codec.settings.size) - 1.0 - 2 * inside
    return torch.rand(count, 6, 2, generator=seeded(seed)) * room + inside


def ones(points):
    return torch.ones(points.shape[:2])


def target_of(codec, points):
    return codec.encode(points, ones(points))[0]


def tolerance(codec, kind):
    """In view pixels, for the distance from the right place."""
    return (0.75 if kind == "msra" else 0.1) * codec.stride


def make_head(codec, hidden=0, seed=0):
    torch.manual_seed(seed)
    return codec.make_head(4, hidden)


def random_output(codec, count=3, seed=1):
    """What a head puts out for random features when it is neither new nor trained."""
    head = make_head(codec, seed=seed)
    for weight in head.parameters():
        nn.init.normal_(weight, std=0.1)
    width, height = codec.settings.map_size
    return head(torch.randn(count, 4, height, width, generator=seeded(seed))).detach()


@ALL
def test_a_codec_is_found_by_its_name(kind):
    assert find_codec(kind) is CODECS[kind]


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ConfigError, match=r"'darkpose'.*gaussian, msra"):
        find_codec("darkpose")


@pytest.mark.parametrize("stride", [5.0, 3.9])
def test_a_stride_that_does_not_divide_the_view_is_named(stride):
    with pytest.raises(ConfigError, match=rf"96x128.*{stride:g}"):
        _ = CodecSettings((96, 128), 6, stride=stride).map_size


@ALL
@ALL_SIZES
@pytest.mark.parametrize("hidden", [0, 5])
def test_the_head_puts_out_what_the_codec_reads(kind, settings, hidden):
    codec = make_codec(kind, settings)
    width, height = (3, 4) if codec.pools else settings.map_size
    output = make_head(codec, hidden)(torch.randn(2, 4, height, width))
    assert output.is_contiguous() and output.shape[:2] == (2, 6)
    points, scores = codec.decode(output)
    assert points.shape == (2, 6, 2) and scores.shape == (2, 6)
    target = target_of(codec, random_points(codec, 2))
    assert output.shape == codec.perfect(target).shape
    assert codec.loss(output, target, make_head(codec)).shape == (2, 6)


@ALL
def test_a_new_head_knows_nothing(kind):
    codec = make_codec(kind)
    output = make_head(codec)(torch.randn(2, 4, 32, 24))
    points, scores = codec.decode(output)
    if codec.has_scores:
        assert scores.max() < 0.55
    if codec.pools or kind == "integral":
        assert (points - torch.tensor([47.5, 63.5])).abs().max() < 2


@ALL
@ALL_SIZES
def test_the_score_of_who_knows_nothing_is_that_of_a_new_head(kind, settings):
    codec = make_codec(kind, settings)
    width, height = settings.map_size
    scores = codec.decode(make_head(codec)(torch.randn(2, 4, height, width)))[1]
    assert scores.max().item() == pytest.approx(codec.unsure_score(), abs=0.05)


@ALL
@ALL_SIZES
def test_what_was_encoded_is_decoded(kind, settings):
    codec = make_codec(kind, settings)
    points = random_points(codec, 40)
    decoded, scores = codec.decode(codec.perfect(target_of(codec, points)))
    assert (decoded - points).norm(dim=-1).max() < tolerance(codec, kind)
    assert scores.min() > 0.85 and scores.max() <= 1 + 1e-5


@ALL
def test_scores_fall_with_sureness(kind):
    codec = make_codec(kind)
    perfect = codec.perfect(target_of(codec, random_points(codec)))
    sure = codec.decode(perfect)[1]
    unsure = codec.decode(0.2 * perfect)[1]
    unknown = codec.decode(torch.zeros_like(perfect))[1]
    for scores in (sure, unsure, unknown):
        assert scores.min() >= 0 and scores.max() <= 1 + 1e-5
    if codec.has_scores:
        assert (sure > unsure + 0.01).all() and (unsure > unknown).all() and unknown.max() <= 0.51
    else:
        assert all((scores == 1).all() for scores in (sure, unsure, unknown))


@ALL
def test_batch_equals_one_by_one(kind):
    codec, head = make_codec(kind), make_head(make_codec(kind))
    points = random_points(codec, 3, inside=-10)
    weights = (torch.rand(3, 6, generator=seeded()) < 0.8).float()
    target, kept = codec.encode(points, weights)
    output = random_output(codec)
    loss, (decoded, scores) = codec.loss(output, target, head), codec.decode(output)
    for b in range(3):
        for k in range(6):
            cell = (slice(b, b + 1), slice(k, k + 1))
            one, weight = codec.encode(points[cell], weights[cell])
            point, score = codec.decode(output[cell])
            torch.testing.assert_close(one, target[cell])
            torch.testing.assert_close(weight, kept[cell])
            torch.testing.assert_close(point, decoded[cell], atol=1e-3, rtol=1e-5)
            torch.testing.assert_close(score, scores[cell])
            torch.testing.assert_close(codec.loss(output[cell], target[cell], head), loss[cell])


@ALL
def test_rows_and_keypoints_can_be_moved(kind):
    codec = make_codec(kind)
    output, rows = random_output(codec), torch.tensor([2, 0])
    points, scores = codec.decode(output)
    moved = codec.decode(torch.cat([output, output])[rows][:, ORDER])
    torch.testing.assert_close(moved[0], points[rows][:, ORDER], atol=1e-3, rtol=1e-5)
    torch.testing.assert_close(moved[1], scores[rows][:, ORDER])


@ALL
def test_the_loss_is_smallest_for_a_perfect_output(kind):
    codec, head = make_codec(kind), make_head(make_codec(kind))
    target = target_of(codec, random_points(codec, 3))
    perfect = codec.perfect(target)
    best = codec.loss(perfect, target, head)
    if kind != "rle":  # a likelihood has no zero
        assert best.abs().max() < 1e-3
    for seed in range(5):
        other = perfect + 0.1 * torch.randn(perfect.shape, generator=seeded(seed))
        assert (codec.loss(other, target, head) > best + 1e-4).all()
    elsewhere = codec.perfect(target_of(codec, random_points(codec, 3, seed=9)))
    assert (codec.loss(elsewhere, target, head) > best + 1e-4).all()


@ALL
def test_gradients_reach_what_has_weight_and_nothing_else(kind):
    codec, head = make_codec(kind), make_head(make_codec(kind))
    points = random_points(codec, 3)
    points[0, 1] = torch.tensor([1e20, -1e6])  # cannot be expressed
    points[2, 5] = torch.tensor([-1e9, 20.0])
    weights = ones(points)
    weights[1, 2] = 0
    target, weights = codec.encode(points, weights)
    expected = torch.ones(3, 6)
    expected[0, 1] = expected[1, 2] = expected[2, 5] = 0
    assert torch.equal(weights, expected)
    output = random_output(codec).requires_grad_()
    reduce_keypoints(codec.loss(output, target, head), weights).backward()
    assert torch.isfinite(output.grad).all()
    assert torch.equal(output.grad.flatten(2).abs().amax(-1) > 0, expected > 0)


@ALL
@pytest.mark.parametrize("size", [1.0, 1e2, 1e4, 1e6])
def test_the_loss_of_extreme_outputs_is_finite(kind, size):
    codec, head = make_codec(kind), make_head(make_codec(kind))
    output = (size * torch.randn(random_output(codec).shape, generator=seeded())).requires_grad_()
    loss = codec.loss(output, target_of(codec, random_points(codec, 3)), head)
    loss.sum().backward()
    assert torch.isfinite(loss).all() and torch.isfinite(output.grad).all()
    assert all(torch.isfinite(values).all() for values in codec.decode(output.detach()))


@ALL
def test_the_loss_is_in_full_precision_also_under_autocast(kind):
    codec, head = make_codec(kind), make_head(make_codec(kind))
    for weight in head.parameters():
        nn.init.normal_(weight, std=0.3)
    target, output = target_of(codec, random_points(codec, 3)), random_output(codec).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        loss = codec.loss(output, target, head)
    assert loss.dtype == torch.float32
    assert torch.equal(loss, codec.loss(output.float(), target, head))


@ALL
@ALL_SIZES
def test_unmirror_twice_changes_nothing(kind, settings):
    codec = make_codec(kind, settings)
    output = random_output(codec)
    twice = codec.unmirror(codec.unmirror(output, ORDER), ORDER)
    if kind == "msra":  # its border columns are repeated by the shift
        output, twice = output[..., 1:-1], twice[..., 1:-1]
        assert twice.numel() > 0
    torch.testing.assert_close(twice, output, atol=1e-6, rtol=0)


@ALL
@ALL_SIZES
def test_outputs_for_mirrored_views_are_turned_back(kind, settings):
    codec = make_codec(kind, settings)
    points = random_points(codec, 10)
    mirrored = torch.stack([settings.size[0] - 1 - points[..., 0], points[..., 1]], -1)[:, ORDER]
    turned = codec.unmirror(codec.perfect(target_of(codec, mirrored)), ORDER)
    distance = (codec.decode(turned)[0] - points).abs().max()
    # msra: rounded to whole heatmap pixels, and mirrored about a place that is one view pixel off
    assert distance < (0.5 * codec.stride + 1.001 if kind == "msra" else 0.02 * codec.stride)


@ALL
def test_average(kind):
    codec, head = make_codec(kind), make_head(make_codec(kind))
    output = random_output(codec)
    assert torch.equal(codec.average([output]), output)
    same = codec.average([output, output])
    assert same.shape == output.shape
    target = target_of(codec, random_points(codec, 3))
    torch.testing.assert_close(codec.loss(same, target, head), codec.loss(output, target, head))
    for ours, theirs in zip(codec.decode(same), codec.decode(output)):
        torch.testing.assert_close(ours, theirs, atol=1e-3, rtol=1e-4)


@ALL
def test_the_average_of_two_that_nearly_agree_is_in_the_middle(kind):
    codec = make_codec(kind)
    points = random_points(codec, 4)
    places = points + 2.0, points - 2.0
    average = codec.average([codec.perfect(target_of(codec, place)) for place in places])
    assert (codec.decode(average)[0] - points).norm(dim=-1).max() < 2 * tolerance(codec, kind)


@ALL
def test_codecs_of_one_kind_and_setting_are_equal(kind):
    codec = make_codec(kind)
    assert codec == make_codec(kind) and hash(codec) == hash(make_codec(kind))
    others = [make_codec(other) for other in TOP_DOWN if other != kind] + [make_codec(kind, SETTINGS[1])]
    assert all(codec != other for other in others)


@ALL
def test_a_stride_counts_where_outputs_are_maps(kind):
    """Bins and coordinates are those of the view: students with unlike features put out the same."""
    other = make_codec(kind, replace(SETTINGS[0], stride=8.0))
    assert (make_codec(kind) == other) == (kind in ("simcc", "regression", "rle"))
    points = random_points(other)
    shapes = [target_of(codec, points).shape for codec in (make_codec(kind), other)]
    assert (make_codec(kind) != other) or shapes[0] == shapes[1]


class Decoded(nn.Module):
    def __init__(self, codec, head):
        super().__init__()
        self.codec, self.head = codec, head

    def forward(self, features):
        return self.codec.decode(self.head(features))


@ALL
def test_decoding_can_be_exported(kind):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    codec = make_codec(kind, SETTINGS[1])
    network = Decoded(codec, make_head(codec, hidden=5)).eval()
    for weight in network.parameters():
        nn.init.normal_(weight, std=0.1)
    width, height = codec.settings.map_size
    program = torch.onnx.export(
        network, (torch.randn(2, 4, height, width),), dynamo=True, opset_version=18, verbose=False,
        dynamic_shapes=({0: torch.export.Dim("batch")},),
    )  # fmt: skip
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString())
    features = torch.randn(5, 4, height, width)
    found = session.run(None, {session.get_inputs()[0].name: features.numpy()})
    for ours, theirs in zip(found, network(features)):
        torch.testing.assert_close(torch.from_numpy(ours), theirs, atol=2e-3, rtol=1e-4)


@ALL
def test_heads_compile_without_a_break(kind):
    codec = make_codec(kind)
    head, features = make_head(codec, hidden=5), torch.randn(2, 4, 32, 24)
    torch.testing.assert_close(torch.compile(head, backend="eager", fullgraph=True)(features), head(features))


class TinyNetwork(nn.Module):
    """A linear layer from pictures (B, 1, 16, 12) to features, and the codec's head."""

    def __init__(self, codec):
        super().__init__()
        self.size = (2, 2) if codec.pools else tuple(reversed(codec.settings.map_size))
        self.features = nn.Linear(16 * 12, 16 * self.size[0] * self.size[1])
        self.head = codec.make_head(16)

    def forward(self, pictures):
        features = self.features(pictures.flatten(1))
        return self.head(features.unflatten(1, (16, *self.size)))


@ALL
def test_head_loss_and_decoding_learn_a_few_pictures(kind):
    codec = make_codec(kind, CodecSettings((48, 64), 6))
    torch.manual_seed(0)
    network, pictures = TinyNetwork(codec), torch.randn(4, 1, 16, 12)
    points = random_points(codec, 4, inside=6.0)
    target, weights = codec.encode(points, ones(points))
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3)
    flow = [weight.clone() for name, weight in network.named_parameters() if "flow" in name]
    for step in range(300):
        for group in optimizer.param_groups:
            group["lr"] = 2e-3 * min(1, 2 * (1 - step / 300))
        loss = reduce_keypoints(codec.loss(network(pictures), target, network.head), weights)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    decoded, scores = codec.decode(network(pictures).detach())
    assert (decoded - points).norm(dim=-1).max() < (4.0 if kind == "msra" else 2.0)
    assert scores.min() > 0.6
    moved = [weight for name, weight in network.named_parameters() if "flow" in name]
    assert all(not torch.equal(before, after) for before, after in zip(flow, moved))
