"""The training loop. To read one step, read this file and that of the algorithm."""

import logging
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import astuple, dataclass, field

import torch

from semipose.algorithms import Algorithm
from semipose.algorithms.algorithm import load_networks
from semipose.data.loaders import PairLoader
from semipose.engine.checkpoint import CheckpointFolder, restore_rng_state, rng_state
from semipose.engine.nonfinite import keep_batch
from semipose.engine.stepper import SKIPPED, UPDATED, Stepper
from semipose.errors import DivergedError, ModelError
from semipose.evaluation import LOWER_IS_BETTER
from semipose.pseudo_labels.health import PseudoLabelHealth
from semipose.runtime.ranks import average_statistics, barrier, gather, is_first, over_ranks, rank, ranks
from semipose.runtime.signals import Interrupted, Interrupts
from semipose.structures import PairBatch, StepOutput
from semipose.timing import TimeAccount, each, format_seconds, timed, waiter
from semipose.tracking.accuracy import PoseAccuracy
from semipose.tracking.averages import Averages
from semipose.tracking.progress import Progress
from semipose.tracking.tracker import Tracker

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainerOptions:
    """`epochs` to train; `eval_interval` in epochs; `print_freq` and `save_interval` in steps; `alternate` "epoch" or
    "step"; `best` the metric of best.pth, "" without validation. A `save_interval` of 0 saves at the end of an epoch
    only. Above 0, `patience` is the number of epochs without a better `best` after which the run ends. With `profile`,
    the log says after each epoch where its seconds went."""

    epochs: int
    eval_interval: int = 1
    print_freq: int = 50
    save_interval: int = 0
    alternate: str = "epoch"
    best: str = "AP"
    patience: int = 0
    profile: bool = False


@dataclass(frozen=True)
class RunRecord:
    """Where a run is recorded, and what each of its checkpoints says about it.

    Attributes:
        config_yaml, data_key: the whole configuration, and a fingerprint of the training data.
        seed: of the views.
        skeleton: of the networks, as `Skeleton.to_plain`; the skeleton's file may be gone later.
    """

    checkpoints: CheckpointFolder
    tracker: Tracker
    config_yaml: str = ""
    data_key: str = ""
    seed: int = 0
    skeleton: dict = field(default_factory=dict)


