"""The parts of a step: hard views by difficulty, several of them, mixing, trust, and what is off costs nothing."""

from dataclasses import replace

import pytest
import torch
from tiny import POOL, make_algorithm, make_batch, make_networks, make_recipe

from semipose.algorithms import ALGORITHMS
from semipose.algorithms.mixing import MixPolicy
from semipose.algorithms.recipe import LossWeights
from semipose.algorithms.step import Teacher, ask_teachers, make_views, trust_in
from semipose.algorithms.worst_case import WorstPolicy
from semipose.pseudo_labels import TeacherRecord
from semipose.pseudo_labels.weights import REWEIGHTINGS
from semipose.views.hard_operations import HARD_OPERATIONS

SEMI = pytest.mark.parametrize("name", [n for n, entry in ALGORITHMS.items() if entry.takes_unlabeled])


def build(name="mean_teacher", **settings):
    return make_algorithm(name, **settings)


def run(algorithm, batch=None, step=0):
    output = algorithm(batch or make_batch(), step, algorithm.phases[0])
    return output.loss, output.logs


def split_at(algorithm, peaks=(0.1, 0.9)) -> None:
    """Give every teacher a record of two clear groups and fit the split."""
    for record in algorithm.records.values():
        rows = torch.arange(POOL)
        level = torch.tensor(peaks)[rows % 2].unsqueeze(1) + 0.001 * rows.unsqueeze(1)
        record.fill(rows, torch.zeros(POOL, 17, 2), level.expand(-1, 17), 0)
    assert all(not report.reason for report in algorithm.after_epoch().values())


@SEMI
@pytest.mark.parametrize("operation", [[], *([name] for name in HARD_OPERATIONS)], ids=lambda names: "".join(names))
def test_every_operation_runs_in_every_algorithm(name, operation):
    algorithm = build(name, hard_views=(tuple(operation),))
    first, _ = run(algorithm)
    split_at(algorithm)
    second, _ = run(algorithm)
    assert first.isfinite() and second.isfinite()


def test_the_split_decides_what_by_difficulty_does():
    algorithm = build(hard_views=(("by_difficulty",),))
    before, _ = run(algorithm)
    split_at(algorithm)
    state = algorithm.records["ema"].difficulty
    after, _ = run(algorithm)
    assert state.ready and before != after


@SEMI
def test_losses_of_several_hard_views_are_summed(name):
    """A view that is there twice, with no random change of its own, counts twice."""
    logs = {}
    for count in (1, 3):
        algorithm = build(name, hard_views=((),) * count, joint_forward=False)
        views = algorithm.recipe.views
        still = replace(views.policies.hard, rotation=0.0, scale=0.0, flip=0.0)
        views.policies = replace(views.policies, hard=still)
        _, logs[count] = run(algorithm)
    for key, value in logs[1].items():
        torch.testing.assert_close(logs[3][key], (3 if "cons" in key else 1) * value, rtol=1e-4, atol=1e-8)


@SEMI
def test_several_hard_views_share_the_teacher_pass(name):
    passes = {}
    for count in (1, 3):
        algorithm, calls = build(name, hard_views=(("joint_cutout",),) * count), []
        for predictor in algorithm.predictors().values():
            network = getattr(predictor, "module", predictor)
            network.layers.register_forward_hook(lambda *_, calls=calls: calls.append(torch.is_grad_enabled()))
        run(algorithm)
        passes[count] = (calls.count(False), calls.count(True))
    assert passes[1] == passes[3]


@SEMI
@pytest.mark.parametrize("where", ["input", "manifold"])
@pytest.mark.parametrize("joint_forward", [True, False])
def test_mix_at_both_places(name, where, joint_forward):
    algorithm = build(name, weights=LossWeights(mix=0.5), mix=MixPolicy(where, beta=0.5), joint_forward=joint_forward)
    loss, logs = run(algorithm)
    assert loss.isfinite() and any("mix" in key for key in logs)
    assert run(algorithm)[0].isfinite()


def test_a_mixture_of_an_image_with_nothing_is_plain_consistency_on_the_easy_view():
    batch = make_batch()
    whole = build(weights=LossWeights(pose=0, cons=0, mix=1.0), mix=MixPolicy(lam=1.0), joint_forward=False)
    whole.recipe.labeler.min_score = -10.0  # every joint counts
    loss, _ = run(whole, batch)
    data = make_views(whole.recipe, batch, 0)
    said = whole.recipe.labeler.read(whole.teacher(data.easy.images), data.easy, whole.teacher.codec)
    output = whole.student.network(data.easy.images)
    each = 0.5 * (output - said.output).square().mean((2, 3))
    assert loss.item() == pytest.approx(each.mean().item(), rel=1e-4)


