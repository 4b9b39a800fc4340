"""Who teaches whom."""

import pytest
import torch
from tiny import POOL, make_batch, make_networks, make_recipe
from torch import nn

from semipose.algorithms.algorithm import LossWeights
from semipose.algorithms.cotraining import CoTraining, SequentialCoTraining
from semipose.algorithms.pose_dual import PoseDual
from semipose.algorithms.terms import TeacherOutput, forward_together, make_views, student_terms, teach
from semipose.pseudo_labels import TeacherRecord


def calls_of(algorithm, phase: str = "all") -> list[tuple[str, bool]]:
    """(name of the network, gradient on) for each forward pass of one step."""
    calls = []
    for name, network in algorithm.predictors().items():
        inner = getattr(network, "module", network)
        inner.layers.register_forward_pre_hook(lambda *_, name=name: calls.append((name, torch.is_grad_enabled())))
    algorithm(make_batch(), 0, phase)
    return calls


def test_joint_with_ema_is_taught_by_the_other_ema():
    calls = calls_of(CoTraining(make_networks(2), make_recipe()).train())
    assert calls == [("ema_second", False), ("ema_first", False), ("first", True), ("second", True)]


def test_joint_without_ema_is_taught_by_the_other_student():
    algorithm = CoTraining(make_networks(2), make_recipe(use_ema=False)).train()
    assert calls_of(algorithm) == [("second", False), ("first", False), ("first", True), ("second", True)]
    assert list(algorithm.predictors()) == ["first", "second"]
    assert algorithm.main_predictors() == ("first", "second")


def test_sequential_touches_only_the_student_of_the_phase():
    algorithm = SequentialCoTraining(make_networks(2), make_recipe()).train()
    assert calls_of(algorithm, "second") == [("ema_first", False), ("second", True)]
    before = {key: value.clone() for key, value in algorithm.state_dict().items()}
    algorithm(make_batch(), 0, "second")
    algorithm.after_step("second")
    changed = {key for key, value in algorithm.state_dict().items() if not torch.equal(value, before[key])}
    assert changed and all("second" in key for key in changed)


def test_no_teacher_runs_while_the_consistency_is_off():
    algorithm = CoTraining(make_networks(2), make_recipe(weights=LossWeights(cons=0))).train()
    assert calls_of(algorithm) == [("first", True), ("second", True)]


def test_pose_dual_halves_the_supervised_loss_and_equals_cotraining_without_ema():
    batch = make_batch()
    dual = PoseDual(make_networks(2), make_recipe()).train()
    pair = CoTraining(make_networks(2), make_recipe(use_ema=False)).train()
    logs, reference = dual(batch, 0, "all").logs, pair(batch, 0, "all").logs
    for name in ("first", "second"):
        torch.testing.assert_close(logs[f"loss_pose_{name}"], 0.5 * reference[f"loss_pose_{name}"])
    torch.testing.assert_close(logs["loss_cons_first"], reference["loss_cons_first"])


def test_teaching_leaves_batch_norm_alone():
    (network,), recipe = make_networks(1), make_recipe()
    network.train()
    data = make_views(recipe, make_batch(), 0)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    taught = teach(recipe, network, TeacherRecord(POOL, 17), data)
    assert network.training and not taught.prediction.heatmaps.requires_grad
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_a_teacher_pass_is_kept_in_base_crop_pixels():
    (network,), recipe, batch = make_networks(1), make_recipe(), make_batch()
    data, record = make_views(recipe, batch, 0), TeacherRecord(POOL, 17)
    assert data.easy.flipped.any() and not data.easy.flipped.all()
    taught = teach(recipe, network, record, data)
    rows = batch.unlabeled.index
    back = data.easy.from_base()
    torch.testing.assert_close(back.points(record.bank.keypoints[rows]), taught.prediction.keypoints, atol=1e-3, rtol=0)
    assert torch.equal(back.swap(record.bank.peaks[rows]), taught.prediction.scores)
    assert record.bank.seen().nonzero().flatten().tolist() == rows.tolist()


class Oracle(nn.Module):
    """A student that answers every image with the same heatmaps."""

    def __init__(self, heatmaps):
        super().__init__()
        self.answer = nn.Parameter(heatmaps)

    def features(self, images):
        return self.answer.expand(len(images), -1, -1, -1)

    def heatmaps(self, features, pseudo=False):
        return features


def test_consistency_is_zero_only_for_a_student_that_says_what_the_teacher_says():
    recipe = make_recipe(weights=LossWeights(pose=0))
    data = make_views(recipe, make_batch(), 0)
    flat = torch.full((1, 17, 8, 6), 0.0)
    said = recipe.labeler.read(flat.expand(4, -1, -1, -1), None)
    taught = TeacherOutput(said, said.keypoints, said.scores, None)
    assert student_terms(recipe, Oracle(flat), data, taught)["cons"] == 0
    loss = student_terms(recipe, Oracle(flat + 0.1), data, taught)["cons"]
    assert loss.item() == pytest.approx(0.5 * 0.1**2)


def test_forward_together_is_one_pass_in_order():
    (network,) = make_networks(1)
    network.eval()
    calls = []
    network.layers.register_forward_hook(lambda *_: calls.append(1))
    images = [torch.rand(2, 3, 32, 24), torch.rand(3, 3, 32, 24)]
    outputs = forward_together(network, images)
    assert len(calls) == 1
    for image, output in zip(images, outputs, strict=True):
        torch.testing.assert_close(output, network.features(image))
