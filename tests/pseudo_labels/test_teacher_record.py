import io

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn

from semipose.algorithms.algorithm import load_networks
from semipose.errors import ModelError
from semipose.pseudo_labels import TeacherRecord


def predictions(count, joints=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, joints, 2, generator=generator) * 100, torch.rand(count, joints, generator=generator)


def bits(record):
    return {name: value.numpy().tobytes() for name, value in record.state_dict().items()}


def test_of_repeated_rows_in_one_batch_the_last_is_kept_whole():
    index = torch.arange(5).repeat(400)[torch.randperm(2000, generator=torch.Generator().manual_seed(2))]
    keypoints, peaks = predictions(2000)
    record = TeacherRecord(6, 3)
    record.fill(index, keypoints, peaks, 9)
    for row in range(5):
        last = (index == row).nonzero()[-1, 0]
        assert torch.equal(record.keypoints[row], keypoints[last]) and torch.equal(record.peaks[row], peaks[last])
    assert record.stamp.tolist() == [9] * 5 + [-1]


def test_half_precision_and_gradients_of_a_teacher_do_not_stay():
    record = TeacherRecord(2, 3)
    keypoints, peaks = predictions(2)
    record.fill(torch.tensor([0, 1]), keypoints.requires_grad_(), peaks.half().requires_grad_(), 3)
    assert record.peaks.dtype == torch.float32 and not record.peaks.requires_grad and not record.keypoints.requires_grad
    assert torch.equal(record.peaks, peaks.half().float())


def test_a_checkpoint_keeps_every_bit():
    record = TeacherRecord(3, 3)
    keypoints, peaks = predictions(2)
    peaks[0] = torch.tensor([-0.0, float("nan"), 1e-42])
    record.fill(torch.tensor([0, 2]), keypoints, peaks, 2**40)
    file = io.BytesIO()
    torch.save(record.state_dict(), file)
    file.seek(0)
    other = TeacherRecord(3, 3)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert bits(other) == bits(record) and bits(record) != bits(TeacherRecord(3, 3))


def test_a_bank_of_another_data_set_is_named_in_the_error():
    def holder(size):
        return nn.ModuleDict({"record": TeacherRecord(size, 3)})

    with pytest.raises(ModelError, match=r"last.pth.*record\.keypoints"):
        load_networks(holder(4), {"algorithm": holder(5).state_dict()}, "last.pth")


ROWS = 6
# rows and step of each rank's batches; row 3 is a tie, row 5 is never seen
BATCHES = {0: [([0, 1, 3], 4), ([1], 7)], 1: [([2, 3, 4], 4), ([0], 5), ([1], 6)]}


def batch_of(rank, step, count):
    keypoints, peaks = predictions(count, seed=100 * rank + step)
    peaks[:, 0] = -0.0
    return keypoints, peaks


def new_record():
    return TeacherRecord(ROWS, 3, past=True, candidates=2)


def filled(rank):
    record = new_record()
    for rows, step in BATCHES[rank]:
        keypoints, peaks = batch_of(rank, step, len(rows))
        record.fill(torch.tensor(rows), keypoints, peaks, step)
        candidates = torch.cat([keypoints, peaks.unsqueeze(-1)], -1).unsqueeze(2).expand(-1, -1, 2, -1)
        record.fill_candidates(torch.tensor(rows), candidates)
    return record


def one_rank(rank, folder):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    record = filled(rank)
    record.gather()
    torch.save(record.state_dict(), f"{folder}/first{rank}.pth")
    # a later epoch: rank 1 alone sees row 0 again
    if rank == 1:
        record.fill(torch.tensor([0]), *batch_of(1, 9, 1), 9)
    record.gather()
    torch.save(record.state_dict(), f"{folder}/second{rank}.pth")
    dist.destroy_process_group()


def test_two_ranks_end_with_the_newest_of_both(tmp_path):
    mp.spawn(one_rank, (str(tmp_path),), nprocs=2)
    records = {path.stem: new_record() for path in tmp_path.glob("*.pth")}
    for name, record in records.items():
        record.load_state_dict(torch.load(tmp_path / f"{name}.pth", weights_only=True))
    own = {rank: filled(rank) for rank in BATCHES}
    expected = new_record()
    for row in range(ROWS):
        rank = max((0, 1), key=lambda r: (own[r].stamp[row].item(), -r))
        for name in ("keypoints", "peaks", "candidates", "stamp"):
            getattr(expected, name)[row] = getattr(own[rank], name)[row]
    assert expected.stamp.tolist() == [5, 7, 4, 4, 4, -1]
    assert bits(records["first0"]) == bits(records["first1"]) == bits(expected)
    expected.fill(torch.tensor([0]), *batch_of(1, 9, 1), 9)
    assert bits(records["second0"]) == bits(records["second1"]) == bits(expected)


def test_the_newest_prediction_of_each_row_is_kept():
    record, newest = TeacherRecord(10, 3), {}
    generator = torch.Generator().manual_seed(1)
    for step in range(6):
        index = torch.randint(0, 8, (7,), generator=generator)
        keypoints, peaks = predictions(7, seed=step)
        record.fill(index, keypoints, peaks, step)
        for place, row in enumerate(index.tolist()):
            newest[row] = (keypoints[place], peaks[place], step)
    assert record.seen().tolist() == [row in newest for row in range(10)]
    for row, (keypoints, peaks, step) in newest.items():
        assert torch.equal(record.keypoints[row], keypoints) and torch.equal(record.peaks[row], peaks)
        assert record.stamp[row] == step


def test_the_split_is_that_of_the_pictures_of_the_epoch():
    """Older scores are of a teacher that was less sure; beside new ones they would all be hard."""
    draw = torch.Generator().manual_seed(0)
    old, new = (level + 0.02 * torch.randn(200, 3, generator=draw) for level in (0.2, 0.8))
    record, alone = TeacherRecord(400, 3), TeacherRecord(200, 3)
    record.fill(torch.arange(200), torch.zeros(200, 3, 2), old, 5)
    record.fill(torch.arange(200, 400), torch.zeros(200, 3, 2), new, 15)
    alone.fill(torch.arange(200), torch.zeros(200, 3, 2), new, 15)
    assert record.refit(10).edges.tolist() == alone.refit(10).edges.tolist()
    assert record.refit(0).count == record.refit(16).count == 400  # none in an epoch that begins at 16: of all
