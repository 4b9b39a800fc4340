"""Automatic mixed precision: networks compute in 16 bits, the rest (views, losses, heatmaps, EMA) in float32."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn

from semipose.errors import ConfigError
from semipose.models.pose_network import PoseNetwork

AMP = {"off": None, "bf16": torch.bfloat16, "fp16": torch.float16}


class Precision:
    """The number type of the forward passes in training, and the loss scaling that float16 needs.

    Args:
        name: key of `AMP`.
        device: of the networks.
        module: its pose networks compute in this type, students and teachers.

    Raises:
        ConfigError: unknown name, or the device cannot do it.
    """

    def __init__(self, name: str = "off", device: torch.device | None = None, module: nn.Module | None = None):
        device = device or torch.device("cpu")
        if name not in AMP:
            raise ConfigError(f"TRAIN.AMP is {name!r}; allowed: {', '.join(AMP)}")
        if name == "fp16" and device.type == "cpu":
            raise ConfigError("TRAIN.AMP is 'fp16', which needs a GPU; allowed on a CPU: off, bf16")
        if name == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
            raise ConfigError("TRAIN.AMP is 'bf16', which this GPU does not have; allowed: off, fp16")
        self.dtype = AMP[name]
        self.scaler = torch.amp.GradScaler(device.type, enabled=name == "fp16")
        mixed = module is not None and self.dtype is not None
        self._networks = [m for m in module.modules() if isinstance(m, PoseNetwork)] if mixed else []

    @contextmanager
    def forward_pass(self) -> Iterator[None]:
        """While it lasts, the networks compute in this precision; outside, as in evaluation, in float32."""
        with ExitStack() as stack:
            for network in self._networks:
                stack.enter_context(network.computing_in(self.dtype))
            yield

    def backward(self, loss: Tensor, optimizer: torch.optim.Optimizer) -> None:
        """Gradients of `loss` in the parameters of `optimizer`; a loss scale is taken out of them again."""
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(optimizer)
        self.scaler.update()

    def can_scale_down(self) -> bool:
        """Whether a gradient that is not finite may come from the loss scale, which is halved after each such step."""
        return self.scaler.is_enabled() and self.scaler.get_scale() >= 1
