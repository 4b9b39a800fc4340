"""What training sees of a batch, as pictures. Views, targets and pseudo-labels are made by what makes them in training.

Each function returns a `Drawn` for each person of the batch, in its order.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from semipose.algorithms.recipe import Recipe
from semipose.algorithms.step import (
    Teacher,
    TeacherAnswer,
    Views,
    ask_teachers,
    hard_task,
    labeled_tasks,
    make_views,
    trust_in,
)
from semipose.codecs import Codec
from semipose.codecs.heatmap import draw_gaussians
from semipose.data.images import read_image
from semipose.geometry import affine
from semipose.pseudo_labels import Prediction, image_scores
from semipose.skeletons import Skeleton
from semipose.structures import PairBatch, Persons, PoseBatch
from semipose.views.sampler import centred_view
from semipose.views.view import View, centre_map
from semipose.visualize.panels import draw_in_image, draw_scores, draw_target, draw_view, join_panels

FAR = -1e4  # pixels: where joints are put that nobody knows, so that nothing in a view is near them
WHERE_KNOWN = "true labels where known"


@dataclass(frozen=True)
class Drawn:
    """A picture (h, w, 3) uint8 and what is to be said about it, by name."""

    picture: np.ndarray
    facts: dict[str, str]


def original_pictures(persons: Persons, batch: PoseBatch, size: tuple[int, int], skeleton: Skeleton) -> list[Drawn]:
    """Persons as they are annotated, in their images.

    Args:
        size: (width, height) of a network input.

    Raises:
        DataError: an image cannot be read.
    """
    base = batch.images.shape[-1], batch.images.shape[-2]
    width, height = size
    corners = torch.tensor([(0, 0), (width, 0), (width, height), (0, height)]) - 0.5
    to_image = affine.compose(batch.to_image.cpu(), centre_map(base, size, len(batch)))
    regions = affine.apply(to_image, corners.expand(len(batch), -1, -1)).numpy()
    return [_original(persons, row, region, skeleton) for row, region in zip(batch.index.tolist(), regions)]


def labeled_pictures(recipe: Recipe, codec: Codec, batch: PoseBatch, step: int, skeleton: Skeleton) -> list[Drawn]:
    """The labelled views of step `step`, with their keypoints and targets."""
    views = make_views(recipe, PairBatch(batch), step)
    (task,) = labeled_tasks(recipe, views, codec)
    return _with_targets(views.labeled, codec, task.points, task.target, task.weights, skeleton)


def centred_pictures(codec: Codec, size: tuple[int, int], batch: PoseBatch, skeleton: Skeleton) -> list[Drawn]:
    """The views of validation, with keypoints and targets of the annotation's own skeleton."""
    view = centred_view(batch, size, torch.tensor(skeleton.flip_order))
    points = view.from_base().points(batch.keypoints)
    return _with_targets(view, codec, points, *codec.encode(points, batch.weights), skeleton)


def easy_hard_pictures(
    recipe: Recipe, codec: Codec, persons: Persons, batch: PoseBatch, step: int, skeleton: Skeleton,
    teachers: dict[str, Teacher],
) -> list[Drawn]:  # fmt: skip
    """Easy view and hard views side by side, with pseudo-labels; a row for each teacher.

    Args:
        persons, batch: all persons, and some of them as crops. Without teachers their labels, as far as there are any,
            stand in for pseudo-labels.
    """
    known = known_labels(persons, batch)
    views = make_views(recipe, PairBatch(batch, batch.without_labels()), step)
    answers = _answers(recipe, views, teachers)
    if not teachers:
        answers = {WHERE_KNOWN: labels_as_teacher(codec, views.easy, batch, known)}
    rows = [_easy_hard_row(recipe, codec, views, name, *found, skeleton) for name, found in answers.items()]
    columns = 1 + len(views.hard)
    drawn = []
    for i in range(len(batch)):
        panels, titles = zip(*(panel for row in rows for panel in row[i]))
        about = f"of the teachers: {', '.join(teachers)}" if teachers else _about_labels(known[i])
        drawn.append(Drawn(join_panels(panels, titles, columns), {"points": about}))
    return drawn


