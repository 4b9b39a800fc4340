"""Which parameters each loss term reaches, and in which direction: the table of Debiased Self-Training.

| parameters  | pose | worst, labelled | worst, unlabelled | cons                                  |
|-------------|------|-----------------|-------------------|---------------------------------------|
| backbone    | +    | -lambda         | -lambda           | +                                     |
| main head   | +    | 0               | 0                 | 0 with a separate pseudo head, else + |
| worst head  | 0    | +               | +                 | 0                                     |
| pseudo head | 0    | 0               | 0                 | +                                     |
"""

import pytest
import torch
from tiny import make_algorithm, make_batch

from semipose.algorithms import ALGORITHMS
from semipose.algorithms.recipe import LossWeights
from semipose.algorithms.worst_case import ReversalSchedule, WorstPolicy

LAMBDA = 0.07
SEMI = pytest.mark.parametrize("name", [n for n, entry in ALGORITHMS.items() if entry.takes_unlabeled])
PARTS = {"worst_head": "worst head", "pseudo_head": "pseudo head", "network.head": "main head"}


def build(name: str, weights: LossWeights, pseudo_head=False, reversal=LAMBDA, easy_only=False, **settings):
    """An algorithm whose gradient reversal is constant, and that trusts every image from the first step."""
    schedule = ReversalSchedule(low=reversal, high=reversal)
    policy = WorstPolicy(schedule=schedule, easy_only=easy_only, pseudo_head=pseudo_head)
    return make_algorithm(name, seed=1, weights=weights, worst=policy, **settings)


def gradients(algorithm, batch=None) -> dict[str, torch.Tensor]:
    algorithm.zero_grad(set_to_none=True)
    algorithm(batch or make_batch(), 0, algorithm.phases[0]).loss.backward()
    return {n: p.grad.clone() for n, p in algorithm.named_parameters() if p.grad is not None and p.grad.any()}


def parts(names) -> set[str]:
    return {next((part for key, part in PARTS.items() if key in name), "backbone") for name in names}


@SEMI
@pytest.mark.parametrize("pseudo_head", [False, True])
def test_each_term_reaches_the_parts_of_its_row(name, pseudo_head):
    pseudo = "pseudo head" if pseudo_head else "main head"
    rows = {
        LossWeights(pose=1, cons=0): {"backbone", "main head"},
        LossWeights(pose=0, cons=1): {"backbone", pseudo},
        LossWeights(pose=0, cons=0, mix=1): {"backbone", pseudo},
        LossWeights(pose=0, cons=0, worst=1): {"backbone", "worst head"},
    }
    for weights, expected in rows.items():
        if not weights.worst:
            # the extra heads are there and must stay untouched
            algorithm = build(name, LossWeights(weights.pose, weights.cons, weights.mix, worst=1e-9), pseudo_head)
            assert pseudo_head == any("pseudo_head" in n for n, _ in algorithm.named_parameters())
            reached = parts(n for n, g in gradients(algorithm).items() if g.abs().max() > 1e-7)
        else:
            reached = parts(gradients(build(name, weights, pseudo_head)))
        assert reached == expected, weights


@SEMI
def test_the_reversal_turns_the_sign_for_the_backbone(name):
    """Against the same loss without reversal: -lambda times, on labelled and on unlabelled images."""
    weights = LossWeights(pose=0, cons=0, worst=1)
    turned = gradients(build(name, weights))
    plain = gradients(build(name, weights, reversal=-1.0))
    for key, gradient in turned.items():
        factor = 1.0 if "worst_head" in key else -LAMBDA
        torch.testing.assert_close(gradient, factor * plain[key], rtol=1e-3, atol=1e-9)


@SEMI
def test_only_easy_images_enter_the_unlabelled_side_by_default(name):
    found = []
    for easy in (None, 0.0, 1.0):
        algorithm = build(name, LossWeights(pose=0, cons=0, worst=1), easy_only=True)
        for record in algorithm.records.values():
            record.easy = lambda peaks, easy=easy: None if easy is None else torch.full((len(peaks),), easy) > 0
        found.append(gradients(algorithm))
    unknown, none_easy, all_easy = found
    for key, gradient in unknown.items():
        torch.testing.assert_close(none_easy[key], gradient)
    assert any(not torch.allclose(all_easy[key], unknown[key]) for key in unknown)


@SEMI
def test_extra_heads_are_learned_in_the_phase_of_their_student(name):
    algorithm = build(name, LossWeights(worst=1), pseudo_head=True)
    learned = {id(p) for phase in algorithm.phases for m in algorithm.learners(phase) for p in m.parameters()}
    extra = [p for n, p in algorithm.named_parameters() if "worst_head" in n or "pseudo_head" in n]
    assert extra and all(id(p) in learned for p in extra)


@SEMI
def test_without_the_term_there_is_no_extra_head(name):
    algorithm = build(name, LossWeights(), pseudo_head=True)
    assert not any("worst_head" in n or "pseudo_head" in n for n, _ in algorithm.named_parameters())
