"""Labels that count less: trimming and agreement, by hand and through whole steps with their gradients."""

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from refusals import refused
from tiny import SIZE, make_algorithm, make_batch, make_recipe
from torch import nn

from semipose.algorithms import ALGORITHMS
from semipose.algorithms.label_noise import LabelPolicy, trimmed, trust_in_labels
from semipose.algorithms.recipe import LossWeights, Ramp
from semipose.algorithms.step import Teacher, ask_about_labels, labeled_tasks, make_views
from semipose.assemble.recipe import build_labels
from semipose.config import load_config
from semipose.pseudo_labels import TeacherRecord

CFG = Path(__file__).parents[2] / "experiments/demo/supervised.yaml"

EVERY = pytest.mark.parametrize("name", ALGORITHMS)
SEMI = pytest.mark.parametrize("name", [n for n, entry in ALGORITHMS.items() if entry.takes_unlabeled])
POSE = LossWeights(pose=1, cons=0, mix=1e-12)  # the pool is there, and teaches nothing


def gradients(algorithm, batch, step=0) -> dict[str, torch.Tensor]:
    algorithm.zero_grad(set_to_none=True)
    algorithm(batch, step, algorithm.phases[0]).loss.backward()
    return {name: p.grad.clone() for name, p in algorithm.named_parameters() if p.grad is not None}


def assert_same(one: dict, two: dict) -> None:
    assert one.keys() == two.keys()
    for name, gradient in one.items():
        torch.testing.assert_close(gradient, two[name], rtol=1e-4, atol=1e-9)


def test_the_largest_losses_of_labelled_keypoints_are_left_out():
    loss = torch.tensor([[9.0, 1.0, 5.0], [4.0, 3.0, 2.0]])
    weights = torch.tensor([[0.0, 1.0, 0.5], [1.0, 2.0, 1.0]])  # the largest loss has no label
    assert trimmed(weights, loss, 0.4).tolist() == [[0, 1, 0], [0, 2, 1]]
    assert trimmed(weights, loss, 0.39).tolist() == [[0, 1, 0], [1, 2, 1]]  # 1.95 of five, rounded down
    assert trimmed(weights, loss, 0.1).tolist() == weights.tolist()
    assert not trimmed(torch.zeros(2, 3), loss, 0.4).any()


def test_trimmed_keypoints_get_no_gradient_and_the_others_theirs():
    output = torch.tensor([[3.0, 1.0, -2.0, 0.5]], requires_grad=True)
    loss = output.square()
    (loss * trimmed(torch.ones(1, 4), loss, 0.5)).sum().backward()
    assert output.grad.tolist() == [[0, 2, 0, 1]]


@EVERY
def test_trimming_begins_with_its_step(name):
    batch = make_batch()
    off = make_algorithm(name, weights=POSE)
    on = make_algorithm(name, weights=POSE, labels=LabelPolicy(trim=0.3, trim_start=2))
    assert_same(gradients(on, batch, 1), gradients(off, batch, 1))
    sums = [sum(g.abs().sum() for g in gradients(a, batch, 2).values()) for a in (on, off)]
    assert 0 < sums[0] != sums[1]
    losses = [a(batch, 2, a.phases[0]).loss for a in (on, off)]
    assert losses[0] < losses[1]


def test_the_worst_case_head_does_not_learn_what_is_trimmed():
    """Trimmed to none, no label moves it; the pool is not there yet."""
    weights, late = LossWeights(pose=1, cons=0, worst=1), Ramp(5, 5)
    moved = []
    for trim in (0.0, 1.0):
        algorithm = make_algorithm("mean_teacher", weights=weights, ramp=late, labels=LabelPolicy(trim=trim))
        found = gradients(algorithm, make_batch())
        moved.append(max(gradient.abs().max() for name, gradient in found.items() if "worst_head" in name))
    assert moved[0] > 0 == moved[1]


def test_trust_falls_with_the_distance_as_far_as_the_teacher_is_sure():
    labels = torch.zeros(1, 4, 2)
    points = torch.tensor([[0.0, 0.0], [0.0, 3.0], [0.0, 3.0], [300.0, 0.0]]).expand(1, 1, 4, 2)
    scores = torch.tensor([1.0, 1.0, 0.5, 1.3]).expand(1, 1, 4)
    near = math.exp(-0.5)
    assert trust_in_labels(labels, points, scores, 3.0)[0].tolist() == pytest.approx([1, near, (1 + near) / 2, 0])
    both = [torch.cat([one, two]) for one, two in ((points, points * 0.5), (scores, scores))]
    assert trust_in_labels(labels, *both, 3.0)[0, 1] == pytest.approx(0.8825, abs=1e-4)  # the nearer teacher counts