def pseudo_pictures(
    recipe: Recipe, codec: Codec, persons: Persons, batch: PoseBatch, step: int, skeleton: Skeleton,
    teachers: dict[str, Teacher],
) -> list[Drawn]:  # fmt: skip
    """What teachers say about the easy view, joint by joint, and the true joints where they are known."""
    views = make_views(recipe, PairBatch(batch, batch.without_labels()), step)
    truth, _ = labels_as_teacher(codec, views.easy, batch, known_labels(persons, batch))
    said = _answers(recipe, views, teachers)
    kept = {
        name: recipe.labeler(found.prediction, codec, None, trust).weights > 0 for name, (found, trust) in said.items()
    }
    chance = {name: teachers[name].record.difficulty.p_easy(image_scores(said[name][0].peaks)) for name in said}
    drawn = []
    for i, picture in enumerate(view_pictures(views.easy)):
        panels, titles, facts = [], [], {}
        for name, (found, _) in said.items():
            panels.append(_true_panel(picture, truth.prediction, i, skeleton))
            panels += _teacher_panels(picture, found.prediction, kept[name], truth.prediction, i, skeleton)
            titles += [
                f"easy view, {WHERE_KNOWN}",
                f"{name}: pseudo-labels (crosses: dropped)",
                f"{name}: peaks of the heatmaps",
            ]
            facts[f"teacher {name}"] = _verdict(found, kept[name], chance[name], i)
        drawn.append(Drawn(join_panels(panels, titles, 3), facts))
    return drawn


def person_facts(persons: Persons, row: int) -> dict[str, str]:
    """What an annotation says about a person; what is not set is left out."""
    labels = persons.keypoints[row, :, 2]
    facts = {
        "file": persons.path(row), "id": str(persons.ids[row]),
        "box": " ".join(f"{value:.1f}" for value in persons.boxes[row]),
        "labelled": f"{(labels > 0).sum()} of {len(labels)} keypoints",
    }  # fmt: skip
    if persons.group_ids[row] != -1:
        facts["group id"] = str(persons.group_ids[row])
    for name, values in (("weight", persons.weights), ("box score", persons.scores)):
        if values[row] != 1:
            facts[name] = f"{values[row]:g}"
    return facts


def known_labels(persons: Persons, batch: PoseBatch) -> Tensor:
    """(B, K) bool, the keypoints of a batch that have a label, whatever its weight in the loss."""
    return torch.from_numpy(persons.keypoints[batch.index.cpu().numpy(), :, 2] > 0).to(batch.images.device)


def labels_as_teacher(codec: Codec, view: View, batch: PoseBatch, known: Tensor) -> tuple[TeacherAnswer, Tensor]:
    """Labels of `batch` as if a teacher had said them about `view`, and which of them count (B, K), in its order.

    Joints that are not `known` (B, K) lie outside all views.
    """
    base, peaks = torch.where(known.unsqueeze(-1), batch.keypoints, FAR), known.to(batch.keypoints)
    to_view = view.from_base()
    points, trust = to_view.points(base), to_view.swap(peaks)
    target, _ = codec.encode(points, trust)
    return TeacherAnswer(Prediction(codec.perfect(target), points, trust, codec), base, peaks, None), trust


def view_pictures(view: View) -> list[np.ndarray]:
    """The images of a view as (H, W, 3) uint8."""
    return _pictures(view.images)


def _original(persons: Persons, row: int, region: np.ndarray, skeleton: Skeleton) -> Drawn:
    reading = persons.reading(persons.image_index[row])
    image, keypoints = read_image(persons.path(row), reading=reading), persons.keypoints[row]
    height, width = image.shape[:2]
    points = keypoints[keypoints[:, 2] > 0, :2]
    outside = ((points < -0.5) | (points > (width - 0.5, height - 0.5))).any(1).sum()
    facts = {"image": f"{width} x {height} px"}
    if outside:
        facts["outside"] = f"{outside} keypoints are not in the image"
    return Drawn(draw_in_image(image, keypoints, skeleton, persons.boxes[row], region), facts)


