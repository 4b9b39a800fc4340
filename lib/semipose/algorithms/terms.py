"""The loss terms that the algorithms are put together from. One student is taught at a time."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from semipose.algorithms.algorithm import Recipe
from semipose.augment.views import StepViews
from semipose.codecs import HeatmapCodec
from semipose.geometry.view import View
from semipose.losses import reduce_keypoints
from semipose.structures import PairBatch


@dataclass(frozen=True)
class LabeledTarget:
    """A labelled view with its target heatmaps (B, K, h, w) and keypoint weights (B, K)."""

    view: View
    target: Tensor
    weights: Tensor


@dataclass(frozen=True)
class StepData:
    """The views of one step, shared by all students.

    `labeled` is None when its loss has weight 0; `easy` and `hard` are None while no unlabelled loss is active.
    """

    draws: StepViews
    labeled: LabeledTarget | None
    easy: View | None
    hard: View | None
    ramp: float


def make_views(recipe: Recipe, batch: PairBatch, step: int) -> StepData:
    """Draw and make the views that the active loss terms need."""
    draws, ramp = recipe.views.at_step(step), recipe.ramp(step)
    labeled = easy = hard = None
    if recipe.weights.pose > 0:
        view = draws.labeled(batch.labeled)
        to_view = view.from_base()
        target = recipe.codec.encode(to_view.points(batch.labeled.keypoints), to_view.swap(batch.labeled.weights))
        labeled = LabeledTarget(view, *target)
    if batch.unlabeled is not None and recipe.weights.cons > 0 and ramp > 0:
        easy = draws.easy(batch.unlabeled)
        hard = draws.hard(batch.unlabeled, easy)
    return StepData(draws, labeled, easy, hard, ramp)


@torch.no_grad()
def teach(teacher: nn.Module, view: View) -> Tensor:
    """A teacher's heatmaps on a view: eval mode (its BatchNorm is not touched), no gradient."""
    training = teacher.training
    teacher.eval()
    heatmaps = teacher(view.images)
    teacher.train(training)
    return heatmaps


def student_terms(recipe: Recipe, student: nn.Module, data: StepData, taught: Tensor | None) -> dict[str, Tensor]:
    """The weighted loss terms of one student.

    Args:
        taught: the teacher's heatmaps on `data.easy`; None if there is no unlabelled view in this step.

    Returns:
        `pose` and `cons`, each only where its weight is above 0 and its data are there.
    """
    images, criteria = [], {}
    if data.labeled is not None:
        images.append(data.labeled.view.images)
        criteria["pose"] = (data.labeled.target, data.labeled.weights, recipe.weights.pose)
    if taught is not None:
        pseudo = recipe.labeler(taught, data.easy.map_to(data.hard))
        images.append(data.draws.cutout(data.hard, pseudo.keypoints).images)
        criteria["cons"] = (pseudo.target, pseudo.weights, recipe.weights.cons * data.ramp)
    outputs = forward_together(student, images) if recipe.joint_forward else [student(x) for x in images]
    return {
        name: factor * keypoint_loss(recipe.codec, output, target, weights)
        for output, (name, (target, weights, factor)) in zip(outputs, criteria.items(), strict=True)
    }


def forward_together(network: nn.Module, images: list[Tensor]) -> list[Tensor]:
    """One forward pass over several batches; the outputs are split again."""
    if len(images) == 1:
        return [network(images[0])]
    return list(network(torch.cat(images)).split([len(x) for x in images]))


def keypoint_loss(codec: HeatmapCodec, output: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    """Scalar loss of heatmaps under (B, K) weights."""
    return reduce_keypoints(codec.loss(output, target), weights)


def total(terms: dict[str, Tensor]) -> Tensor:
    """Sum of the terms of a step."""
    return torch.stack(list(terms.values())).sum()
