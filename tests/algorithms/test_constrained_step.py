"""What is known about tracks and poses reaches the tasks of a student, whatever the views."""

import pytest
import torch
from tiny import POOL, make_algorithm, make_batch

from semipose.algorithms.step import Teacher, ask_teachers, hard_task, make_views, trust_in
from semipose.pseudo_labels import Constraints, PeakTracks, PoseSpace, Tracks

PLACE = torch.tensor([14.0, 20.0])  # base-crop pixels; where the past has all joints
ROWS = torch.arange(POOL)
NEIGHBOURS = torch.stack([ROWS - 1, torch.where(ROWS + 1 < POOL, ROWS + 1, -1)], dim=1)


WHERE = torch.eye(2, 3).repeat(POOL, 1, 1)


def tracks(reach: float = 1e-3) -> Tracks:
    return Tracks(NEIGHBOURS, WHERE, torch.full((POOL,), reach))


def asked(name="mean_teacher", seed=0, **constraints):
    """Recipe, views, and what the first teacher says; all joints of all images were at PLACE before."""
    algorithm = make_algorithm(name, constraints=Constraints(**constraints), target="redrawn", hard_views=((),))
    algorithm.recipe.labeler.min_score = -10.0  # every joint counts
    for record in algorithm.records.values():
        record.fill(ROWS, PLACE.expand(POOL, 17, 2), torch.ones(POOL, 17), 0)
        record.refit()
    views = make_views(algorithm.recipe, make_batch(), seed)
    teachers = {name: Teacher(algorithm.predictors()["ema"], record) for name, record in algorithm.records.items()}
    answers = ask_teachers(algorithm.recipe, teachers, views)
    trust = trust_in(algorithm.recipe, "ema", teachers, answers, views)
    return algorithm.recipe, views, answers["ema"], trust


def test_a_joint_that_is_not_where_the_track_is_has_no_weight():
    recipe, views, answer, trust = asked(tracks=tracks())
    assert (trust[0] == 1).all() and trust[1:].max() < 0.01  # row 0 has nothing before it
    task = hard_task(recipe, answer.prediction.codec, views, views.hard[0], (), answer, trust)
    assert task.weights[0].max() == 1 and task.weights[1:].max() < 0.01


@pytest.mark.parametrize("seed", range(4))
def test_a_joint_moves_to_the_peak_on_its_track_in_the_view_of_the_student(seed):
    """To the peak of the teacher's heatmap that is nearest to PLACE."""
    video = PeakTracks((ROWS.numpy(),), WHERE, torch.full((POOL,), 4.0))
    recipe, views, answer, trust = asked(seed=seed, peak_tracks=video)
    plain = asked(seed=seed)[2]
    own, moved = (views.easy.points_in_base(found.prediction.keypoints) for found in (plain, answer))
    assert ((moved - PLACE).norm(dim=-1) <= (own - PLACE).norm(dim=-1) + 1).all() and not torch.equal(own, moved)
    off = (own - PLACE).norm(dim=-1) - (moved - PLACE).norm(dim=-1)
    assert off.max() > 2
    task = hard_task(recipe, answer.prediction.codec, views, views.hard[0], (), answer, trust)
    expected = views.hard[0].from_base().points(moved)
    torch.testing.assert_close(task.points, expected, rtol=0, atol=1e-2)


def test_the_record_keeps_what_the_teacher_said_itself():
    video = PeakTracks((ROWS.numpy(),), WHERE, torch.full((POOL,), 4.0))
    plain, judged = asked()[2], asked(peak_tracks=video)[2]
    assert torch.equal(plain.keypoints, judged.keypoints) and torch.equal(plain.peaks, judged.peaks)
    assert not torch.equal(plain.prediction.keypoints, judged.prediction.keypoints) and plain.plausible is None


def test_an_implausible_joint_loses_weight_in_the_order_of_the_view():
    """Poses in a space of one pose with an infinite limit for all joints but one, which is to be at its place."""
    mean = torch.randn(17, 2, generator=torch.Generator().manual_seed(0))
    basis = torch.stack([mean.flatten(), *torch.eye(2).repeat(17, 1).T], dim=1)
    limit = torch.full((17,), torch.inf).index_fill(0, torch.tensor([5]), 1e-4)
    _, views, answer, trust = asked(poses=PoseSpace(basis, limit))
    assert (answer.plausible[:, 5] < 0.01).all() and (answer.plausible.sum(1) > 15.9).all()
    for row, flipped in enumerate(views.easy.flipped.tolist()):
        assert trust[row].argmin() == (6 if flipped else 5)


def test_both_multiply():
    space = PoseSpace(torch.eye(34)[:, :3], torch.full((17,), 1e-4))
    both = asked(tracks=tracks(10.0), poses=space)[2].plausible
    alone = asked(tracks=tracks(10.0))[2].plausible
    torch.testing.assert_close(both, alone * asked(poses=space)[2].plausible)
