"""What a bottom-up training sees of a batch, as pictures: the counterpart of `browse` for whole pictures.

Each function returns a `Drawn` for each picture of the batch, in its order.
"""

import numpy as np
import torch
from torch import Tensor

from semipose.algorithms.recipe import Recipe
from semipose.algorithms.step import Teacher, TeacherAnswer, Views, hard_task, labeled_tasks, make_views
from semipose.codecs import Codec
from semipose.data.images import read_image
from semipose.data.picture_dataset import PictureDataset
from semipose.data.regions import draw_regions
from semipose.pseudo_labels import Prediction
from semipose.skeletons import Skeleton
from semipose.structures import PairBatch, Persons, PoseBatch
from semipose.views.sampler import centred_view
from semipose.views.view import View
from semipose.visualize.browse import WHERE_KNOWN, Drawn, ask, input_regions, titled, view_pictures
from semipose.visualize.draw import draw_heatmaps
from semipose.visualize.instances import draw_picture, view_size
from semipose.visualize.panels import join_panels


def picture_facts(dataset: PictureDataset, row: int) -> dict[str, str]:
    """What the annotation says about a picture and each person on it."""
    persons, instances = dataset.persons, dataset.instances
    rows = _instances(dataset, row)
    facts = {"file": persons.path(row), "image id": str(persons.ids[row]), "persons": str(len(rows))}
    for number, own in enumerate(rows, 1):
        labelled = instances.keypoints[own, :, 2] > 0
        told = f"id {instances.ids[own]}, {labelled.sum()} of {len(labelled)} keypoints, {label_of(instances, own)}"
        facts[f"person {number}"] = told
    return facts


def label_of(instances: Persons, row: int) -> str:
    """Group and weight of a person, such as "group 1 x2"."""
    group = "" if instances.group_ids[row] == -1 else f"group {instances.group_ids[row]} "
    return f"{group}x{instances.weights[row]:g}"


def original_pictures(
    dataset: PictureDataset, batch: PoseBatch, size: tuple[int, int], skeleton: Skeleton
) -> list[Drawn]:
    """Pictures as they are annotated. Arguments and errors are those of `browse.original_pictures`."""
    outlines = input_regions(batch, size)
    return [_original(dataset, row, outline, skeleton) for row, outline in zip(batch.index.tolist(), outlines)]


def labeled_pictures(
    dataset: PictureDataset, recipe: Recipe, codec: Codec, batch: PoseBatch, step: int, skeleton: Skeleton
) -> list[Drawn]:
    """The labelled views of step `step`, with their instances and heatmaps."""
    views = make_views(recipe, PairBatch(batch), step)
    (task,) = labeled_tasks(recipe, views, codec)
    return _with_targets(dataset, batch, views.labeled, codec, task.points, task.target, skeleton)


def centred_pictures(
    dataset: PictureDataset, codec: Codec, size: tuple[int, int], batch: PoseBatch, skeleton: Skeleton
) -> list[Drawn]:
    """The views of validation, with instances and heatmaps."""
    view = centred_view(batch, size, torch.tensor(skeleton.flip_order))
    points = view.from_base().points(batch.keypoints)
    target, _ = codec.encode(points, batch.weights)
    return _with_targets(dataset, batch, view, codec, points, target, skeleton)


def easy_hard_pictures(
    dataset: PictureDataset, recipe: Recipe, codec: Codec, batch: PoseBatch, step: int, skeleton: Skeleton,
    teachers: dict[str, Teacher],
) -> list[Drawn]:  # fmt: skip
    """Easy view and hard views with the instances that are learned; a row for each teacher. Without teachers the labels
    stand in for them."""
    views = make_views(recipe, PairBatch(batch, batch.without_labels()), step)
    answers = ask(recipe, views, teachers) if teachers else {WHERE_KNOWN: (_labels(codec, views, batch), None)}
    rows = [_easy_hard_row(recipe, codec, views, name, *found, skeleton) for name, found in answers.items()]
    drawn = []
    for i in range(len(batch)):
        panels, titles = zip(*(panel for row in rows for panel in row[i]))
        drawn.append(Drawn(join_panels(panels, titles, 1 + len(views.hard)), {"instances": ", ".join(answers)}))
    return drawn


def pseudo_pictures(
    dataset: PictureDataset, recipe: Recipe, codec: Codec, batch: PoseBatch, step: int, skeleton: Skeleton,
    teachers: dict[str, Teacher],
) -> list[Drawn]:  # fmt: skip
    """What teachers say about the easy view, with the score of each instance, beside the labels that are known."""
    views = make_views(recipe, PairBatch(batch, batch.without_labels()), step)
    truth, said = _labels(codec, views, batch).prediction, ask(recipe, views, teachers)
    drawn = []
    for i, picture in enumerate(view_pictures(views.easy)):
        known = truth.scores[i].cpu().numpy() > 0
        panels = [_panel(picture, truth.keypoints[i], known, _numbers(len(known)), skeleton)]
        titles, facts = [titled(f"easy view, {WHERE_KNOWN}", views.easy, i)], {}
        for name, (found, _) in said.items():
            panel, facts[f"teacher {name}"] = _said(recipe, found.prediction, i, picture, skeleton)
            panels, titles = [*panels, panel], [*titles, f"{name}: instances with their scores"]
        drawn.append(Drawn(join_panels(panels, titles, 2), facts))
    return drawn


