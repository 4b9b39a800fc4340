"""The newest prediction of a teacher for each unlabelled person, kept from the passes that training makes anyway."""

import torch
import torch.distributed as dist
from torch import Tensor, nn

NEVER = -1


class ScoreBank(nn.Module):
    """One row for each person of the unlabelled data set. All tensors are buffers, so a checkpoint keeps them.

    Under DDP use `broadcast_buffers=False` (or ignore these buffers): a broadcast would replace what the other ranks
    have seen by the bank of rank 0.

    Attributes:
        keypoints: (N, K, 2) float32, base-crop pixels.
        peaks: (N, K) float32, heatmap maxima.
        stamp: (N,) int64, step of the newest prediction; -1 = never seen.
    """

    def __init__(self, size: int, joints: int):
        super().__init__()
        self.register_buffer("keypoints", torch.zeros(size, joints, 2))
        self.register_buffer("peaks", torch.zeros(size, joints))
        self.register_buffer("stamp", torch.full((size,), NEVER))

    @torch.no_grad()
    def fill(self, index: Tensor, keypoints: Tensor, peaks: Tensor, step: int) -> None:
        """Keep the predictions of one batch. Nothing leaves the device.

        Args:
            index: (B,) int64, rows; where a row comes twice, the later one in the batch is kept.
            keypoints: (B, K, 2) base-crop pixels, in the joint order of the base crop.
            peaks: (B, K) heatmap maxima, in the joint order of the base crop.
            step: of the training run.
        """
        newest = _last_of_each(index)
        self.keypoints[index] = keypoints.detach().to(self.keypoints.dtype)[newest]
        self.peaks[index] = peaks.detach().to(self.peaks.dtype)[newest]
        self.stamp.index_fill_(0, index, step)

    def seen(self) -> Tensor:
        """(N,) bool, true for the persons that have a prediction."""
        return self.stamp > NEVER

    @torch.no_grad()
    def gather(self) -> None:
        """Give every rank the newest entries of all ranks; of equally new ones that of the lowest rank.

        Every rank must call it at the same place. Without torch.distributed it does nothing.
        """
        if not (dist.is_available() and dist.is_initialized()) or dist.get_world_size() == 1:
            return
        newest = self.stamp.clone()
        dist.all_reduce(newest, dist.ReduceOp.MAX)
        rank = dist.get_rank()
        owner = torch.where(self.stamp == newest, rank, dist.get_world_size())
        dist.all_reduce(owner, dist.ReduceOp.MIN)
        for values in (self.keypoints, self.peaks):
            _take_from_owner(values, owner == rank)
        self.stamp.copy_(newest)


def _last_of_each(index: Tensor) -> Tensor:
    """(B,) for each place of a batch the last place that holds the same row.

    Equal rows then write equal values: an assignment with repeated rows is otherwise in no defined order.
    """
    places = torch.arange(len(index), device=index.device)
    return torch.where(index.unsqueeze(1) == index, places, 0).amax(1)


def _take_from_owner(values: Tensor, mine: Tensor) -> None:
    """Replace (N, ...) `values` on each rank by those of the one rank where `mine` (N,) is true.

    Integers are summed, since a float sum would turn -0.0 to 0.0: the owner keeps its bank bit for bit.
    """
    shape = (-1,) + (1,) * (values.dim() - 1)
    bits = torch.where(mine.view(shape), values.view(torch.int32), 0)
    dist.all_reduce(bits)
    values.copy_(bits.view(values.dtype))