class Trainer:
    """Trains an algorithm on batches. Each epoch has one pass over the loader for every phase of the algorithm.

    Attributes:
        step: optimiser steps done, over all phases.
        epoch: epochs finished (trained and evaluated).
        best: the best value so far of the metric `options.best`; None before the first evaluation.
        best_epoch: the epoch of `best`.
    """

    def __init__(
        self, algorithm: Algorithm, loader: PairLoader, stepper: Stepper, validate: Callable[..., dict[str, float]],
        health: PseudoLabelHealth, record: RunRecord, interrupts: Interrupts, options: TrainerOptions,
    ):  # fmt: skip
        self.algorithm, self.loader, self.stepper, self.validate = algorithm, loader, stepper, validate
        self.health, self.record, self.interrupts, self.options = health, record, interrupts, options
        self.device = next(algorithm.parameters()).device
        self.forward = over_ranks(algorithm, find_unused=algorithm.has_idle_parameters)
        self.step, self.epoch, self.best, self.best_epoch = 0, 0, None, 0
        self._warm_epochs = 0
        self.epoch_steps = len(loader) * len(algorithm.phases)
        self.metrics: dict[str, float] = {}
        self._averages, self._epoch_averages = Averages(), Averages()
        self._account = TimeAccount(waiter(self.device)) if options.profile else None

    def warm_up(self, epochs: int) -> None:
        """Train the first `epochs` epochs on labelled images only. Raises as `fit`."""
        self._warm_epochs = epochs
        self._train_until(min(epochs, self.options.epochs), unlabeled=False)

    def fit(self) -> dict[str, float]:
        """Train to the last epoch, or as long as patience lasts; returns the metrics of the last evaluation.

        Raises:
            Interrupted: a signal came; `last.pth` holds everything.
            DivergedError: loss or gradient were not finite too often in a row; `last.pth` holds the state just before.
            CollapseError: the pseudo-labels have collapsed and the alarm is set to stop the run.
        """
        self._train_until(self.options.epochs, unlabeled=self.algorithm.takes_unlabeled)
        return self.metrics

    def _train_until(self, epochs: int, unlabeled: bool) -> None:
        self.algorithm.train()
        try:
            with self._account or nullcontext():
                while self.epoch < epochs and not self._is_out_of_patience():
                    self._train_epoch(unlabeled)
                    self._finish_epoch()
                    if self._account:
                        logger.info("time of epoch %d, %s", self.epoch, format_seconds(self._account.take()))
        except Interrupted:
            self._save()
            raise

    def _is_out_of_patience(self) -> bool:
        """After an evaluation: whether the best value is too old. Epochs on labels only do not count."""
        options, since = self.options, max(self.best_epoch, self._warm_epochs)
        if not options.patience or self.best is None or self.epoch % options.eval_interval:
            return False
        if self.epoch - since < options.patience:
            return False
        text = "stopped early after epoch %d: no better %s since epoch %d (TRAIN.PATIENCE %d)"
        logger.info(text, self.epoch, options.best, self.best_epoch, options.patience)
        return True

    def _train_epoch(self, unlabeled: bool) -> None:
        done = self.step - self.epoch * self.epoch_steps
        options = self.options
        progress = Progress(
            self.epoch_steps, done, self.epoch + 1, options.epochs, options.print_freq, self.device,
            terminal=None if is_first() else False,
        )  # fmt: skip
        for number in range(len(self.algorithm.phases)):
            start = max(0, done - number * len(self.loader))
            if start < len(self.loader):
                self._train_pass(number, start, unlabeled, progress)
        progress.close()

    def _train_pass(self, number: int, start: int, unlabeled: bool, progress: Progress) -> None:
        clock = time.perf_counter()
        batches = self.loader.batches(self.epoch * len(self.algorithm.phases) + number, start, unlabeled)
        for position, batch in enumerate(each("loading", batches), start):
            data_time = time.perf_counter() - clock
            phase = self._phase(number, position)
            lr = self.stepper.lr(phase)
            with timed("loading"):
                on_device = batch.to(self.device)
            with self.stepper.forward_pass(phase):
                output = self.forward(on_device, self.step, phase)
            logs = self._learn(phase, output, batch)
            self.step += 1
            with timed("logging"):
                shown = {"acc_pose": PoseAccuracy(output.labeled)} if output.labeled else {}
                self._log_step(logs, shown | {"lr": lr} | self.stepper.logs())
                done = self.step - self.epoch * self.epoch_steps
                step_time = time.perf_counter() - clock
                progress.update(done, output.logs, data_time, step_time)
            self.interrupts.check()
            if self.options.save_interval and self.step % self.options.save_interval == 0:
                self._save()
            clock = time.perf_counter()

    def _learn(self, phase: str, output: StepOutput, batch: PairBatch) -> dict[str, torch.Tensor]:
        """Update the networks; returns the losses for the means that are logged, {} for a skipped step."""
        try:
            outcome = self.stepper.step(phase, output.loss, self.step)
        except DivergedError as error:
            self._save()
            raise keep_batch(
                self.record.checkpoints.folder, error, batch, self.loader.ids(batch), output.logs, self.step, phase,
                self.record.seed,
            ) from error  # fmt: skip
        if outcome != SKIPPED:
            average_statistics(self.algorithm.learners(phase))
        if outcome == UPDATED:
            with timed("EMA"):
                self.algorithm.after_step(phase)
        return {} if outcome == SKIPPED else output.logs

    def _phase(self, number: int, position: int) -> str:
        """Phases take turns by pass or by step; each gets equally many steps."""
        phases = self.algorithm.phases
        return phases[number if self.options.alternate == "epoch" else (number + position) % len(phases)]

    def _finish_epoch(self) -> None:
        """Evaluate, then record the epoch. A signal may stop the evaluation; the resumed run repeats it."""
        last = self.epoch + 1 == self.options.epochs
        evaluated = last or (self.epoch + 1) % self.options.eval_interval == 0
        if evaluated:
            with timed("evaluation"):
                self.metrics = self.validate(self.algorithm.predictors(), self.algorithm.main_predictors())
        first_step = self.step - self.epoch_steps
        with timed("GMM"):
            splits = self.algorithm.after_epoch(first_step)
        losses = self._epoch_averages.take()
        health = self._log_epoch(splits, first_step, self.metrics if evaluated else {})
        self.epoch += 1
        if evaluated and self._is_better(self.metrics.get(self.options.best)):
            self.best, self.best_epoch = self.metrics[self.options.best], self.epoch
            if is_first():
                with timed("checkpoint"):
                    self.record.checkpoints.save_best(self.result_state(), self.options.best, self.epoch)
        try:
            self.health.check(self.epoch, self.algorithm.unlabeled_factor(first_step), health, losses)
        finally:
            self._save()

    def _is_better(self, value: float | None) -> bool:
        if value is None or value < 0:  # -1: nothing is labelled
            return False
        lower = self.options.best.rpartition("/")[2] in LOWER_IS_BETTER
        return self.best is None or (value < self.best if lower else value > self.best)

    @timed("logging")
    def _log_epoch(self, splits: dict, first_step: int, metrics: dict[str, float]) -> dict[str, float]:
        """Returns the health of the pseudo-labels."""
        for name, split in splits.items():
            self.record.tracker.log_split(self.epoch + 1, self.step, name, split)
        health = self.health.report(self.algorithm.records, first_step)
        if metrics or health:
            self.record.tracker.log_epoch(self.epoch + 1, self.step, metrics | health)
        return health

    def _log_step(self, logs: dict[str, torch.Tensor], shown: dict) -> None:
        self._averages.add(logs)
        self._epoch_averages.add(logs)
        if self.step % self.options.print_freq == 0 or self.step % self.epoch_steps == 0:
            self.record.tracker.log_step(self.step, self._averages.take() | shown)

    @timed("checkpoint")
    def _save(self) -> None:
        """The first rank writes; the others wait, since none may end before the file is complete."""
        state = self.state_dict()
        if is_first():
            self.record.checkpoints.save_last(state)
        barrier()

    def summary(self) -> dict[str, float]:
        """The last metrics, and the best value and epoch of the metric of best.pth; empty before any evaluation."""
        best = {} if self.best is None else {f"best_{self.options.best}": self.best, "best_epoch": self.best_epoch}
        return {**self.metrics, **best} if self.metrics else {}

    def result_state(self) -> dict:
        """What `valid.py` needs: networks, configuration, metrics."""
        return {
            "algorithm": self.algorithm.state_dict(), "config": self.record.config_yaml, "epoch": self.epoch,
            "step": self.step, "best": self.best, "best_metric": self.options.best, "best_epoch": self.best_epoch,
            "metrics": dict(self.metrics), "skeleton": self.record.skeleton,
        }  # fmt: skip

    def state_dict(self) -> dict:
        """Everything that a run needs to go on as if it had never stopped; the same on all ranks."""
        for record in self.algorithm.records.values():
            record.gather()
        own, *others = gather(self._own_state())
        return self.result_state() | own | {
            "other_ranks": others, "stepper": self.stepper.state_dict(), "alarm": self.health.alarm.state_dict(),
            "records": {name: record.state_dict() for name, record in self.algorithm.records.items()},
            "epoch_steps": self.epoch_steps, "data_key": self.record.data_key,
            "wandb_run_id": self.record.tracker.wandb_run_id, "ramp": astuple(self.algorithm.recipe.ramp),
        }  # fmt: skip

    def _own_state(self) -> dict:
        """The part that differs between ranks."""
        return {
            "rng": rng_state(), "averages": self._averages.state_dict(),
            "epoch_averages": self._epoch_averages.state_dict(),
        }  # fmt: skip

    def load_state_dict(self, state: dict, source: str) -> None:
        """Go on from a state of `state_dict`; raises ModelError, naming `source`, if it is of another model."""
        before = len(state["other_ranks"]) + 1
        if before != ranks():
            raise ModelError(f"{source}: the run had {before} processes, now it has {ranks()}; start as many")
        if state["epoch_steps"] != self.epoch_steps:
            raise ModelError(
                f"{source}: an epoch had {state['epoch_steps']} steps, now it has {self.epoch_steps}; "
                "the data or batch sizes have changed, start a new run"
            )
        if state["data_key"] != self.record.data_key:
            raise ModelError(f"{source}: the training data have changed since this run began, start a new run")
        load_networks(self.algorithm, state, source)
        self.algorithm.keep_ramp(*state.get("ramp", astuple(self.algorithm.recipe.ramp)))
        self.stepper.load_state_dict(state["stepper"])
        own = [state, *state["other_ranks"]][rank()]
        restore_rng_state(own["rng"])
        self.step, self.epoch, self.best_epoch = (state[key] for key in ("step", "epoch", "best_epoch"))
        self.best = state["best"] if state["best_metric"] == self.options.best else None
        self.metrics = dict(state["metrics"])
        self._averages.load_state_dict(own["averages"])
        self._epoch_averages.load_state_dict(own["epoch_averages"])
        self.health.alarm.load_state_dict(state["alarm"])
        for name, record in self.algorithm.records.items():
            record.load_state_dict(state["records"][name])
