"""Every algorithm on whole pictures with several instances."""

from dataclasses import replace

import pytest
import torch
from tiny import CUTOUT, PLAIN, POOL, SIZE, check_hidden_labels, make_batch, make_networks

from semipose.algorithms import ALGORITHMS
from semipose.algorithms.recipe import LossWeights, Recipe
from semipose.pseudo_labels import InstanceLabeler
from semipose.skeletons import COCO
from semipose.structures import IGNORED
from semipose.views.affine_draws import AffinePolicy
from semipose.views.joint_cutout import CutoutPolicy
from semipose.views.occlusion import OcclusionPolicies
from semipose.views.sampler import ViewPolicies, ViewSampler

EVERY = pytest.mark.parametrize("name", ALGORITHMS)
SEMI = pytest.mark.parametrize("name", [n for n, entry in ALGORITHMS.items() if entry.takes_unlabeled])


def make_algorithm(name, target="auto", weights=PLAIN, seed=0):
    entry = ALGORITHMS[name]
    policies = ViewPolicies(
        AffinePolicy(translate=0.1), AffinePolicy(rotation=15), AffinePolicy(),
        occlusion=OcclusionPolicies(CutoutPolicy(3)), hard_views=CUTOUT,
    )  # fmt: skip
    views = ViewSampler(policies, COCO, SIZE, torch.full((3,), 0.5), seed=0)
    # tiny networks know nothing: what they find is learned, whatever its score
    labeler = InstanceLabeler(target, 0.0, instance_score=0.0, ignore_score=0.0)
    fixed = {} if entry.use_ema is None else {"use_ema": entry.use_ema}
    recipe = Recipe(views, labeler, weights, phases=entry.phases, unlabeled_size=POOL, **fixed)
    return entry.make(make_networks(entry.students, seed, "dekr"), recipe).train()


def scenes(seed=0, instances=3):
    """A batch of whole pictures; the last instance of each is padding."""
    batch, generator = make_batch(seed), torch.Generator().manual_seed(seed)

    def with_instances(side):
        count = len(side)
        points = torch.rand(count, instances, 17, 2, generator=generator) * torch.tensor([29.0, 39.0])
        weights = torch.ones(count, instances, 17)
        weights[:, -1] = 0
        return replace(side, keypoints=points, weights=weights)

    return replace(batch, labeled=with_instances(batch.labeled), unlabeled=with_instances(batch.unlabeled))


@EVERY
@pytest.mark.parametrize("target", ["auto", "heatmap"])
def test_each_learner_gets_a_finite_gradient_and_teachers_none(name, target):
    algorithm = make_algorithm(name, target, LossWeights(1, 1, mix=1))
    for phase in algorithm.phases:
        algorithm.zero_grad(set_to_none=True)
        output = algorithm(scenes(), 0, phase)
        output.loss.backward()
        own = {id(p) for network in algorithm.learners(phase) for p in network.parameters()}
        moved = {id(p) for p in algorithm.parameters() if p.grad is not None and p.grad.any()}
        assert output.loss.isfinite() and moved == own


@SEMI
def test_hidden_labels_change_nothing(name):
    check_hidden_labels(make_algorithm(name), scenes())


@SEMI
def test_records_count_the_instances_of_each_picture(name):
    algorithm, batch = make_algorithm(name), scenes()
    for phase in algorithm.phases:
        algorithm(batch, 0, phase)
    for record in algorithm.records.values():
        assert record.counts.shape == (POOL, 2) and (record.counts[4:] == 0).all()


def supervised_loss(factors=None, **labels):
    algorithm, batch = make_algorithm("supervised"), scenes()
    labeled = replace(batch.labeled, **labels)
    labeled = labeled if factors is None else replace(labeled, weights=labeled.weights * factors)
    return algorithm(replace(batch, labeled=labeled), 0, "all").loss


def test_instances_of_the_batch_may_come_in_any_order():
    batch = scenes().labeled
    turned = {"keypoints": batch.keypoints.flip(1), "weights": batch.weights.flip(1)}
    assert supervised_loss() == supervised_loss(**turned)


def test_weights_of_one_are_no_weights_and_others_act():
    weights = torch.ones(3, 1)
    assert supervised_loss() == supervised_loss(weights)
    for factor in (2.0, IGNORED):
        weights = torch.tensor([factor, 1.0, 1.0]).unsqueeze(-1)
        assert supervised_loss() != supervised_loss(weights)


def test_keypoints_that_a_source_does_not_have_act():
    known = torch.ones(3, 17)
    assert supervised_loss() == supervised_loss(known=known)
    known[:, 5] = 0
    assert supervised_loss() != supervised_loss(known=known)


def test_masked_regions_act():
    mask = torch.ones(3, 40, 30, dtype=torch.uint8)
    assert supervised_loss() != supervised_loss(mask=mask * 0)
    mask[:, :20] = 0
    assert supervised_loss() != supervised_loss(mask=mask)