def _with_targets(
    view: View, codec: Codec, points: Tensor, target: Tensor, weights: Tensor, skeleton: Skeleton
) -> list[Drawn]:
    target = target if codec.has_maps else _as_maps(view, codec, target, weights)
    points, target, weights = (values.cpu().numpy() for values in (points, target, weights))
    drawn = []
    for i, picture in enumerate(view_pictures(view)):
        panels = [draw_view(picture, points[i], weights[i] > 0, skeleton), draw_target(picture, target[i])]
        factors = ", ".join(f"{value:g}" for value in np.unique(weights[i][weights[i] > 0]))
        facts = {"taught": f"{(weights[i] > 0).sum()} keypoints" + (f" with weight {factors}" if factors else "")}
        drawn.append(Drawn(join_panels(panels, [_titled("view", view, i), "target"], 2), facts))
    return drawn


def _as_maps(view: View, codec: Codec, target: Tensor, weights: Tensor) -> Tensor:
    """A Gaussian (B, K, h, w) at what a target decodes to, for codecs that have no maps."""
    points, _ = codec.decode(codec.perfect(target))
    size = tuple(round(side / codec.stride) for side in (view.images.shape[-1], view.images.shape[-2]))
    return draw_gaussians(points / codec.stride, size, 1.0) * (weights > 0)[..., None, None]


def _answers(
    recipe: Recipe, views: Views, teachers: dict[str, Teacher]
) -> dict[str, tuple[TeacherAnswer, Tensor | None]]:
    """By name what each teacher says about the easy view, and how far it is trusted."""
    answers = ask_teachers(recipe, teachers, views)
    return {name: (answer, trust_in(recipe, name, teachers, answers, views)) for name, answer in answers.items()}


def _easy_hard_row(
    recipe: Recipe,
    codec: Codec,
    views: Views,
    name: str,
    taught: TeacherAnswer,
    trust: Tensor | None,
    skeleton: Skeleton,
) -> list[list[tuple[np.ndarray, str]]]:
    """For each person its panels and their titles: the easy view, then each hard view as a student is given it."""
    own = recipe.labeler(taught.prediction, codec, None, trust)
    columns = [_column(views.easy, own.keypoints, own.weights, f"easy view, {name}", skeleton)]
    for number, (view, operations) in enumerate(zip(views.hard, recipe.views.policies.hard_views), 1):
        given = hard_task(recipe, codec, views, view, operations, taught, trust)
        title = f"hard view {number}, {' + '.join(operations) or 'nothing hidden'}"
        columns.append(_column(view.with_images(given.images), given.points, given.weights, title, skeleton))
    return list(zip(*columns))


def _column(view: View, points: Tensor, weights: Tensor, title: str, skeleton: Skeleton) -> list:
    points, shown = points.cpu().numpy(), weights.cpu().numpy() > 0
    pictures = enumerate(view_pictures(view))
    return [(draw_view(p, points[i], shown[i], skeleton), _titled(title, view, i)) for i, p in pictures]


def _true_panel(picture: np.ndarray, truth: Prediction, i: int, skeleton: Skeleton) -> np.ndarray:
    return draw_view(picture, truth.keypoints[i].cpu().numpy(), truth.scores[i].cpu().numpy() > 0, skeleton)


def _teacher_panels(
    picture: np.ndarray, said: Prediction, kept: Tensor, truth: Prediction, i: int, skeleton: Skeleton
) -> list[np.ndarray]:
    points, scores, kept = (values[i].cpu().numpy() for values in (said.keypoints, said.scores, kept))
    errors = (said.keypoints[i] - truth.keypoints[i]).norm(dim=-1).masked_fill(truth.scores[i] == 0, torch.nan)
    view = draw_view(picture, points, kept, skeleton, scores, ~kept)
    return [view, draw_scores(skeleton.keypoints, scores, kept, errors.cpu().numpy(), view.shape[0])]


def _verdict(found: TeacherAnswer, kept: Tensor, chance: Tensor, i: int) -> str:
    call = "no easy/hard split"
    if found.easy is not None:
        call = f"{'easy' if found.easy[i] else 'hard'} (probability of easy {chance[i]:.2f})"
    return f"{call}, sum of peaks {found.peaks[i].sum():.2f}, {int(kept[i].sum())} of {kept.shape[1]} joints kept"


def _about_labels(known: Tensor) -> str:
    if known.any():
        return "true labels, in place of a teacher's (no checkpoint)"
    return "none: no labels and no checkpoint, so operations on joints hide nothing"


def _titled(title: str, view: View, i: int) -> str:
    return f"{title} (mirrored)" if view.flipped[i] else title


def _pictures(images: Tensor) -> list[np.ndarray]:
    return list((images.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy())