class Says(nn.Module):
    """A teacher that predicts given points of the base crop, whatever the view."""

    def __init__(self, view, points, scores):
        super().__init__()
        found = view.from_base().points(points), view.from_base().swap(scores)
        self.codec = SimpleNamespace(decode=lambda _: found)

    def forward(self, images):
        return images


def test_a_teacher_is_compared_with_the_labels_in_the_base_crop():
    recipe = make_recipe(labels=LabelPolicy(agreement=0.1), ramp=Ramp(0, 4))
    batch = make_batch(labeled=6)
    views = make_views(recipe, batch, 1)
    assert 0 < views.labeled.flipped.sum() < 6 and views.ramp == 0.5
    points = batch.labeled.keypoints.clone()
    points[2, 3, 0] += 0.1 * max(SIZE)
    teacher = Teacher(Says(views.labeled, points, torch.full((6, 17), 0.5)), TeacherRecord(1, 17))
    trust = ask_about_labels(recipe, {"ema": teacher}, views)
    expected = torch.ones(6, 17)
    expected[2, 3] = 1 - 0.5 * 0.5 * (1 - math.exp(-0.5))
    torch.testing.assert_close(trust, expected, rtol=0, atol=1e-4)


@SEMI
def test_agreement_changes_the_gradient_as_other_weights_of_the_labels_do(name):
    policy, batch = LabelPolicy(agreement=0.2), make_batch()
    on, off = make_algorithm(name, weights=POSE, labels=policy), make_algorithm(name, weights=POSE)
    views = make_views(on.recipe, batch, 0)
    networks = teaching(on)
    trust = ask_about_labels(on.recipe, networks, views)
    assert trust.min() < 0.99 and trust.max() <= 1
    weighted = replace(batch, labeled=replace(batch.labeled, weights=batch.labeled.weights * trust))
    assert_same(gradients(on, batch), gradients(off, weighted))
    codec = next(iter(networks.values())).network.codec
    weights = labeled_tasks(on.recipe, views, codec, trust)[0].weights
    torch.testing.assert_close(weights, labeled_tasks(on.recipe, make_views(on.recipe, weighted, 0), codec)[0].weights)


@SEMI
def test_agreement_waits_for_the_teachers(name):
    late = Ramp(5, 5)
    on = make_algorithm(name, weights=POSE, labels=LabelPolicy(agreement=0.05), ramp=late)
    off = make_algorithm(name, weights=POSE, ramp=late)
    assert_same(gradients(on, make_batch(), 4), gradients(off, make_batch(), 4))
    later = [gradients(algorithm, make_batch(), 5) for algorithm in (on, off)]
    assert any(not torch.allclose(later[0][name], later[1][name]) for name in later[0])


def teaching(algorithm) -> dict[str, Teacher]:
    """The teachers that an algorithm gives to its first step."""
    found = {}

    def catch(recipe, batch, step, students, teachers, taught_by):
        found.update(teachers)
        raise StopIteration

    module = __import__(type(algorithm).__module__, fromlist=["training_step"])
    with pytest.MonkeyPatch.context() as patch, pytest.raises(StopIteration):
        patch.setattr(module, "training_step", catch)
        algorithm(make_batch(), 0, algorithm.phases[0])
    return found


def policy_of(*words) -> LabelPolicy:
    return build_labels(load_config(CFG, pairs=[*words]), epoch_steps=50, joints=17)


def test_the_keys_are_counted_in_steps():
    words = ["ALGORITHM", "mean_teacher", "LABELS.TRIM", "0.1", "LABELS.TRIM_EPOCH", "3", "LABELS.AGREEMENT", "0.2"]
    assert policy_of(*words) == LabelPolicy(0.1, 150, 0.2)
    assert policy_of() == LabelPolicy()


@pytest.mark.parametrize(
    "words",
    [
        "LABELS.AGREEMENT 0.1 ALGORITHM supervised", "LABELS.TRIM 0.1 MODEL.CODEC dekr",
        "LABELS.TRIM 0.05 TRAIN.BATCH_SIZE 1",  # less than one of 17 keypoints
    ],
)  # fmt: skip
def test_what_would_do_nothing_is_refused(words):
    refused(lambda: policy_of(*words.split()), *words.split()[:2])
