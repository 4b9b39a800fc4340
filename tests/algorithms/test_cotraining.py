"""Who teaches whom."""

import pytest
import torch
from small_codecs import make_codec
from tiny import POOL, SIZE, make_algorithm, make_batch, make_networks, make_recipe
from torch import nn

from semipose.algorithms.learning import Task, learn, student_features
from semipose.algorithms.recipe import LossWeights
from semipose.algorithms.step import Teacher, TeacherAnswer, ask_teachers, make_views, unlabeled_tasks
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
    calls = calls_of(make_algorithm("cotrain1"))
    assert calls == [("ema_second", False), ("ema_first", False), ("first", True), ("second", True)]


def test_joint_without_ema_is_taught_by_the_other_student():
    algorithm = make_algorithm("cotrain1", use_ema=False)
    assert calls_of(algorithm) == [("second", False), ("first", False), ("first", True), ("second", True)]
    assert list(algorithm.predictors()) == ["first", "second"]
    assert algorithm.main_predictors() == ("first", "second")


def test_sequential_touches_only_the_student_of_the_phase():
    algorithm = make_algorithm("cotrain")
    assert calls_of(algorithm, "second") == [("ema_first", False), ("second", True)]
    before = {key: value.clone() for key, value in algorithm.state_dict().items()}
    algorithm(make_batch(), 0, "second")
    algorithm.after_step("second")
    changed = {key for key, value in algorithm.state_dict().items() if not torch.equal(value, before[key])}
    assert changed and all("second" in key for key in changed)


def test_no_teacher_runs_while_the_consistency_is_off():
    algorithm = make_algorithm("cotrain1", weights=LossWeights(cons=0))
    assert calls_of(algorithm) == [("first", True), ("second", True)]


def test_pose_dual_is_cotraining_without_ema():
    batch = make_batch()
    logs = [make_algorithm(n, use_ema=False)(batch, 0, "all").logs for n in ("pose_dual", "cotrain1")]
    assert logs[0] == logs[1]


def test_teaching_leaves_batch_norm_alone():
    (network,), recipe = make_networks(1), make_recipe()
    network.train()
    views = make_views(recipe, make_batch(), 0)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    answer = ask_teachers(recipe, {"a": Teacher(network, TeacherRecord(POOL, 17))}, views)["a"]
    assert network.training and not answer.prediction.output.requires_grad
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_a_teacher_pass_is_kept_in_base_crop_pixels():
    (network,), recipe, batch = make_networks(1), make_recipe(), make_batch()
    views, record = make_views(recipe, batch, 0), TeacherRecord(POOL, 17)
    assert views.easy.flipped.any() and not views.easy.flipped.all()
    prediction = ask_teachers(recipe, {"a": Teacher(network, record)}, views)["a"].prediction
    rows, back = batch.unlabeled.index, views.easy.from_base()
    torch.testing.assert_close(back.points(record.keypoints[rows]), prediction.keypoints, atol=1e-3, rtol=0)
    assert torch.equal(back.swap(record.peaks[rows]), prediction.scores)
    assert record.seen().nonzero().flatten().tolist() == rows.tolist()


class Oracle(nn.Module):
    """A student that answers every image with the same heatmaps."""

    codec = make_codec(SIZE, (6, 8), 1.0)

    def __init__(self, heatmaps):
        super().__init__()
        self.answer = nn.Parameter(heatmaps)

    def features(self, images):
        return self.answer.expand(len(images), -1, -1, -1)

    def output(self, features, pseudo=False):
        return features

    def loss(self, output, target, pseudo=False):
        return self.codec.loss(output, target, self)


def test_consistency_is_zero_only_for_a_student_that_says_what_the_teacher_says():
    recipe = make_recipe(weights=LossWeights(pose=0))
    views = make_views(recipe, make_batch(), 0)
    flat = torch.full((1, 17, 8, 6), 0.0)
    said = recipe.labeler.read(flat.expand(4, -1, -1, -1), None, Oracle.codec)
    answer = TeacherAnswer(said, said.keypoints, said.scores, None)
    for offset, loss in ((0.0, 0.0), (0.1, 0.5 * 0.1**2)):
        student = Oracle(flat + offset)
        terms, _ = learn(recipe, student, unlabeled_tasks(recipe, student, views, answer, None), 0)
        assert terms["cons"].item() == pytest.approx(loss)


def test_several_tasks_are_one_pass_in_order():
    (network,) = make_networks(1)
    network.eval()
    calls = []
    network.layers.register_forward_hook(lambda *_: calls.append(1))
    images = [torch.rand(2, 3, 32, 24), torch.rand(3, 3, 32, 24)]
    tasks = [Task("cons", image, None, None, None, 1.0) for image in images]
    outputs = student_features(network, tasks, together=True)
    assert len(calls) == 1
    for image, output in zip(images, outputs, strict=True):
        torch.testing.assert_close(output, network.features(image))
