"""From losses to updates: scale, backward, unscale, check, accumulate, clip, step; one optimiser for every phase."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from semipose.engine.accumulation import GradientSums
from semipose.engine.nonfinite import BufferSnapshot, all_finite
from semipose.engine.optimizers import OptimizerSettings, load_optimizer, make_optimizer, rate_factor
from semipose.engine.parameter_groups import make_groups
from semipose.engine.precision import Precision
from semipose.errors import DivergedError
from semipose.timing import timed

logger = logging.getLogger(__name__)

# outcomes of a step
UPDATED, ACCUMULATED, SKIPPED = "updated", "accumulated", "skipped"


class Stepper:
    """Turns losses into updates.

    A step whose loss or gradient is not finite is skipped: the networks and their BatchNorm statistics stay as they
    were. With several ranks, all skip the step if one does.

    Args:
        learners: networks that each phase moves.
        total: updates of each phase in the whole run.
        precision: of the forward passes.

    Attributes:
        skipped: steps skipped so far.

    Raises:
        ConfigError: a rule for parameters that are not there, or nothing to learn.
    """

    def __init__(
        self, learners: dict[str, list[nn.Module]], settings: OptimizerSettings, total: int,
        precision: Precision | None = None,
    ):  # fmt: skip
        self.settings, self.precision = settings, precision or Precision()
        every = [module for modules in learners.values() for module in modules]
        self._phases = {phase: _Phase(modules, settings, every) for phase, modules in learners.items()}
        self._total = total
        self.skipped, self._in_a_row = 0, 0

    def lr(self, phase: str) -> float:
        """Learning rate of the next update of `phase`, where its factor is 1."""
        return self.settings.lr * rate_factor(self.settings, self._phases[phase].updates, self._total)

    @contextmanager
    def forward_pass(self, phase: str) -> Iterator[None]:
        """Put it around the forward pass that belongs to `step`."""
        self._phases[phase].buffers.take()
        with self.precision.forward_pass():
            yield

    @timed("optimiser")
    def step(self, phase: str, loss: Tensor, step: int) -> str:
        """Learn from a loss.

        Returns:
            UPDATED, ACCUMULATED (the update comes in a later step), or SKIPPED.

        Raises:
            DivergedError: more than `settings.max_nonfinite` steps in a row were not finite; names the step.
        """
        part = self._phases[phase]
        part.optimizer.zero_grad(set_to_none=True)
        accumulates = self.settings.accumulate > 1
        with timed("backward"):
            self.precision.backward(loss / self.settings.accumulate if accumulates else loss, part.optimizer)
        norm = part.gradient_norm()
        # checked only now, so that a GPU has the backward pass to do while the CPU waits
        if not all_finite(loss, norm):
            self._skip(part, loss, step, phase)
            return SKIPPED
        part.buffers.drop()
        self._in_a_row = 0
        if accumulates:
            part.sums.add()
            if part.sums.count < self.settings.accumulate:
                return ACCUMULATED
            part.sums.apply()
        self._update(part, part.gradient_norm() if accumulates else norm, self.lr(phase))
        return UPDATED

    def logs(self) -> dict[str, float]:
        """What to log beside the losses: the number of skipped steps, once there are any."""
        return {"skipped_steps": float(self.skipped)} if self.skipped else {}

    def state_dict(self) -> dict:
        phases = self._phases.items()
        return {
            "optimizers": {phase: part.optimizer.state_dict() for phase, part in phases},
            "updates": {phase: part.updates for phase, part in phases},
            "sums": {phase: part.sums.state_dict() for phase, part in phases},
            "scaler": self.precision.scaler.state_dict(), "skipped": self.skipped, "in_a_row": self._in_a_row,
        }  # fmt: skip

    def load_state_dict(self, state: dict) -> None:
        for phase, part in self._phases.items():
            load_optimizer(part.optimizer, state["optimizers"][phase])
            part.updates = state["updates"][phase]
            part.sums.load_state_dict(state["sums"][phase])
        self.precision.scaler.load_state_dict(state["scaler"])
        self.skipped, self._in_a_row = state["skipped"], state["in_a_row"]

    def _update(self, part: "_Phase", norm: Tensor, lr: float) -> None:
        if self.settings.clip_norm > 0:
            clip_grads_with_norm_(part.parameters, self.settings.clip_norm, norm)
        for group, factor in zip(part.optimizer.param_groups, part.factors, strict=True):
            group["lr"] = lr * factor
        part.optimizer.step()
        part.updates += 1

    def _skip(self, part: "_Phase", loss: Tensor, step: int, phase: str) -> None:
        """Undo the step, and stop where that has happened too often."""
        part.optimizer.zero_grad(set_to_none=True)
        part.buffers.restore()
        self.skipped += 1
        finite = all_finite(loss, loss)
        if finite and self.precision.can_scale_down():
            logger.info("step %d (phase %s) is skipped, the loss scale is lowered", step, phase)
            return
        self._in_a_row += 1
        what = "the gradient is not finite" if finite else f"the loss is {loss.item()}"
        if self._in_a_row > self.settings.max_nonfinite:
            raise DivergedError(
                f"{what} at step {step} (phase {phase}), {self._in_a_row} in a row; a lower TRAIN.LR may help"
            )
        most = self.settings.max_nonfinite
        logger.warning("%s at step %d (phase %s); skipped, %d of %d in a row", what, step, phase, self._in_a_row, most)


class _Phase:
    """What one phase learns with."""

    def __init__(self, modules: Sequence[nn.Module], settings: OptimizerSettings, every: Sequence[nn.Module]):
        groups = make_groups(modules, settings.groups, settings.no_decay_norm, settings.layer_decay, every)
        self.optimizer = make_optimizer(settings, groups)
        self.factors = [group.lr for group in groups]
        self.parameters = [p for net in modules for p in net.parameters() if p.requires_grad]
        self.buffers, self.sums, self.updates = BufferSnapshot(modules), GradientSums(self.parameters), 0

    def gradient_norm(self) -> Tensor:
        """Scalar, of all parameters together."""
        return get_total_norm([p.grad for p in self.parameters if p.grad is not None])
