"""What a student learns from: its tasks, and the loss terms that they give."""

import math
from dataclasses import dataclass, replace
from functools import partial

import torch
from torch import Tensor

from semipose.algorithms.label_noise import trimmed
from semipose.algorithms.mixing import Mix, mix_losses
from semipose.algorithms.recipe import Recipe
from semipose.algorithms.student import Student
from semipose.algorithms.worst_case import LabeledFeatures, PseudoFeatures, worst_terms
from semipose.losses import reduce_keypoints
from semipose.structures import LabeledOutput
from semipose.timing import timed


@dataclass(frozen=True)
class Task:
    """What a student sees, and what it should predict.

    Attributes:
        term: name of the loss term: "pose", "cons" or "mix".
        images: (B, 3, H, W).
        target, weights: of the codec, (B, K, ...), and (B, K).
        points: (B, K, 2) or (B, N, K, 2) the same in pixels of the images.
        factor: multiplies the loss; 0 = only the worst-case head needs these images.
        contestable: (B, K) weights of the pseudo-labels in the worst-case term; None without it.
        mix: set where images are mixed; each is taught the target of its partner too.
    """

    term: str
    images: Tensor
    target: Tensor
    weights: Tensor
    points: Tensor
    factor: float
    contestable: Tensor | None = None
    mix: Mix | None = None

    @property
    def mixed_inside(self) -> bool:
        """Whether the images are mixed inside the network."""
        return self.mix is not None and self.mix.stage is not None


@timed("students")
def learn(
    recipe: Recipe, student: Student, tasks: list[Task], step: int
) -> tuple[dict[str, Tensor], list[LabeledOutput]]:
    """The weighted loss terms of one student, and its output on the labelled images.

    Returns:
        Terms `pose`, `cons`, `mix`, `worst`, each if its weight is above 0 and it has data; and at most one output,
        none of whole pictures.
    """
    features = student_features(student, tasks, recipe.joint_forward)
    terms, outputs = {}, []
    for task, seen in zip(tasks, features, strict=True):
        if task.factor == 0:
            continue
        output = student.output(seen, pseudo=task.term != "pose")
        if task.term == "pose" and not student.codec.instances:
            size = task.images.shape[-1], task.images.shape[-2]
            decode = partial(student.codec.decode, output.detach())
            outputs.append(LabeledOutput(decode, task.points, task.weights, size))
        found, weights = task_loss(student, task, output), task.weights
        if task.term == "pose" and recipe.labels.trims(step):
            weights = trimmed(weights, found, recipe.labels.trim)
            tasks = [replace(task, weights=weights), *tasks[1:]]  # the worst-case head does not learn them either
        loss = task.factor * reduce_keypoints(found, weights)
        terms[task.term] = terms[task.term] + loss if task.term in terms else loss
    if recipe.weights.worst > 0:
        terms["worst"] = recipe.weights.worst * _worst_loss(recipe, student, tasks, features, step)
    return terms, outputs


def task_loss(student: Student, task: Task, output: Tensor) -> Tensor:
    """(B, K) loss of a student's output for a task."""
    pseudo = task.term != "pose"
    loss = student.loss(output, task.target, pseudo)
    if task.mix is None:
        return loss
    return mix_losses(loss, student.loss(output, task.target[task.mix.permutation], pseudo), task.mix)


def student_features(student: Student, tasks: list[Task], together: bool) -> list[Tensor]:
    """Features of the images of all tasks, in one pass (one BatchNorm batch) or in a pass for each.

    Images that are mixed inside the network (those of the last task) have a pass of their own.
    """
    plain = [task.images for task in tasks if not task.mixed_inside]
    if len(plain) > 1 and together:
        features = list(student.features(torch.cat(plain)).split([len(images) for images in plain]))
    else:
        features = [student.features(images) for images in plain]
    return features + [student.mixed_features(task.images, task.mix) for task in tasks if task.mixed_inside]


def _worst_loss(recipe: Recipe, student: Student, tasks: list[Task], features: list[Tensor], step: int) -> Tensor:
    """Worst-case head on the labelled and the hard views.

    Divided by the number of heatmap pixels, as the heatmap loss is, so that the weights of both can be compared.
    """
    labeled = LabeledFeatures(features[0], tasks[0].target, tasks[0].weights)
    hard = [(task, found) for task, found in zip(tasks, features) if task.term == "cons"]
    pseudo = None
    if hard:
        pseudo = PseudoFeatures(
            torch.cat([found for _, found in hard]), torch.cat([task.points for task, _ in hard]),
            torch.cat([task.contestable for task, _ in hard]),
        )  # fmt: skip
    terms = worst_terms(student.worst_head, labeled, pseudo, student.codec, recipe.worst, step)
    return torch.stack(list(terms.values())).sum() / math.prod(student.codec.size)
