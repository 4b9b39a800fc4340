"""The gradient table of the worst-case term, with signs."""

import copy
import math
from dataclasses import replace

import pytest
import torch
from small_codecs import make_codec

from semipose.algorithms.worst_case import (
    FORMS,
    LabeledFeatures,
    PseudoFeatures,
    ReversalSchedule,
    WorstPolicy,
    worst_terms,
)
from semipose.errors import ConfigError
from semipose.losses import avoid_loss, ground_false, reduce_keypoints, spatial_cross_entropy, spatial_kl
from semipose.models.worst_head import WorstHead

SIZE, MAP = (48, 64), (12, 16)
JOINTS, CHANNELS, LAM = 4, 8, 0.05
CODEC = make_codec(SIZE, MAP, 1.0, joints=JOINTS)
CONSTANT = ReversalSchedule(low=LAM, high=LAM)


def make_head(seed=0):
    torch.manual_seed(seed)
    return WorstHead(CHANNELS, JOINTS).double()


def points(seed, count):
    source = torch.Generator().manual_seed(seed)
    return torch.rand(count, JOINTS, 2, generator=source, dtype=torch.float64) * torch.tensor(SIZE)


def maps(seed, count):
    source = torch.Generator().manual_seed(seed)
    return torch.randn(count, CHANNELS, *MAP[::-1], generator=source, dtype=torch.float64).requires_grad_()


def labeled_part(features=None):
    target, weights = CODEC.encode(points(1, 2), torch.ones(2, JOINTS, dtype=torch.float64))
    return LabeledFeatures(maps(2, 2) if features is None else features, target, weights)


def pseudo_part(features=None):
    weights = torch.ones(3, JOINTS, dtype=torch.float64)
    weights[1, 2] = 0
    return PseudoFeatures(maps(4, 3) if features is None else features, points(3, 3), weights)


def run(form, labeled, pseudo, head=None, lam=LAM, step=0):
    policy = WorstPolicy(form, schedule=ReversalSchedule(low=lam, high=lam))
    return worst_terms(make_head() if head is None else head, labeled, pseudo, CODEC, policy, step)


def mass_near(logits, peaks, radius):
    """(B, K) share of the softmax within `radius` of the peaks."""
    return 1 + 1e-6 - (1 + 1e-6) * (-avoid_loss(logits, peaks, radius)).exp()


def peaks_of(pseudo):
    return CODEC.to_heatmap(pseudo.keypoints)


def reference(labeled, pseudo, head):
    """Both terms of the mass form by hand, without reversal."""
    logits = head(torch.cat([labeled.features, pseudo.features]))
    mass = mass_near(logits[2:], peaks_of(pseudo), 3.0)
    return {
        "worst_labeled": 2 * reduce_keypoints(spatial_cross_entropy(logits[:2], labeled.target), labeled.weights),
        "worst_unlabeled": reduce_keypoints(-(1 - mass + 1e-6).log(), pseudo.weights),
    }


def gradients(loss, tensors):
    found = torch.autograd.grad(loss, tensors, retain_graph=True, allow_unused=True)
    return [torch.zeros_like(t) if g is None else g for g, t in zip(found, tensors, strict=True)]


@pytest.mark.parametrize("term", ["worst_labeled", "worst_unlabeled"])
def test_mass_form_trains_the_head_and_turns_the_gradient_of_the_features(term):
    head, labeled, pseudo = make_head(), labeled_part(), pseudo_part()
    weights, features = list(head.parameters()), [labeled.features, pseudo.features]
    loss, plain = run("mass", labeled, pseudo, head)[term], reference(labeled, pseudo, head)[term]
    assert float(loss.detach()) == pytest.approx(float(plain.detach()), rel=1e-5)
    for got, expected in zip(gradients(loss, weights), gradients(plain, weights), strict=True):
        assert expected.abs().max() > 1e-6
        assert torch.allclose(got, expected, rtol=1e-4, atol=1e-12)
    for got, expected in zip(gradients(loss, features), gradients(plain, features), strict=True):
        assert expected.abs().max() > 1e-8
        assert torch.allclose(got, -LAM * expected, rtol=1e-4, atol=1e-12)


