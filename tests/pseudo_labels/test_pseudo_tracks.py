"""Time as a teacher: a jump against both neighbours loses weight."""

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


def tracks() -> Tracks:
    neighbours = torch.stack([ALL - 1, ALL + 1], dim=1)
    return Tracks(torch.where(neighbours < FRAMES, neighbours, -1), CROPS, torch.full((FRAMES,), REACH))


def in_crop(places: torch.Tensor) -> torch.Tensor:
    return affine.apply(affine.invert(CROPS), places)


def record_of(places: torch.Tensor, peaks: torch.Tensor | None = None, rows: torch.Tensor = ALL) -> TeacherRecord:
    record = TeacherRecord(FRAMES, 2, past=True)
    record.fill(rows, in_crop(places)[rows], (torch.full((FRAMES, 2), 0.8) if peaks is None else peaks)[rows], 3)
    record.refit()
    return record


def judge(places, record=None, index=ALL):
    """Weights of a batch."""
    return tracks()(index, in_crop(places)[index], record or record_of(places), 0.3)


def jumped(by=(0.0, 25.0)) -> torch.Tensor:
    """Joint 1 of the middle frame is somewhere else."""
    places = WALK.clone()
    places[2, 1] += torch.tensor(by)
    return places


def test_an_even_motion_is_left_alone():
    torch.testing.assert_close(judge(WALK), torch.ones(FRAMES, 2))


def test_a_jump_against_both_neighbours_loses_weight_by_its_length():
    weights = judge(jumped())
    assert weights[2, 1] < 0.01
    assert weights[:, 0].min() > 0.999 and weights[[0, 4]].min() > 0.999  # others, and those at the ends
    small = judge(jumped((0.0, REACH)))[2, 1]
    assert small == pytest.approx(torch.exp(torch.tensor(-0.5)).item(), abs=1e-3)


def test_a_start_is_no_jump():
    """It fits one neighbour: the joint stood still before."""
    places = WALK.clone()
    places[:2, 0] = places[2, 0]
    assert judge(places)[:, 0].min() > 0.999


@pytest.mark.parametrize("case", ["not seen", "not sure", "first epoch", "loose"])
def test_without_two_sure_neighbours_a_joint_is_left_as_it_is(case):
    peaks, makes, record = torch.full((FRAMES, 2), 0.8), tracks(), None
    if case == "not sure":
        peaks[3] = 0.1
    if case == "not seen":
        record = record_of(jumped(), rows=torch.tensor([0, 1, 2]))
    if case == "first epoch":
        record = TeacherRecord(FRAMES, 2, past=True)
        record.fill(ALL, in_crop(jumped()), peaks, 3)
    if case == "loose":
        makes = replace(makes, neighbours=torch.full((FRAMES, 2), -1))
    weights = makes(ALL, in_crop(jumped()), record or record_of(jumped(), peaks), 0.3 if case == "not sure" else 0.0)
    assert weights[2].tolist() == [1, 1]


def test_the_order_of_a_batch_does_not_matter():
    order, record = torch.tensor([3, 0, 2, 4, 1]), record_of(jumped())
    assert torch.equal(judge(jumped(), record)[order], judge(jumped(), record, order))


def test_what_is_filled_in_an_epoch_counts_from_its_end_on():
    """So the order of batches and a stop between them change nothing."""
    record = record_of(WALK)
    before = judge(jumped(), record)
    record.fill(ALL, in_crop(WALK + 50), torch.full((FRAMES, 2), 0.8), 9)
    record.gather()
    assert torch.equal(before, judge(jumped(), record))
    record.refit()
    assert not torch.equal(before, judge(jumped(), record))