@SEMI
def test_a_term_that_is_off_changes_nothing_and_costs_nothing(name, monkeypatch):
    """With weight 0, settings of mix, worst and reweight act on no number, and none of their code is called."""

    def forbidden(*_):
        raise AssertionError("computed although it is off")

    for part in ("step.draw_mix", "learning.worst_terms", "step.TeacherEvidence"):
        monkeypatch.setattr(f"semipose.algorithms.{part}", forbidden)
    outcomes = []
    others = {
        "mix": MixPolicy("manifold", 0.1, 2.0), "agreement_sigma": 9.0,
        "worst": WorstPolicy("ground_false", eta=9.0, pseudo_head=True),
    }  # fmt: skip
    for settings in ({}, others):
        algorithm, calls = build(name, weights=LossWeights(mix=0.0, worst=0.0), **settings), []
        for module in algorithm.modules():
            module.register_forward_hook(lambda *_, calls=calls: calls.append(1))
        loss, logs = run(algorithm)
        outcomes.append((loss.item(), sorted(logs), len(calls)))
    assert outcomes[0] == outcomes[1]
    assert not any("mix" in key or "worst" in key for key in outcomes[0][1])


@pytest.mark.parametrize("reweight", REWEIGHTINGS)
def test_reweighting_multiplies_the_weights_of_pseudo_labels(reweight):
    """A trust of a half everywhere halves the consistency and nothing else."""
    plain, weighted = build("cotrain1"), build("cotrain1", reweight=reweight)
    half = {key: (lambda evidence: torch.full_like(evidence.peaks, 0.5)) for key in REWEIGHTINGS}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("semipose.algorithms.step.REWEIGHTINGS", half)
        _, logs = run(weighted)
    _, reference = run(plain)
    for key, value in reference.items():
        torch.testing.assert_close(logs[key], (0.5 if "cons" in key else 1.0) * value)


@pytest.mark.parametrize("reweight", REWEIGHTINGS)
def test_every_reweighting_acts_once_there_is_a_split(reweight):
    plain, weighted = build("cotrain1"), build("cotrain1", reweight=reweight)
    for algorithm in (plain, weighted):
        split_at(algorithm)
    _, logs = run(weighted)
    _, reference = run(plain)
    assert 0 <= logs["loss_cons_first"] < reference["loss_cons_first"]


def test_trust_follows_the_mirrored_view():
    recipe, (network,) = make_recipe(reweight="soft"), make_networks(1)
    views, teachers = make_views(recipe, make_batch(), 0), {"ema": Teacher(network, TeacherRecord(POOL, 17))}
    answers = ask_teachers(recipe, teachers, views)
    teachers["ema"].record.difficulty.joint_trust = lambda peaks: torch.arange(17.0).expand(len(peaks), -1)
    trust = trust_in(recipe, "ema", teachers, answers, views)
    order = recipe.views.flip_order
    for row, flipped in enumerate(views.easy.flipped):
        assert torch.equal(trust[row], order.float() if flipped else torch.arange(17.0))
    assert views.easy.flipped.any() and not views.easy.flipped.all()


def test_each_network_has_its_own_split():
    algorithm = build("cotrain1")
    run(algorithm)
    first, second = (algorithm.records[name].peaks for name in ("first", "second"))
    assert not torch.equal(first, second)
    assert algorithm.records["first"].seen().sum() == 4


def test_sequential_asks_both_teachers_only_for_their_agreement():
    for reweight, asked in (("", 1), ("gmm", 1), ("agreement", 2)):
        algorithm = build("cotrain", reweight=reweight)
        run(algorithm)
        assert sum(record.seen().any() for record in algorithm.records.values()) == asked


def test_records_are_no_part_of_the_networks():
    for algorithm in (build("cotrain1"), build("mean_teacher")):
        assert not any("stamp" in key or "difficulty" in key for key in algorithm.state_dict())
    assert isinstance(algorithm.records["ema"], TeacherRecord)


def answers_of(algorithm, step=0):
    teachers = {name: Teacher(algorithm._teacher(name), algorithm.records[name]) for name in algorithm.records}
    views = make_views(algorithm.recipe, make_batch(), step)
    return views, ask_teachers(algorithm.recipe, teachers, views)


@pytest.mark.parametrize("codec", ["gaussian", "udp_offset", "simcc", "regression"])
def test_a_flipping_teacher_says_the_same_of_the_mirror_image(codec):
    algorithm = build("cotrain1", codec=codec, flip=True)
    views, answers = answers_of(algorithm)
    network, view = algorithm._teacher("first").eval(), views.easy
    plain, mirrored = network(view.images), network(view.images.flip(-1))
    expected = network.codec.average([plain, network.codec.unmirror(mirrored, view.flip_order)])
    torch.testing.assert_close(answers["first"].prediction.output, expected)
    assert not torch.equal(expected, plain)


def test_an_ensemble_teaches_both_students_alike():
    plain, mean = build("cotrain1"), build("cotrain1", ensemble=True)
    for teacher in (plain.teachers["second"], mean.teachers["second"]):
        teacher.module.head = make_networks(1, seed=1)[0].head
    _, apart = answers_of(plain)
    _, together = answers_of(mean)
    expected = (apart["first"].prediction.output + apart["second"].prediction.output) / 2
    assert not torch.equal(apart["first"].prediction.output, apart["second"].prediction.output)
    for answer in together.values():
        torch.testing.assert_close(answer.prediction.output, expected)


@pytest.mark.parametrize("name", ["cotrain", "cotrain1"])
def test_flip_and_ensemble_change_the_loss(name):
    losses = []
    for settings in ({}, {"flip": True}, {"ensemble": True}):
        algorithm = build(name, **settings)
        algorithm.teachers["second"].module.head = make_networks(1, seed=1)[0].head
        losses.append(float(run(algorithm)[0]))
    assert len(set(losses)) == 3
