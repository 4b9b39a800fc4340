"""What every algorithm in the table must do."""

import pytest
import torch
from tiny import check_hidden_labels, make_algorithm, make_batch

from semipose.algorithms import ALGORITHMS
from semipose.algorithms.recipe import LossWeights, Ramp
from semipose.codecs import TOP_DOWN

EVERY = pytest.mark.parametrize("name", ALGORITHMS)
SEMI = pytest.mark.parametrize("name", [n for n, entry in ALGORITHMS.items() if entry.takes_unlabeled])


def gradients(algorithm, phase: str, batch=None, step: int = 0) -> dict[str, torch.Tensor]:
    algorithm.zero_grad(set_to_none=True)
    algorithm(batch or make_batch(), step, phase).loss.backward()
    return {name: p.grad for name, p in algorithm.named_parameters() if p.grad is not None and p.grad.any()}


def learner_names(algorithm, phase: str) -> set[str]:
    own = {id(p) for network in algorithm.learners(phase) for p in network.parameters()}
    return {name for name, p in algorithm.named_parameters() if id(p) in own}


@EVERY
@pytest.mark.parametrize("codec", TOP_DOWN)
@pytest.mark.parametrize("target", ["auto", "redrawn"])
def test_every_codec_gives_each_learner_a_finite_gradient(name, codec, target):
    algorithm = make_algorithm(name, codec=codec, target=target, weights=LossWeights(1, 1, mix=1))
    for phase in algorithm.phases:
        output = algorithm(make_batch(), 0, phase)
        assert output.loss.shape == () and output.loss.isfinite()
        assert output.logs and all(not value.requires_grad for value in output.logs.values())
        found = gradients(algorithm, phase)
        assert set(found) == learner_names(algorithm, phase) and all(g.isfinite().all() for g in found.values())


@EVERY
@pytest.mark.parametrize("joint_forward", [True, False])
def test_gradients_reach_the_learners_of_the_phase_and_nothing_else(name, joint_forward):
    algorithm = make_algorithm(name, joint_forward=joint_forward)
    for phase in algorithm.phases:
        assert set(gradients(algorithm, phase)) == learner_names(algorithm, phase)


@SEMI
def test_each_term_alone_reaches_every_learner(name):
    for weights in (LossWeights(1, 0), LossWeights(0, 1), LossWeights(0, 0, mix=1)):
        algorithm = make_algorithm(name, weights=weights)
        for phase in algorithm.phases:
            assert set(gradients(algorithm, phase)) == learner_names(algorithm, phase)


@SEMI
def test_unlabeled_coordinates_change_nothing(name):
    check_hidden_labels(make_algorithm(name), make_batch())


@EVERY
def test_forward_is_a_function_of_the_step(name):
    algorithm, batch = make_algorithm(name), make_batch()
    state = {key: value.clone() for key, value in algorithm.state_dict().items()}
    losses = []
    for step in (3, 3, 4):
        algorithm.load_state_dict(state)
        losses.append(algorithm(batch, step, algorithm.phases[0]).loss.item())
    assert losses[0] == losses[1] != losses[2]


@SEMI
def test_a_term_of_weight_zero_is_not_computed(name):
    for off, on in (("cons", "pose"), ("pose", "cons")):
        algorithm = make_algorithm(name, weights=LossWeights(**{off: 0}))
        logs = algorithm(make_batch(), 0, algorithm.phases[0]).logs
        assert not any(off in key for key in logs) and any(on in key for key in logs)


@SEMI
def test_weights_scale_their_terms(name):
    batch = make_batch()
    single, double = make_algorithm(name), make_algorithm(name, weights=LossWeights(2, 3))
    one, two = (a(batch, 0, a.phases[0]).logs for a in (single, double))
    for key in one:
        factor = 2.0 if "pose" in key else 3.0
        torch.testing.assert_close(two[key], factor * one[key])


@SEMI
def test_ramp_switches_the_unlabeled_terms_on(name):
    algorithm, batch = make_algorithm(name, ramp=Ramp(2, 6)), make_batch()
    phase = algorithm.phases[0]
    assert not any("cons" in key for key in algorithm(batch, 1, phase).logs)
    assert any("cons" in key for key in algorithm(batch, 2, phase).logs)
    assert [Ramp(2, 6)(step) for step in range(8)] == [0, 0, 0.25, 0.5, 0.75, 1, 1, 1]


@EVERY
def test_teachers_move_only_after_a_step_and_never_by_gradient(name):
    algorithm = make_algorithm(name)
    teachers = [m for m in algorithm.modules() if type(m).__name__ == "EmaTeacher"]
    for teacher in teachers:
        assert not any(p.requires_grad for p in teacher.parameters())
    phase = algorithm.phases[0]
    before = [p.clone() for teacher in teachers for p in teacher.parameters()]
    algorithm(make_batch(), 0, phase)
    assert all(torch.equal(a, b) for a, b in zip(before, (p for t in teachers for p in t.parameters()), strict=True))
    with torch.no_grad():
        for network in algorithm.learners(phase):
            for parameter in network.parameters():
                parameter.add_(1.0)
    algorithm.after_step(phase)
    moved = [p for teacher in teachers for p in teacher.parameters()]
    assert not teachers or any(not torch.equal(a, b) for a, b in zip(before, moved, strict=True))


@EVERY
def test_state_dict_round_trip(name):
    algorithm = make_algorithm(name)
    for step in range(2):
        gradients(algorithm, algorithm.phases[0], step=step)
        algorithm.after_step(algorithm.phases[0])
    copy = make_algorithm(name, seed=9)
    copy.load_state_dict(algorithm.state_dict())
    batch = make_batch(seed=1)
    for phase in algorithm.phases:
        assert copy(batch, 5, phase).loss == algorithm(batch, 5, phase).loss


@EVERY
def test_predictors_and_main_names(name):
    algorithm = make_algorithm(name)
    predictors = algorithm.predictors()
    assert set(algorithm.main_predictors()) <= set(predictors)
    images = torch.rand(2, 3, 32, 24)
    assert all(network(images).shape == (2, 17, 8, 6) for network in predictors.values())


@EVERY
def test_supervised_part_learns(name):
    algorithm, batch = make_algorithm(name, weights=LossWeights(cons=0)), make_batch()
    losses = []
    for phase in algorithm.phases:
        optimizer = torch.optim.Adam([p for net in algorithm.learners(phase) for p in net.parameters()], lr=0.01)
        for _ in range(20):
            optimizer.zero_grad()
            loss = algorithm(batch, 0, phase).loss
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert losses[-1] < 0.7 * losses[-20]
