"""Optimisers by name, and the learning rate of each update."""

import math
from dataclasses import dataclass

import torch

from semipose.engine.parameter_groups import GroupRule, ParameterGroup
from semipose.errors import ConfigError

OPTIMIZERS = ("adam", "adamw", "sgd")
SCHEDULES = ("step", "cosine", "constant")
DEVICE_SETTINGS = ("fused", "foreach")  # they depend on the device, so a checkpoint does not decide them


@dataclass(frozen=True)
class OptimizerSettings:
    """Attributes as in the TRAIN section; `milestones` and `warmup` are counted in updates of the phase.

    Attributes:
        fused: Adam in one kernel for all parameters. It takes half the time of a loop over them, on a CPU and on CUDA.
            Not for SGD: its kernel fails if a parameter gets its first gradient later than the others (torch 2.13).
    """

    optimizer: str = "adam"
    lr: float = 1e-3
    weight_decay: float = 0.0
    momentum: float = 0.9
    clip_norm: float = 0.0
    schedule: str = "step"
    milestones: tuple[int, ...] = ()
    factor: float = 0.1
    end: float = 0.02
    warmup: int = 0
    groups: tuple[GroupRule, ...] = ()
    no_decay_norm: bool = False
    layer_decay: float = 1.0
    accumulate: int = 1
    max_nonfinite: int = 3
    fused: bool = True

    def __post_init__(self):
        for key, value, known in (("OPTIMIZER", self.optimizer, OPTIMIZERS), ("SCHEDULE", self.schedule, SCHEDULES)):
            if value not in known:
                raise ConfigError(f"TRAIN.{key} is {value!r}; allowed: {', '.join(known)}")


def rate_factor(settings: OptimizerSettings, update: int, total: int) -> float:
    """The learning rate of `update` (from 0) as a share of `settings.lr`.

    Linear warm-up, times step decay, half a cosine from 1 to `end`, or nothing.
    """
    warm = min(1.0, (update + 1) / settings.warmup) if settings.warmup else 1.0
    if settings.schedule == "step":
        return warm * settings.factor ** sum(update >= m for m in settings.milestones)
    if settings.schedule == "cosine":
        progress = min(1.0, update / max(1, total - 1))
        return warm * (settings.end + (1 - settings.end) * (1 + math.cos(math.pi * progress)) / 2)
    return warm


def make_optimizer(settings: OptimizerSettings, groups: list[ParameterGroup]) -> torch.optim.Optimizer:
    """One optimiser whose groups are those of `groups`, in their order."""
    decay = settings.weight_decay
    parts = [{"params": group.parameters, "weight_decay": decay * group.decay} for group in groups]
    fused = settings.fused or None
    if settings.optimizer == "adam":
        return torch.optim.Adam(parts, lr=settings.lr, weight_decay=decay, fused=fused)
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(parts, lr=settings.lr, weight_decay=decay, fused=fused)
    return torch.optim.SGD(parts, lr=settings.lr, momentum=settings.momentum, weight_decay=decay)


def load_optimizer(optimizer: torch.optim.Optimizer, state: dict) -> None:
    """Put a checkpoint's state into `optimizer`, which may be on another kind of device than before."""
    pairs = zip(state["param_groups"], optimizer.param_groups)
    groups = [saved | {key: own[key] for key in DEVICE_SETTINGS} for saved, own in pairs]
    optimizer.load_state_dict(state | {"param_groups": groups})
