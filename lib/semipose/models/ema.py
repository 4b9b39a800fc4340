"""The exponential moving average of a student: its teacher."""

import copy

import torch
from torch import Tensor, nn

from semipose.codecs import Codec


class EmaTeacher(nn.Module):
    """An averaged copy of `student` in eval mode, without gradients (Tarvainen and Valpola, NeurIPS 2017).

    Update t = 0, 1, ... is teacher = d * teacher + (1 - d) * student with d = min(decay, (t+1)/(t+10)), so that early
    teachers forget the first weights fast. Floating-point buffers (BatchNorm statistics) are averaged too, integer
    buffers are copied. The averaged network itself is `module`.

    torch's AveragedModel does the same, but keeps its counter on the device and asks for its value at each update,
    which makes the CPU wait for the GPU several times a step.
    """

    def __init__(self, student: nn.Module, decay: float):
        super().__init__()
        self.module = copy.deepcopy(student).requires_grad_(False)
        self.decay, self.updates = decay, 0
        self.eval()

    def train(self, mode: bool = True) -> "EmaTeacher":
        """Stays in eval mode: train mode would let BatchNorm mix the images of a batch."""
        return super().train(False)

    @torch.no_grad()
    def update(self, student: nn.Module) -> None:
        """Move the average one step towards `student`."""
        decay = min(self.decay, (self.updates + 1) / (self.updates + 10))
        pairs = list(zip(_tensors(self.module), _tensors(student), strict=True))
        averaged = [pair for pair in pairs if pair[0].is_floating_point()]
        copied = [pair for pair in pairs if not pair[0].is_floating_point()]
        torch._foreach_lerp_([ours for ours, _ in averaged], [theirs for _, theirs in averaged], 1 - decay)
        if copied:
            torch._foreach_copy_([ours for ours, _ in copied], [theirs for _, theirs in copied])
        self.updates += 1

    @property
    def codec(self) -> Codec:
        """The codec of the averaged network."""
        return self.module.codec

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        return self.module(images)

    def get_extra_state(self) -> Tensor:
        return torch.tensor(self.updates)

    def set_extra_state(self, state: Tensor) -> None:
        self.updates = int(state)


def _tensors(network: nn.Module) -> list[Tensor]:
    return [*network.parameters(), *network.buffers()]
