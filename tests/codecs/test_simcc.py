"""What is special about simcc: bins, the divergence and how they compare with MMPose."""

import pytest
import torch
import torch.nn.functional as F

from semipose.codecs import CODECS, CodecSettings
from semipose.codecs.simcc import BETA
from semipose.errors import ConfigError


def make_codec(size=(192, 256), **settings):
    return CODECS["simcc"](CodecSettings(size, 5, **settings))


def random_points(codec, count=30):
    room = torch.tensor(codec.settings.size) - 1.0
    return torch.rand(count, 5, 2, generator=torch.Generator().manual_seed(0)) * room


def test_sigmas_are_those_of_mmpose_unless_given():
    assert make_codec().counts == (384, 512)
    assert make_codec().sigmas == pytest.approx((4.9, 5.66), abs=0.01)
    assert make_codec((288, 384)).sigmas == pytest.approx((6.0, 6.93), abs=0.01)
    assert make_codec(bin_sigma=3.0).sigmas == (3.0, 3.0)


def test_the_target_is_a_gaussian_over_bins():
    codec = make_codec((24, 32))
    target, _ = codec.encode(torch.tensor([[[10.25, 20.0]] * 5]), torch.ones(1, 5))
    along_x, along_y = target[0, 0].split([48, 64])
    # bins 21 and 41 lie at 10.25 and 20.25
    ratios = along_x[21] / along_x[24], along_y[41] / along_y[38]
    expected = torch.tensor([9 / (2 * 3.0), (2.5**2 - 0.5**2) / (2 * 4.0)]).exp()
    torch.testing.assert_close(torch.stack(ratios), expected)
    torch.testing.assert_close(torch.stack([along_x.sum(), along_y.sum()]), torch.ones(2))


def test_the_loss_is_torchs_divergence_of_both_axes():
    codec = make_codec((48, 64))
    target, _ = codec.encode(random_points(codec, 4), torch.ones(4, 5))
    output = torch.randn(4, 5, 96 + 128)
    parts = zip(output.split([96, 128], -1), target.split([96, 128], -1))
    expected = sum(F.kl_div((BETA * o).log_softmax(-1), t, reduction="none").sum(-1) for o, t in parts)
    torch.testing.assert_close(codec.loss(output, target, None), expected)


@pytest.mark.parametrize("at_edges", [False, True])
def test_positions_between_bins_are_decoded(at_edges):
    codec = make_codec(bins_at_edges=at_edges)
    points = random_points(codec) * 0.9 + 5
    decoded, _ = codec.decode(codec.perfect(codec.encode(points, torch.ones(30, 5))[0]))
    assert (decoded - points).abs().max() < 0.25 * 0.05  # a bin is half a pixel; without the parabola half a bin


@pytest.mark.parametrize(("at_edges", "shift"), [(True, 0.0), (False, -0.25)])
def test_decoding_is_within_half_a_bin_of_mmposes(at_edges, shift):
    output = torch.randn(6, 5, 384 + 512, generator=torch.Generator().manual_seed(0))
    points, _ = make_codec(bins_at_edges=at_edges).decode(output)
    reference = torch.stack([part.argmax(-1) / 2 for part in output.split([384, 512], -1)], -1)
    assert (points - shift - reference).abs().max() <= 0.25 + 1e-4


def test_the_score_is_that_of_the_worse_axis():
    codec = make_codec()
    perfect = codec.perfect(codec.encode(random_points(codec) * 0.8 + 15, torch.ones(30, 5))[0])
    unsure = torch.cat([perfect[..., :384], 0.3 * perfect[..., 384:]], -1)
    assert codec.decode(perfect)[1].min() > 0.99
    assert codec.decode(unsure)[1].max() < 0.7
    sharper = codec.decode(9 * perfect)[1]
    assert sharper.max() <= 1


def test_points_near_the_view_have_weight():
    codec = make_codec()
    # bins end at 191.25 and 255.25; 3 sigma are 7.3 pixels in x and 8.5 in y
    points = torch.tensor([[[-7.0, 100.0], [-8.0, 100.0], [198.0, 100.0], [100.0, 263.0], [100.0, 264.0]]])
    target, weights = codec.encode(points, torch.full((1, 5), 0.5))
    assert weights.tolist() == [[0.5, 0.0, 0.5, 0.5, 0.0]]
    assert torch.equal(target.sum(-1) > 0, weights > 0)


def test_bins_that_do_not_fill_the_view_are_refused():
    with pytest.raises(ConfigError, match="MODEL.SIMCC.BINS 1.3.*96x128"):
        make_codec((96, 128), bins=1.3)
