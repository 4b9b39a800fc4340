"""The exponential moving average of a student: its teacher."""

from functools import partial

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


class EmaTeacher(AveragedModel):
    """An averaged copy of `student` in eval mode, without gradients (Tarvainen and Valpola, NeurIPS 2017).

    Update t = 0, 1, ... is teacher = d * teacher + (1 - d) * student with d = min(decay, (t+1)/(t+10)), so that early
    teachers forget the first weights fast. Floating-point buffers (BatchNorm statistics) are averaged too, integer
    buffers are copied. The averaged network itself is `module`.
    """

    def __init__(self, student: nn.Module, decay: float):
        super().__init__(student, multi_avg_fn=partial(_average, decay=decay), use_buffers=True)
        self.n_averaged.fill_(1)  # the copy just made counts as one; at 0 the first update would copy once more
        self.requires_grad_(False)
        self.eval()

    def train(self, mode: bool = True) -> "EmaTeacher":
        """Stays in eval mode: train mode would let BatchNorm mix the images of a batch."""
        return super().train(False)

    def update(self, student: nn.Module) -> None:
        """Move the average one step towards `student`."""
        self.update_parameters(student)

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        return self.module(images)


@torch.no_grad()
def _average(teacher: list[Tensor], student: list[Tensor], n_averaged: Tensor, decay: float) -> None:
    """Called by AveragedModel with tensors of one dtype; `n_averaged` is t + 1."""
    if not teacher[0].is_floating_point():
        for ours, theirs in zip(teacher, student):
            ours.copy_(theirs)
        return
    n = float(n_averaged)
    get_ema_multi_avg_fn(min(decay, n / (n + 9)))(teacher, student, n_averaged)
