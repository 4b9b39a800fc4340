"""The training loop. One step is read here and in the algorithm's own file, nowhere else."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

from semipose.algorithms import Algorithm
from semipose.algorithms.algorithm import load_networks
from semipose.data.loaders import PairLoader
from semipose.engine.averages import Averages
from semipose.engine.checkpoint import CheckpointFolder, restore_rng_state, rng_state
from semipose.engine.collapse import CollapseAlarm
from semipose.engine.health import PseudoLabelHealth
from semipose.engine.interrupts import Interrupted, Interrupts
from semipose.engine.progress import Progress
from semipose.engine.stepper import Stepper
from semipose.engine.tracking import Tracker
from semipose.errors import ModelError
from semipose.evaluation import LOWER_IS_BETTER


@dataclass(frozen=True)
class TrainerOptions:
    """`epochs` to train; `eval_interval` in epochs; `print_freq` and `save_interval` in steps; `alternate` "epoch" or
    "step"; `best` the metric of best.pth. A `save_interval` of 0 saves at the end of an epoch only."""

    epochs: int
    eval_interval: int = 1
    print_freq: int = 50
    save_interval: int = 0
    alternate: str = "epoch"
    best: str = "AP"


class Trainer:
    """Trains an algorithm on batches. Each epoch has one pass over the loader for every phase of the algorithm.

    Attributes:
        step: optimiser steps done, over all phases.
        epoch: epochs finished (trained and evaluated).
        best: the best value so far of the metric `options.best`; None before the first evaluation.
    """

    def __init__(
        self, algorithm: Algorithm, loader: PairLoader, stepper: Stepper, validate: Callable[..., dict[str, float]],
        checkpoints: CheckpointFolder, tracker: Tracker, interrupts: Interrupts,
        on_faults: Callable[[tuple[str, ...]], None], health: PseudoLabelHealth, alarm: CollapseAlarm,
        options: TrainerOptions, config_yaml: str, data_key: str,
    ):  # fmt: skip
        self.algorithm, self.loader, self.stepper, self.validate = algorithm, loader, stepper, validate
        self.checkpoints, self.tracker, self.interrupts = checkpoints, tracker, interrupts
        self.on_faults, self.health, self.alarm, self.options = on_faults, health, alarm, options
        self.config_yaml, self.data_key = config_yaml, data_key
        self.device = next(algorithm.parameters()).device
        self.step, self.epoch, self.best = 0, 0, None
        self.epoch_steps = len(loader) * len(algorithm.phases)
        self.metrics: dict[str, float] = {}
        self._averages, self._epoch_averages = Averages(), Averages()

    def warm_up(self, epochs: int) -> None:
        """Train the first `epochs` epochs on labelled images only. Raises as `fit`."""
        self._train_until(min(epochs, self.options.epochs), unlabeled=False)

    def fit(self) -> dict[str, float]:
        """Train to the last epoch; returns the metrics of the last evaluation.

        Raises:
            Interrupted: a signal came; `last.pth` holds everything.
            DivergedError: the loss is not finite.
            CollapseError: the pseudo-labels have collapsed and the alarm is set to stop the run.
        """
        self._train_until(self.options.epochs, unlabeled=self.algorithm.recipe.weights.unlabeled)
        return self.metrics

    def _train_until(self, epochs: int, unlabeled: bool) -> None:
        self.algorithm.train()
        try:
            while self.epoch < epochs:
                self._train_epoch(unlabeled)
                self._finish_epoch()
        except Interrupted:
            self.checkpoints.save_last(self.state_dict())
            raise

    def _train_epoch(self, unlabeled: bool) -> None:
        done = self.step - self.epoch * self.epoch_steps
        options = self.options
        progress = Progress(self.epoch_steps, done, self.epoch + 1, options.epochs, options.print_freq)
        for number in range(len(self.algorithm.phases)):
            start = max(0, done - number * len(self.loader))
            if start < len(self.loader):
                self._train_pass(number, start, unlabeled, progress)
        progress.close()

    def _train_pass(self, number: int, start: int, unlabeled: bool, progress: Progress) -> None:
        clock = time.perf_counter()
        batches = self.loader.batches(self.epoch * len(self.algorithm.phases) + number, start, unlabeled)
        for position, batch in enumerate(batches, start):
            data_time = time.perf_counter() - clock
            self.on_faults(batch.labeled.faults + (batch.unlabeled.faults if batch.unlabeled else ()))
            phase = self._phase(number, position)
            lr = self.stepper.lr(phase)
            output = self.algorithm(batch.to(self.device), self.step, phase)
            self.stepper.step(phase, output.loss, self.step)
            self.algorithm.after_step(phase)
            self.step += 1
            self._log_step(output.logs, lr)
            done = self.step - self.epoch * self.epoch_steps
            progress.update(done, {"lr": lr} | output.logs, data_time, time.perf_counter() - clock)
            self.interrupts.check()
            if self.options.save_interval and self.step % self.options.save_interval == 0:
                self.checkpoints.save_last(self.state_dict())
            clock = time.perf_counter()

    def _phase(self, number: int, position: int) -> str:
        """Phases take turns by pass, or by step; either way each gets as many steps."""
        phases = self.algorithm.phases
        return phases[number if self.options.alternate == "epoch" else (number + position) % len(phases)]

    def _finish_epoch(self) -> None:
        """Evaluate (a signal may stop that, and a resumed run repeats it), then close the books of the epoch."""
        last = self.epoch + 1 == self.options.epochs
        evaluated = last or (self.epoch + 1) % self.options.eval_interval == 0
        if evaluated:
            self.metrics = self.validate(self.algorithm.predictors(), self.algorithm.main_predictors())
        splits, losses = self.algorithm.after_epoch(), self._epoch_averages.take()
        first_step = self.step - self.epoch_steps
        health = self._health(first_step)
        for name, split in splits.items():
            self.tracker.log_split(self.epoch + 1, self.step, name, split)
        if evaluated or health:
            self.tracker.log_epoch(self.epoch + 1, self.step, (self.metrics if evaluated else {}) | health)
        self.epoch += 1
        if self._is_better(self.metrics.get(self.options.best)):
            self.best = self.metrics[self.options.best]
            self.checkpoints.save_best(self.result_state())
        try:
            self.alarm.check(self.epoch, self.algorithm.recipe.ramp(first_step), health, losses)
        finally:
            self.checkpoints.save_last(self.state_dict())

    def _is_better(self, value: float | None) -> bool:
        if value is None or value < 0:  # -1: nothing is labelled
            return False
        lower = self.options.best.rpartition("/")[2] in LOWER_IS_BETTER
        return self.best is None or (value < self.best if lower else value > self.best)

    def _health(self, first_step: int) -> dict[str, float]:
        records = self.algorithm.records
        banks = {name: record.bank for name, record in records.items()}
        return self.health.report(banks, {name: record.difficulty for name, record in records.items()}, first_step)

    def _log_step(self, logs: dict[str, torch.Tensor], lr: float) -> None:
        self._averages.add(logs)
        self._epoch_averages.add(logs)
        if self.step % self.options.print_freq == 0 or self.step % self.epoch_steps == 0:
            self.tracker.log_step(self.step, self._averages.take() | {"lr": lr})

    def summary(self) -> dict[str, float]:
        """The last metrics and the best value of the metric of best.pth; empty before the first evaluation."""
        best = {} if self.best is None else {f"best_{self.options.best}": self.best}
        return {**self.metrics, **best} if self.metrics else {}

    def result_state(self) -> dict:
        """What `valid.py` needs: networks, configuration, metrics."""
        return {
            "algorithm": self.algorithm.state_dict(), "config": self.config_yaml, "epoch": self.epoch,
            "step": self.step, "best": self.best, "best_metric": self.options.best, "metrics": dict(self.metrics),
        }  # fmt: skip

    def state_dict(self) -> dict:
        """All that a run needs to go on as if it had never stopped."""
        return self.result_state() | {
            "stepper": self.stepper.state_dict(), "rng": rng_state(), "averages": self._averages.state_dict(),
            "epoch_averages": self._epoch_averages.state_dict(), "alarm": self.alarm.state_dict(),
            "records": {name: record.state_dict() for name, record in self.algorithm.records.items()},
            "epoch_steps": self.epoch_steps, "data_key": self.data_key, "wandb_run_id": self.tracker.wandb_run_id,
        }  # fmt: skip

    def load_state_dict(self, state: dict, source: str) -> None:
        """Go on from a state of `state_dict`; raises ModelError, naming `source`, if it is of another model."""
        if state["epoch_steps"] != self.epoch_steps:
            raise ModelError(
                f"{source}: an epoch had {state['epoch_steps']} steps, now it has {self.epoch_steps}; "
                "the data or batch sizes have changed, start a new run"
            )
        if state["data_key"] != self.data_key:
            raise ModelError(f"{source}: the training data have changed since this run began, start a new run")
        load_networks(self.algorithm, state, source)
        self.stepper.load_state_dict(state["stepper"])
        restore_rng_state(state["rng"])
        self.step, self.epoch = state["step"], state["epoch"]
        self.best = state["best"] if state["best_metric"] == self.options.best else None
        self.metrics = dict(state["metrics"])
        self._averages.load_state_dict(state["averages"])
        self._epoch_averages.load_state_dict(state["epoch_averages"])
        self.alarm.load_state_dict(state["alarm"])
        for name, record in self.algorithm.records.items():
            record.load_state_dict(state["records"][name])
