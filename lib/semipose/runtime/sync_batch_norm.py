"""BatchNorm over the rows of all ranks: what it computes is what one process computes for the joined batch."""

import torch
import torch.distributed as dist
from torch import Tensor, nn


class SumOverRanks(torch.autograd.Function):
    """The sum of a tensor over all ranks; so is its gradient."""

    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:
        total = x.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx, gradient: Tensor) -> Tensor:
        total = gradient.clone()
        dist.all_reduce(total)
        return total


class CpuSyncBatchNorm(nn.BatchNorm2d):
    """What torch's SyncBatchNorm, which is for GPUs only, does on a GPU; to show that ranks equal one process."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not dist.is_initialized():
            return super().forward(x)
        sum_over_ranks, x = SumOverRanks.apply, x.float()
        count = sum_over_ranks(torch.tensor([x.numel() / x.shape[1]]))
        mean = sum_over_ranks(x.sum((0, 2, 3))) / count
        centred = x - mean.view(1, -1, 1, 1)
        variance = sum_over_ranks(centred.square().sum((0, 2, 3))) / count
        self._follow(mean.detach(), variance.detach() * count / (count - 1))
        factor = self.weight * (variance + self.eps).rsqrt()
        return centred * factor.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)
        self.num_batches_tracked.add_(1)


SYNCED = (nn.SyncBatchNorm, CpuSyncBatchNorm)


def sync_batch_norm(module: nn.Module) -> None:
    """Replace every BatchNorm2d inside `module`, on its device, by one with the same tensors that sees all ranks."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, _synced(child))
        else:
            sync_batch_norm(child)


def _synced(norm: nn.BatchNorm2d) -> nn.Module:
    kind = nn.SyncBatchNorm if norm.weight.is_cuda else CpuSyncBatchNorm
    synced = kind(norm.num_features, norm.eps, norm.momentum).train(norm.training)
    synced.weight, synced.bias = norm.weight, norm.bias
    for name, buffer in norm.named_buffers():
        setattr(synced, name, buffer)
    return synced
