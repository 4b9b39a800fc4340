import math

import pytest
import torch

from semipose.errors import ConfigError
from semipose.pseudo_labels import REWEIGHTINGS, Difficulty, TeacherEvidence, image_scores

K = 4


def evidence(ready=True, **changes):
    generator = torch.Generator().manual_seed(0)
    seen = torch.cat([0.3 + 0.05 * torch.randn(60, K, generator=generator), 0.8 + 0.05 * torch.randn(40, K)])
    difficulty = Difficulty(K)
    if ready:
        assert difficulty.refit(seen).reason == ""
    peaks = torch.rand(6, K, generator=generator)
    first = torch.rand(6, K, 2, generator=generator) * 40
    second = first + 4 * torch.randn(6, K, 2, generator=generator)
    return TeacherEvidence(
        difficulty, peaks, **{"keypoints": first, "other_keypoints": second, "stride": 4.0} | changes
    )


@pytest.mark.parametrize("name", REWEIGHTINGS)
def test_every_factor_is_a_share_for_each_joint(name):
    known = evidence()
    factors = REWEIGHTINGS[name](known)
    assert factors.shape == (6, K) and factors.dtype == torch.float32
    assert (factors >= 0).all() and (factors <= 1).all() and factors.min() < 1


def test_gmm_gives_all_joints_the_probability_of_their_image():
    known = evidence()
    p_easy = known.difficulty.p_easy(known.peaks.sum(1))
    assert p_easy.min() < 0.5 < p_easy.max()
    assert REWEIGHTINGS["gmm"](known).tolist() == [[p] * K for p in p_easy.tolist()]
    assert torch.equal(image_scores(known.peaks), known.peaks.sum(1))


@pytest.mark.parametrize("name", ["gmm", "soft"])
def test_nothing_is_reweighted_before_the_first_refit(name):
    assert (REWEIGHTINGS[name](evidence(ready=False)) == 1).all()


def test_soft_is_the_trust_in_each_joint():
    known = evidence()
    assert torch.equal(REWEIGHTINGS["soft"](known), known.difficulty.joint_trust(known.peaks))


def test_agreement_is_that_of_a_loop_and_counts_heatmap_pixels():
    known = evidence(sigma=1.5)
    factors = REWEIGHTINGS["agreement"](known)
    for b in range(6):
        for k in range(K):
            distance = math.dist(known.keypoints[b, k].tolist(), known.other_keypoints[b, k].tolist()) / 4
            assert factors[b, k].item() == pytest.approx(math.exp(-(distance**2) / (2 * 1.5**2)), rel=1e-4, abs=1e-7)
    same = evidence(other_keypoints=known.keypoints)
    assert (REWEIGHTINGS["agreement"](same) == 1).all()


@pytest.mark.parametrize("missing", ["keypoints", "other_keypoints"])
def test_agreement_needs_two_networks(missing):
    with pytest.raises(ConfigError, match="agreement"):
        REWEIGHTINGS["agreement"](evidence(**{missing: None}))