def test_ground_false_form_divides_the_work():
    head, labeled, pseudo = make_head(), labeled_part(), pseudo_part()
    weights, features = list(head.parameters()), [labeled.features, pseudo.features]
    terms = run("ground_false", labeled, pseudo, head)
    for name in ("worst_labeled", "worst_unlabeled"):
        assert not any(g.any() for g in gradients(terms[name], features))
        assert all(g.abs().max() > 1e-6 for g in gradients(terms[name], weights))
    assert not any(g.any() for g in gradients(terms["worst_features"], weights))

    target, trusted = CODEC.encode(pseudo.keypoints, pseudo.weights)
    logits = head(torch.cat(features))
    on_labels = 2 * reduce_keypoints(spatial_cross_entropy(logits[:2], labeled.target), labeled.weights)
    wrong = reduce_keypoints(spatial_kl(logits[2:], ground_false(target)), trusted)
    right = reduce_keypoints(spatial_cross_entropy(logits[2:], target), trusted)
    pairs = [
        (terms["worst_labeled"], on_labels, weights),
        (terms["worst_unlabeled"], wrong, weights),
        (terms["worst_features"], LAM * (on_labels + right), features),
    ]
    for loss, plain, tensors in pairs:
        assert float(loss.detach()) == pytest.approx(float(plain.detach()))
        for got, expected in zip(gradients(loss, tensors), gradients(plain, tensors), strict=True):
            assert torch.allclose(got, expected, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("form", FORMS)
def test_lambda_zero_lets_nothing_reach_the_features(form):
    labeled, pseudo = labeled_part(), pseudo_part()
    terms = run(form, labeled, pseudo, lam=0.0)
    assert terms.keys() == {"worst_labeled", "worst_unlabeled"}
    assert not any(g.any() for g in gradients(sum(terms.values()), [labeled.features, pseudo.features]))


def descend(loss, tensors, rate):
    """One step by the signs of the gradient, so that its size does not depend on that of the gradient."""
    found = gradients(loss, tensors)
    with torch.no_grad():
        for tensor, gradient in zip(tensors, found, strict=True):
            tensor -= rate * gradient.sign()


def seen_mass(head, labeled, pseudo):
    """Mean mass of trusted joints near the teacher's peaks."""
    with torch.no_grad():
        logits = copy.deepcopy(head)(torch.cat([labeled.features, pseudo.features]))[2:]
    return float(mass_near(logits, peaks_of(pseudo), 3.0)[pseudo.weights > 0].mean())


@pytest.mark.parametrize("form", FORMS)
def test_the_head_moves_away_from_the_pseudo_labels(form):
    """The 2D-Pose port had this sign turned round: its worst head learned to agree."""
    head, labeled, pseudo = make_head(), labeled_part(), pseudo_part()
    target, weights = CODEC.encode(pseudo.keypoints, pseudo.weights)
    agree = LabeledFeatures(pseudo.features, target, weights)
    for _ in range(20):
        descend(run(form, agree, None, head)["worst_labeled"], list(head.parameters()), 0.02)
    masses = [seen_mass(head, labeled, pseudo)]
    for _ in range(10):
        descend(run(form, labeled, pseudo, head)["worst_unlabeled"], list(head.parameters()), 0.02)
        masses.append(seen_mass(head, labeled, pseudo))
    assert masses[0] > 0.15 and masses[1] < masses[0] and masses[-1] < 0.6 * masses[0], masses


@pytest.mark.parametrize("form, term", [("mass", "worst_unlabeled"), ("ground_false", "worst_features")])
def test_the_features_move_towards_the_pseudo_labels(form, term):
    head, labeled, pseudo = make_head(), labeled_part(), pseudo_part()
    masses = [seen_mass(head, labeled, pseudo)]
    for _ in range(10):
        descend(run(form, labeled, pseudo, head)[term], [labeled.features, pseudo.features], 0.1)
        masses.append(seen_mass(head, labeled, pseudo))
    assert masses[1] > masses[0] and masses[-1] > 1.5 * masses[0], masses


@pytest.mark.parametrize("form", FORMS)
def test_joints_of_weight_zero_do_not_count(form):
    labeled, pseudo = labeled_part(), pseudo_part()
    moved = pseudo.keypoints.clone()
    moved[1, 2] += 17
    terms, others = run(form, labeled, pseudo), run(form, labeled, replace(pseudo, keypoints=moved))
    assert all(torch.equal(terms[name], others[name]) for name in terms)
    none = replace(pseudo, weights=torch.zeros_like(pseudo.weights))
    assert run(form, labeled, none)["worst_unlabeled"].item() == 0
    half = replace(pseudo, weights=0.5 * pseudo.weights)
    unlabeled = run(form, labeled, half)["worst_unlabeled"]
    assert unlabeled.item() == pytest.approx(terms["worst_unlabeled"].item() / 2)


@pytest.mark.parametrize("form", FORMS)
def test_batchnorm_sees_both_views_once(form):
    """As one batch, and its statistics move once, also where the features are trained in a second pass."""
    head, labeled, pseudo = make_head(), labeled_part(), pseudo_part()
    expected = copy.deepcopy(head)
    expected(torch.cat([labeled.features, pseudo.features]))
    run(form, labeled, pseudo, head)
    for got, wanted in zip(head.buffers(), expected.buffers(), strict=True):
        assert torch.equal(got, wanted)


@pytest.mark.parametrize("form", FORMS)
def test_the_hard_view_may_be_missing(form):
    extra = {"worst_features"} if form == "ground_false" else set()
    assert run(form, labeled_part(), None).keys() == {"worst_labeled"} | extra


@pytest.mark.parametrize("form", FORMS)
def test_low_precision_features_give_float32_losses(form):
    head = make_head().float()
    labeled, pseudo = labeled_part(maps(2, 2).float()), pseudo_part(maps(4, 3).float())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        terms = run(form, labeled, pseudo, head)
    sum(terms.values()).backward()
    assert all(term.dtype in (torch.float32, torch.float64) for term in terms.values())
    assert all(p.grad.isfinite().all() for p in head.parameters())


def test_schedule_by_hand():
    schedule = ReversalSchedule(low=0.02, high=0.1, alpha=2.0, steps=500, start=100)
    assert [schedule(step) for step in (0, 99)] == [0.0, 0.0]
    assert schedule(100) == pytest.approx(0.02)
    assert schedule(350) == pytest.approx(0.16 / (1 + math.exp(-1)) - 0.08 + 0.02)
    assert schedule(10**7) == pytest.approx(0.1)
    assert ReversalSchedule()(1000) == pytest.approx(0.1 * (2 / (1 + math.exp(-1)) - 1))


def test_schedule_decides_what_reaches_the_features():
    policy = WorstPolicy(schedule=ReversalSchedule(start=10, steps=100))
    found = []
    for step in (9, 60, 110):
        pseudo = pseudo_part()
        terms = worst_terms(make_head(), labeled_part(), pseudo, CODEC, policy, step)
        (gradient,) = gradients(terms["worst_unlabeled"], [pseudo.features])
        found.append(float(gradient.norm()))
    assert found[0] == 0 and 0 < found[1] < found[2]
    assert found[2] / found[1] == pytest.approx(policy.schedule(110) / policy.schedule(60))


def test_unknown_form():
    with pytest.raises(ConfigError, match="'worse'.*mass, ground_false"):
        WorstPolicy("worse")
