"""What a run will take on this machine, from a few of its steps."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import cycle, islice

from semipose.engine.trainer import Trainer
from semipose.runtime.ranks import highest, ranks
from semipose.structures import PairBatch
from semipose.timing import waiter
from semipose.tracking.progress import peak_memory_mb

TIMED = 4  # steps, after one that is not timed
LONGEST = 10.0  # seconds of the untimed step from which one more has to do


@dataclass(frozen=True)
class Estimate:
    """What was measured, and what follows from it.

    Attributes:
        step, labeled_step: seconds of a step with all losses, and of one before the unlabelled losses start (0: there
            is none).
        evaluation: seconds of the networks in one evaluation.
        whole: seconds of all steps and evaluations.
        memory_mb: the most that was in use: tensors on a GPU, or what this process held in memory.
    """

    step: float
    labeled_step: float
    evaluation: float
    whole: float
    memory_mb: float

    def __str__(self) -> str:
        early = f", {self.labeled_step:.2f} s before the unlabelled losses start" if self.labeled_step else ""
        scored = f", {self.evaluation:.1f} s an evaluation" if self.evaluation else ""
        memory = f"{self.memory_mb:.0f} MB" + (f" in each of {ranks()} processes" if ranks() > 1 else "")
        return (
            f"about {timedelta(seconds=round(self.whole))} on this machine: {self.step:.2f} s a step{early}{scored}; "
            f"memory {memory} (measured on a few steps and a batch of validation)"
        )


def estimate(trainer: Trainer, warm_epochs: int = 0) -> Estimate:
    """Make some steps and look at one validation batch of each set. The trainer cannot be used for a run afterwards.

    Args:
        warm_epochs: epochs on labels only.
    """
    options, algorithm = trainer.options, trainer.algorithm
    total = options.epochs * trainer.epoch_steps
    early = min(options.epochs, warm_epochs) * trainer.epoch_steps
    early = max(early, sum(algorithm.unlabeled_factor(step) == 0 for step in range(total)))
    takes = algorithm.takes_unlabeled and early < total
    algorithm.train()
    labeled = _seconds_of_a_step(trainer, 0, unlabeled=not warm_epochs and takes) if early and takes else 0.0
    step = _seconds_of_a_step(trainer, total - 1, takes)
    evaluation = _seconds_of_an_evaluation(trainer)
    count = -(-options.epochs // options.eval_interval)
    early = early if labeled else 0
    whole = early * labeled + (total - early) * step + count * evaluation
    return Estimate(step, labeled, evaluation, whole, peak_memory_mb(trainer.device))


def _seconds_of_a_step(trainer: Trainer, step: int, unlabeled: bool) -> float:
    """The mean over some steps, each as if it were step number `step` of the run."""
    batches = _batches(trainer, unlabeled)
    phase, began = cycle(trainer.algorithm.phases), time.perf_counter()
    _step(trainer, next(batches), step, next(phase))
    count = 1 if highest(int(time.perf_counter() - began > LONGEST)) else TIMED
    began = time.perf_counter()
    for batch in islice(batches, count):
        _step(trainer, batch, step, next(phase))
    return (time.perf_counter() - began) / count


def _batches(trainer: Trainer, unlabeled: bool) -> Iterator[PairBatch]:
    """Batches without end: an epoch may have one."""
    epoch = 0
    while True:
        yield from trainer.loader.batches(epoch, 0, unlabeled)
        epoch += 1


def _step(trainer: Trainer, batch: PairBatch, step: int, phase: str) -> None:
    with trainer.stepper.forward_pass(phase):
        output = trainer.forward(batch.to(trainer.device), step, phase)
    trainer.stepper.step(phase, output.loss, step)
    trainer.algorithm.after_step(phase)
    waiter(trainer.device)()


def _seconds_of_an_evaluation(trainer: Trainer) -> float:
    """From one batch of each set."""
    validator, algorithm, seconds = trainer.validate, trainer.algorithm, 0.0
    for entry in validator.sets.values():
        batch = list(islice(entry.loader, 1))
        began = time.perf_counter()
        validator.predict(replace(entry, loader=batch), algorithm.predictors(), algorithm.main_predictors())
        seconds += (time.perf_counter() - began) * len(entry.loader)
    return seconds
