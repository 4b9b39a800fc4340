"""Unlabelled pictures that a teacher finds easy and hard: what it says about them, and what a student is asked."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from yacs.config import CfgNode

from semipose import assemble
from semipose.algorithms.recipe import Recipe
from semipose.algorithms.step import Teacher, hard_task, make_views
from semipose.assemble.set_rows import as_rows, bottom_up
from semipose.assemble.teachers import load_teachers
from semipose.data.archives import image_name
from semipose.pseudo_labels import image_scores
from semipose.skeletons import Skeleton, get_skeleton
from semipose.structures import PairBatch, PoseBatch
from semipose.visualize import browse, browse_pictures
from semipose.visualize.panels import draw_view

ASKED = 96  # pictures drawn at random that the teacher is asked about; the extremes among them are shown


@dataclass(frozen=True)
class PoolExample:
    """One picture.

    Attributes:
        easy: whether it is among the easy ones.
        name: its file.
        verdict: what the teacher says in words.
        panels: by caption (h, w, 3) uint8 RGB.
    """

    easy: bool
    name: str
    verdict: str
    panels: dict[str, np.ndarray]


def pool_examples(
    config: CfgNode, data: assemble.RunData, checkpoint: tuple[dict, str], count: int, on_faults: Callable
) -> list[PoolExample]:
    """The easiest and the hardest pictures of a random sample of the pool, half of `count` each, easiest first.

    Args:
        checkpoint: state and its file.
    """
    size = len(as_rows(config, data.unlabeled))
    constraints = assemble.build_label_constraints(config, data)
    algorithm, teachers = load_teachers(config, *checkpoint, size, constraints)
    recipe = algorithm.recipe
    if not recipe.weights.unlabeled:
        return []
    dataset = assemble.build_dataset(config, data.unlabeled, "omit")
    rows, scores = _ask_all(recipe, teachers, dataset, _drawn(size), config.TRAIN.BATCH_SIZE_UNSUP, on_faults)
    if not len(rows):
        return []
    order, half = rows[np.argsort(-scores, kind="stable")], max(1, min(count, len(rows)) // 2)
    chosen = np.concatenate([order[:half], order[half:][-half:]]).tolist()
    batch = dataset.__getitems__(chosen)
    drawn = _draw(config, recipe, teachers, dataset, batch, get_skeleton(config.DATASET.SKELETON))
    places = [chosen.index(row) for row in batch.index.tolist()]
    paths = [image_name(dataset.persons.path(row)) for row in batch.index.tolist()]
    return [PoolExample(place < half, path, *own) for place, path, own in zip(places, paths, drawn)]


def _drawn(size: int) -> list[int]:
    """Rows of the pool, always the same ones."""
    return np.random.default_rng(0).permutation(size)[:ASKED].tolist()


def _ask_all(
    recipe: Recipe, teachers: dict[str, Teacher], dataset, rows: list[int], size: int, on_faults: Callable
) -> tuple[np.ndarray, np.ndarray]:
    """Rows that could be read, and the sum of the first teacher's scores on an easy view of each."""
    found, scores = [], []
    for step, start in enumerate(range(0, len(rows), size)):
        batch = dataset.__getitems__(rows[start : start + size])
        on_faults(batch.faults)
        if len(batch):
            answer = _ask(recipe, teachers, batch, step)[1]
            found += batch.index.tolist()
            scores += image_scores(answer.peaks).tolist()
    return np.array(found, int), np.array(scores)


def _ask(recipe: Recipe, teachers: dict[str, Teacher], batch: PoseBatch, step: int) -> tuple:
    """Views, what the first teacher says, and how far it is trusted."""
    views = make_views(recipe, PairBatch(batch, batch.without_labels()), step)
    return views, *next(iter(browse.ask(recipe, views, teachers).values()))


def _draw(
    config: CfgNode, recipe: Recipe, teachers: dict[str, Teacher], dataset, batch: PoseBatch, skeleton: Skeleton
) -> list[tuple[str, dict[str, np.ndarray]]]:
    """For each picture of the batch the verdict and the panels."""
    name, teacher = next(iter(teachers.items()))
    codec = teacher.network.codec
    views, answer, trust = _ask(recipe, teachers, batch, 0)
    verdicts = [_verdict(teacher, answer, i) for i in range(len(batch))]
    if bottom_up(config):
        drawn = browse_pictures.easy_hard_pictures(dataset, recipe, codec, batch, 0, skeleton, {name: teacher})
        return [(verdict, {"": one.picture}) for verdict, one in zip(verdicts, drawn)]
    kept = recipe.labeler(answer.prediction, codec, None, trust).weights > 0
    hard = _hard_panels(recipe, codec, views, answer, trust, skeleton)
    panels = []
    for i, picture in enumerate(browse.view_pictures(views.easy)):
        said, learned = answer.prediction, kept[i].cpu().numpy()
        points, scores = said.keypoints[i].cpu().numpy(), said.scores[i].cpu().numpy()
        own = {"easy view: what the teacher says": draw_view(picture, points, learned, skeleton, scores, ~learned)}
        panels.append((f"{verdicts[i]}, {learned.sum()} of {len(learned)} keypoints are learned", own | hard[i]))
    return panels


@torch.no_grad()
def _hard_panels(recipe: Recipe, codec, views, answer, trust, skeleton: Skeleton) -> list[dict[str, np.ndarray]]:
    """The first hard view of each picture, as a student is given it; none where the run has no such loss."""
    if not views.hard:
        return [{}] * len(views.batch.unlabeled)
    view, operations = views.hard[0], recipe.views.policies.hard_views[0]
    given = hard_task(recipe, codec, views, view, operations, answer, trust)
    points, shown = given.points.cpu().numpy(), given.weights.cpu().numpy() > 0
    title = f"hard view: what the student is asked{' (' + ' + '.join(operations) + ')' if operations else ''}"
    pictures = browse.view_pictures(view.with_images(given.images))
    return [{title: draw_view(picture, points[i], shown[i], skeleton)} for i, picture in enumerate(pictures)]


def _verdict(teacher: Teacher, answer, i: int) -> str:
    score = f"sum of scores {answer.peaks[i].sum():.1f}"
    if answer.easy is None:
        return score
    chance = teacher.record.difficulty.p_easy(image_scores(answer.peaks))[i]
    return f"{'easy' if answer.easy[i] else 'hard'} for the teacher (probability of easy {chance:.2f}), {score}"
