"""Optimisers and learning-rate schedules, one of each for every phase of an algorithm."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from semipose.errors import ConfigError, DivergedError

OPTIMIZERS = ("adam", "adamw", "sgd")
SCHEDULES = ("step", "cosine", "constant")


@dataclass(frozen=True)
class OptimizerSettings:
    """Attributes as in the TRAIN section; `milestones` are counted in steps of the phase."""

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


def rate_factor(settings: OptimizerSettings, step: int, total: int) -> float:
    """The learning rate of `step` (from 0) as a share of `settings.lr`.

    Linear warm-up, times step decay, half a cosine from 1 to `end`, or nothing.
    """
    warm = min(1.0, (step + 1) / settings.warmup) if settings.warmup else 1.0
    if settings.schedule == "step":
        return warm * settings.factor ** sum(step >= m for m in settings.milestones)
    if settings.schedule == "cosine":
        progress = min(1.0, step / max(1, total - 1))
        return warm * (settings.end + (1 - settings.end) * (1 + math.cos(math.pi * progress)) / 2)
    return warm


class Stepper:
    """Turns losses into updates.

    Args:
        learners: networks that each phase moves.
        total: steps of each phase in the whole run.

    Raises:
        ConfigError: unknown optimiser or schedule.
    """

    def __init__(self, learners: dict[str, list[nn.Module]], settings: OptimizerSettings, total: int):
        if settings.schedule not in SCHEDULES:
            raise ConfigError(f"TRAIN.SCHEDULE is {settings.schedule!r}; allowed: {', '.join(SCHEDULES)}")
        self.settings = settings
        self._parameters = {phase: [p for net in nets for p in net.parameters()] for phase, nets in learners.items()}
        self._optimizers = {phase: _make_optimizer(settings, p) for phase, p in self._parameters.items()}
        self._steps = dict.fromkeys(learners, 0)
        self._total = total

    def lr(self, phase: str) -> float:
        """Learning rate of the next step of `phase`."""
        return self.settings.lr * rate_factor(self.settings, self._steps[phase], self._total)

    def step(self, phase: str, loss: Tensor, step: int) -> None:
        """Backward, clip, update. Raises DivergedError, naming the step, if the loss is not finite."""
        optimizer = self._optimizers[phase]
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        # asked for only now, so that a GPU has the backward pass to do while the CPU waits
        if not math.isfinite(loss.item()):
            raise DivergedError(f"the loss is {loss.item()} at step {step} (phase {phase}); a lower TRAIN.LR may help")
        if self.settings.clip_norm > 0:
            torch.nn.utils.clip_grad_norm_(self._parameters[phase], self.settings.clip_norm)
        for group in optimizer.param_groups:
            group["lr"] = self.lr(phase)
        optimizer.step()
        self._steps[phase] += 1

    def state_dict(self) -> dict:
        optimizers = {phase: optimizer.state_dict() for phase, optimizer in self._optimizers.items()}
        return {"optimizers": optimizers, "steps": dict(self._steps)}

    def load_state_dict(self, state: dict) -> None:
        for phase, optimizer in self._optimizers.items():
            optimizer.load_state_dict(state["optimizers"][phase])
        self._steps = dict(state["steps"])


def _make_optimizer(settings: OptimizerSettings, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    if settings.optimizer == "adam":
        return torch.optim.Adam(parameters, lr=settings.lr, weight_decay=settings.weight_decay)
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(parameters, lr=settings.lr, weight_decay=settings.weight_decay)
    if settings.optimizer == "sgd":
        return torch.optim.SGD(
            parameters, lr=settings.lr, momentum=settings.momentum, weight_decay=settings.weight_decay
        )
    raise ConfigError(f"TRAIN.OPTIMIZER is {settings.optimizer!r}; allowed: {', '.join(OPTIMIZERS)}")