def _instances(dataset: PictureDataset, row: int) -> list[int]:
    return [own for own in dataset.instance_rows(torch.tensor([row]))[0].tolist() if own >= 0]


def _original(dataset: PictureDataset, row: int, outline: np.ndarray, skeleton: Skeleton) -> Drawn:
    image = read_image(dataset.persons.path(row), reading=dataset.persons.reading(row))
    rows, instances = _instances(dataset, row), dataset.instances
    height, width = image.shape[:2]
    hidden = draw_regions(dataset.regions[row], (width, height)) if dataset.regions[row] else None
    keypoints = instances.keypoints[rows]
    labels = [label_of(instances, own) for own in rows]
    picture = draw_picture(image, keypoints[..., :2], keypoints[..., 2] > 0, labels, skeleton, hidden, outline)
    return Drawn(picture, {"image": f"{width} x {height} px"} | _masked(hidden))


def _masked(hidden: np.ndarray | None) -> dict[str, str]:
    return {} if hidden is None else {"masked": f"{(hidden > 0).mean():.1%} of the picture"}


def _with_targets(
    dataset: PictureDataset, batch: PoseBatch, view: View, codec: Codec, points: Tensor, target: Tensor,
    skeleton: Skeleton,
) -> list[Drawn]:  # fmt: skip
    rows, maps = dataset.instance_rows(batch.index.cpu()), codec.perfect(target)[:, : points.shape[2] + 1]
    shown, drawn = (view.from_base().swap(batch.weights, axis=-1) != 0).cpu().numpy(), []
    for i, picture in enumerate(view_pictures(view)):
        labels = [label_of(dataset.instances, own) if own >= 0 else "" for own in rows[i].tolist()]
        hidden = None if view.mask is None else view.mask[i, 0].cpu().numpy() < 0.5
        left = _panel(picture, points[i], shown[i], labels, skeleton, hidden)
        right = draw_heatmaps(_panel(picture, points[i], shown[i] & False, labels, skeleton), maps[i].cpu().numpy())
        titles = [titled("view", view, i), "target: keypoints and roots"]
        drawn.append(Drawn(join_panels([left, right], titles, 2), _masked(hidden)))
    return drawn


def _panel(
    picture: np.ndarray, points: Tensor, shown: np.ndarray, labels: list[str], skeleton: Skeleton,
    hidden: np.ndarray | None = None,
) -> np.ndarray:  # fmt: skip
    size = view_size(picture)
    return draw_picture(picture, points.cpu().numpy(), shown, labels, skeleton, hidden, size=size)


def _labels(codec: Codec, views: Views, batch: PoseBatch) -> TeacherAnswer:
    """The labels as if a teacher had said them about the easy view."""
    to_view, known = views.easy.from_base(), (batch.weights != 0).to(batch.keypoints)
    points, scores = to_view.points(batch.keypoints), to_view.swap(known, axis=-1)
    target, _ = codec.encode(points, scores)
    return TeacherAnswer(Prediction(codec.perfect(target), points, scores, codec), points[:, 0], scores[:, 0], None)


def _easy_hard_row(
    recipe: Recipe, codec: Codec, views: Views, name: str, taught: TeacherAnswer, trust: Tensor | None,
    skeleton: Skeleton,
) -> list[list[tuple[np.ndarray, str]]]:  # fmt: skip
    """For each picture its panels and their titles."""
    scores = taught.prediction.scores
    learned = (recipe.labeler.weights(scores) > 0) & (scores > 0)
    columns = [_column(views.easy, taught.prediction.keypoints, learned, f"easy view, {name}", skeleton)]
    for number, (view, operations) in enumerate(zip(views.hard, recipe.views.policies.hard_views), 1):
        given = hard_task(recipe, codec, views, view, operations, taught, trust)
        shown = views.easy.map_to(view).swap(learned, axis=-1)
        title = f"hard view {number}, {' + '.join(operations) or 'nothing hidden'}"
        columns.append(_column(view.with_images(given.images), given.points, shown, title, skeleton))
    return list(zip(*columns))


def _column(view: View, points: Tensor, shown: Tensor, title: str, skeleton: Skeleton) -> list:
    shown, pictures = shown.cpu().numpy(), enumerate(view_pictures(view))
    return [
        (_panel(p, points[i], shown[i], _numbers(len(shown[i])), skeleton), titled(title, view, i)) for i, p in pictures
    ]


def _numbers(count: int) -> list[str]:
    return [str(number + 1) for number in range(count)]


def _said(
    recipe: Recipe, prediction: Prediction, i: int, picture: np.ndarray, skeleton: Skeleton
) -> tuple[np.ndarray, str]:
    """The instances that a teacher found on view `i`, and how many of them are learned."""
    scores, weights = prediction.scores[i], recipe.labeler.weights(prediction.scores)[i]
    learned, seen = (weights > 0).any(-1).cpu().numpy(), (weights != 0).any(-1).cpu().numpy()
    words = zip(scores.mean(-1).tolist(), learned.tolist())
    labels = [f"{score:.2f}" + ("" if taught else " ignored") for score, taught in words]
    shown = np.broadcast_to(seen[:, None], scores.shape) & (scores > 0).cpu().numpy()
    told = f"{learned.sum()} instances are learned, {(seen & ~learned).sum()} ignored"
    return _panel(picture, prediction.keypoints[i], shown, labels, skeleton), told
