import io

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn

from semipose.algorithms.algorithm import load_networks
from semipose.errors import ModelError
from semipose.pseudo_labels import ScoreBank


def predictions(count, joints=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, joints, 2, generator=generator) * 100, torch.rand(count, joints, generator=generator)


def bits(bank):
    return {name: value.numpy().tobytes() for name, value in bank.state_dict().items()}


def test_an_empty_bank_has_seen_nobody():
    bank = ScoreBank(4, 3)
    assert bank.keypoints.shape == (4, 3, 2) and bank.peaks.shape == (4, 3)
    assert bank.stamp.tolist() == [-1] * 4 and not bank.seen().any()


def test_the_newest_prediction_of_each_row_is_kept():
    bank, newest = ScoreBank(10, 3), {}
    generator = torch.Generator().manual_seed(1)
    for step in range(6):
        index = torch.randint(0, 8, (7,), generator=generator)
        keypoints, peaks = predictions(7, seed=step)
        bank.fill(index, keypoints, peaks, step)
        for place, row in enumerate(index.tolist()):
            newest[row] = (keypoints[place], peaks[place], step)
    assert bank.seen().tolist() == [row in newest for row in range(10)]
    for row, (keypoints, peaks, step) in newest.items():
        assert torch.equal(bank.keypoints[row], keypoints) and torch.equal(bank.peaks[row], peaks)
        assert bank.stamp[row] == step


def test_of_repeated_rows_in_one_batch_the_last_is_kept_whole():
    index = torch.arange(5).repeat(400)[torch.randperm(2000, generator=torch.Generator().manual_seed(2))]
    keypoints, peaks = predictions(2000)
    bank = ScoreBank(6, 3)
    bank.fill(index, keypoints, peaks, 9)
    for row in range(5):
        last = (index == row).nonzero()[-1, 0]
        assert torch.equal(bank.keypoints[row], keypoints[last]) and torch.equal(bank.peaks[row], peaks[last])
    assert bank.stamp.tolist() == [9] * 5 + [-1]


def test_step_zero_counts_as_seen():
    bank = ScoreBank(2, 3)
    bank.fill(torch.tensor([1]), *predictions(1), 0)
    assert bank.seen().tolist() == [False, True]


def test_half_precision_and_gradients_of_a_teacher_do_not_stay():
    bank = ScoreBank(2, 3)
    keypoints, peaks = predictions(2)
    bank.fill(torch.tensor([0, 1]), keypoints.requires_grad_(), peaks.half().requires_grad_(), 3)
    assert bank.peaks.dtype == torch.float32 and not bank.peaks.requires_grad and not bank.keypoints.requires_grad
    assert torch.equal(bank.peaks, peaks.half().float())


def test_a_checkpoint_keeps_every_bit():
    bank = ScoreBank(3, 3)
    keypoints, peaks = predictions(2)
    peaks[0] = torch.tensor([-0.0, float("nan"), 1e-42])
    bank.fill(torch.tensor([0, 2]), keypoints, peaks, 2**40)
    file = io.BytesIO()
    torch.save(bank.state_dict(), file)
    file.seek(0)
    other = ScoreBank(3, 3)
    other.load_state_dict(torch.load(file, weights_only=True))
    assert bits(other) == bits(bank) and bits(bank) != bits(ScoreBank(3, 3))


def test_a_bank_of_another_data_set_is_named_in_the_error():
    def holder(size):
        return nn.ModuleDict({"bank": ScoreBank(size, 3)})

    with pytest.raises(ModelError, match=r"last.pth.*size mismatch for bank\.keypoints.*\[5, 3, 2\]"):
        load_networks(holder(4), {"algorithm": holder(5).state_dict()}, "last.pth")


def test_gather_without_other_ranks_changes_nothing():
    bank = ScoreBank(3, 3)
    bank.fill(torch.tensor([1]), *predictions(1), 5)
    before = bits(bank)
    bank.gather()
    assert bits(bank) == before


ROWS = 6
# rows and step of each rank's batches; row 3 is a tie, row 5 is never seen
BATCHES = {0: [([0, 1, 3], 4), ([1], 7)], 1: [([2, 3, 4], 4), ([0], 5), ([1], 6)]}


def batch_of(rank, step, count):
    keypoints, peaks = predictions(count, seed=100 * rank + step)
    peaks[:, 0] = -0.0
    return keypoints, peaks


def filled(rank):
    bank = ScoreBank(ROWS, 3)
    for rows, step in BATCHES[rank]:
        bank.fill(torch.tensor(rows), *batch_of(rank, step, len(rows)), step)
    return bank


def one_rank(rank, folder):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    bank = filled(rank)
    bank.gather()
    torch.save(bank.state_dict(), f"{folder}/first{rank}.pth")
    # a later epoch: rank 1 alone sees row 0 again
    if rank == 1:
        bank.fill(torch.tensor([0]), *batch_of(1, 9, 1), 9)
    bank.gather()
    torch.save(bank.state_dict(), f"{folder}/second{rank}.pth")
    dist.destroy_process_group()


def test_two_ranks_end_with_the_newest_of_both(tmp_path):
    mp.spawn(one_rank, (str(tmp_path),), nprocs=2)
    banks = {path.stem: ScoreBank(ROWS, 3) for path in tmp_path.glob("*.pth")}
    for name, bank in banks.items():
        bank.load_state_dict(torch.load(tmp_path / f"{name}.pth", weights_only=True))
    own = {rank: filled(rank) for rank in BATCHES}
    expected = ScoreBank(ROWS, 3)
    for row in range(ROWS):
        rank = max((0, 1), key=lambda r: (own[r].stamp[row].item(), -r))
        for name, value in expected.state_dict().items():
            value[row] = own[rank].state_dict()[name][row]
    assert expected.stamp.tolist() == [5, 7, 4, 4, 4, -1]
    assert bits(banks["first0"]) == bits(banks["first1"]) == bits(expected)
    expected.fill(torch.tensor([0]), *batch_of(1, 9, 1), 9)
    assert bits(banks["second0"]) == bits(banks["second1"]) == bits(expected)
