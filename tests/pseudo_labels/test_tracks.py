"""Time as a teacher: a jump against both neighbours loses weight, or becomes the track where they agree."""

from dataclasses import replace

import pytest
import torch

from semipose.geometry import affine
from semipose.pseudo_labels import TeacherRecord, Tracks

FRAMES, REACH = 5, 6.0
WALK = torch.tensor([[20.0, 30], [60, 50]]) + torch.tensor([8.0, 2]) * torch.arange(FRAMES)[:, None, None]  # (5, 2, 2)
CROPS = torch.tensor([[[2.0, 0, 5], [0, 2, -3]]]).repeat(FRAMES, 1, 1)
CROPS[:, :, 2] += torch.arange(FRAMES)[:, None] * torch.tensor([7.0, -4])  # of another size and place in each frame
CROPS[:, :, :2] *= 1 + 0.1 * torch.arange(FRAMES)[:, None, None]
ALL = torch.arange(FRAMES)


def tracks(smooth: bool = False) -> Tracks:
    neighbours = torch.stack([ALL - 1, ALL + 1], dim=1)
    return Tracks(torch.where(neighbours < FRAMES, neighbours, -1), CROPS, torch.full((FRAMES,), REACH), smooth)


def in_crop(places: torch.Tensor) -> torch.Tensor:
    return affine.apply(affine.invert(CROPS), places)


def record_of(places: torch.Tensor, peaks: torch.Tensor | None = None, rows: torch.Tensor = ALL) -> TeacherRecord:
    record = TeacherRecord(FRAMES, 2, past=True)
    record.fill(rows, in_crop(places)[rows], (torch.full((FRAMES, 2), 0.8) if peaks is None else peaks)[rows], 3)
    record.refit()
    return record


def judge(places, smooth=False, peaks=None, record=None, index=ALL, min_score=0.3):
    """Keypoints in image pixels, scores and weights."""
    peaks = torch.full((FRAMES, 2), 0.8) if peaks is None else peaks
    record = record or record_of(places, peaks)
    found = tracks(smooth)(index, in_crop(places)[index], peaks[index], record, min_score)
    return affine.apply(CROPS[index], found.keypoints), found.scores, found.weights


def jumped(by=(0.0, 25.0)) -> torch.Tensor:
    """Joint 1 of the middle frame is somewhere else."""
    places = WALK.clone()
    places[2, 1] += torch.tensor(by)
    return places


@pytest.mark.parametrize("smooth", [False, True])
def test_an_even_motion_is_left_alone(smooth):
    places, scores, weights = judge(WALK, smooth)
    torch.testing.assert_close(places, WALK, rtol=0, atol=1e-4)
    torch.testing.assert_close(weights, torch.ones(FRAMES, 2))
    torch.testing.assert_close(scores, torch.full((FRAMES, 2), 0.8))


def test_a_jump_against_both_neighbours_loses_weight_by_its_length():
    _, _, weights = judge(jumped())
    assert weights[2, 1] < 0.01
    weights[2, 1] = 1
    # the neighbours of the jump fit their other neighbour's side no better, but their own places are near the track
    assert weights[:, 0].min() > 0.999 and weights[[0, 4]].min() > 0.999
    small = judge(jumped((0.0, REACH)))[2][2, 1]
    assert small == pytest.approx(torch.exp(torch.tensor(-0.5)).item(), abs=1e-3)


def test_a_start_is_no_jump():
    """It fits one neighbour: the joint stood still before."""
    places = WALK.clone()
    places[:2, 0] = places[2, 0]
    assert judge(places)[2][:, 0].min() > 0.999


def test_where_the_neighbours_agree_the_target_is_the_smoothed_track():
    wide = replace(tracks(True), reach=torch.full((FRAMES,), 9.0))  # 16.5 pixels lie between before and after
    record, own = record_of(jumped()), in_crop(jumped())
    found = wide(ALL, own, torch.full((FRAMES, 2), 0.8), record, 0.3)
    place = affine.apply(CROPS, found.keypoints)[2, 1]
    assert (place - WALK[2, 1]).norm() < 0.5 and found.weights[2, 1] == 1
    noise = judge(jumped((0.0, 3.0)), smooth=True, record=record_of(WALK))[0]
    expected = (WALK[1, 1] + WALK[3, 1]) / 2
    assert torch.equal(noise[2, 1], jumped((0.0, 3.0))[2, 1]) or (noise[2, 1] - expected).norm() < 3


def test_an_unsure_joint_is_filled_in_between_sure_ones():
    still = WALK[:1].repeat(FRAMES, 1, 1)
    places, peaks = still.clone(), torch.full((FRAMES, 2), 0.8)
    places[2, 0], peaks[2, 0] = torch.tensor([90.0, 90]), 0.1
    found, scores, weights = judge(places, smooth=True, peaks=peaks)
    torch.testing.assert_close(found[2, 0], still[2, 0], rtol=0, atol=1e-4)
    assert scores[2, 0] == pytest.approx(0.8) and weights[2, 0] == 1
    assert judge(places, peaks=peaks)[1][2, 0] == pytest.approx(0.1)


@pytest.mark.parametrize("smooth", [False, True])
@pytest.mark.parametrize("case", ["not seen", "not sure", "first epoch", "loose"])
def test_without_two_sure_neighbours_a_joint_is_left_as_it_is(smooth, case):
    peaks, record, index = torch.full((FRAMES, 2), 0.8), None, ALL
    if case == "not sure":
        peaks[3] = 0.1
    if case == "not seen":
        record = record_of(jumped(), rows=torch.tensor([0, 1, 2]))
    if case == "first epoch":
        record = TeacherRecord(FRAMES, 2, past=True)
        record.fill(ALL, in_crop(jumped()), peaks, 3)
    makes = tracks(smooth)
    if case == "loose":
        makes = replace(makes, neighbours=torch.full((FRAMES, 2), -1))
    own = in_crop(jumped())
    found = makes(index, own, peaks, record or record_of(jumped(), peaks), 0.0 if case != "not sure" else 0.3)
    assert torch.equal(found.keypoints[2], own[2]) and torch.equal(found.scores[2], peaks[2])
    assert found.weights[2].tolist() == [1, 1]


def test_the_order_of_a_batch_does_not_matter():
    order, record = torch.tensor([3, 0, 2, 4, 1]), record_of(jumped())
    straight, mixed = (judge(jumped(), True, record=record, index=index) for index in (ALL, order))
    for one, other in zip(straight, mixed):
        assert torch.equal(one[order], other)


def test_what_is_filled_in_an_epoch_counts_from_its_end_on():
    """So the order of batches and a stop between them change nothing."""
    record = record_of(WALK)
    before = judge(jumped(), record=record)
    record.fill(ALL, in_crop(WALK + 50), torch.full((FRAMES, 2), 0.8), 9)
    record.gather()
    assert all(torch.equal(one, other) for one, other in zip(before, judge(jumped(), record=record)))
    record.refit()
    assert not torch.equal(before[2], judge(jumped(), record=record)[2])
