"""What a run records of itself: one tracker that hands every number to several sinks (sinks.py, wandb_sink.py)."""

import logging
from pathlib import Path

from semipose.pseudo_labels import SplitReport
from semipose.tracking.console_sink import ConsoleSink
from semipose.tracking.curve_sink import CurveSink, DrawCurve
from semipose.tracking.sinks import DrawSplit, JsonlSink, Sink, TensorBoardSink
from semipose.tracking.wandb_sink import WandbSink

logger = logging.getLogger(__name__)


class Tracker:
    """Hands numbers to its sinks. A sink that is `optional` and fails is switched off with one warning.

    A process that must not record (rank > 0) uses `Tracker([])`.
    """

    def __init__(self, sinks: list[Sink]):
        self.sinks = list(sinks)
        self._run_ids = [sink.run_id for sink in sinks if isinstance(sink, WandbSink)]

    @property
    def wandb_run_id(self) -> str | None:
        """To be kept in the checkpoint and given to `make_tracker` on resume; None without wandb."""
        return self._run_ids[0] if self._run_ids else None

    def prepare(self) -> None:
        """Show messages from now on; nothing is written, and no folder made, before `start`."""
        self._tell("prepare")

    def start(self, config: dict) -> None:
        """Open the sinks; `config` is the full configuration, nested dicts of plain values."""
        self._tell("start", config)

    def log_step(self, step: int, values: dict) -> None:
        """Numbers of one training step (the steps made so far, over all epochs)."""
        self._tell("log_step", step, _floats(values))

    def log_epoch(self, epoch: int, step: int, values: dict) -> None:
        """Numbers of one epoch, such as the AP of each network; once an epoch, with all its numbers."""
        self._tell("log_epoch", epoch, step, _floats(values))

    def log_split(self, epoch: int, step: int, network: str, report: SplitReport) -> None:
        """The easy/hard split that an epoch ended with, once for each network."""
        self._tell("log_split", epoch, step, network, report)

    def finish(self, summary: dict, exit_code: int = 0) -> None:
        """Record the final numbers and close all sinks, the first one last; a second call does nothing.

        Args:
            exit_code: 0 = all steps were made. Else an error or a signal ended the run: no sink calls it finished.
        """
        self.sinks.reverse()  # the result of the console is the last that is said
        self._tell("finish", _floats(summary), exit_code)
        self.sinks = []

    def _tell(self, method: str, *arguments) -> None:
        for sink in list(self.sinks):
            try:
                getattr(sink, method)(*arguments)
            # An error in an optional service must not end a run.
            except Exception as error:
                if not sink.optional:
                    raise
                self.sinks.remove(sink)
                reason = (str(error).splitlines() or [""])[0]
                logger.warning("%s is off for this run: %s: %s", sink.name, type(error).__name__, reason)


def make_tracker(
    folder, name: str, wandb_mode: str, tensorboard: bool, project: str, resume_step=None, wandb_run_id=None,
    draw_split: DrawSplit | None = None, draw_curve: DrawCurve | None = None,
) -> Tracker:  # fmt: skip
    """The tracker of the run `name` whose files go to `folder`; `Tracker.start` makes it if it is not there.

    Args:
        wandb_mode: "auto", "online", "offline" or "off", see `WandbSink`.
        tensorboard: write TensorBoard event files.
        project: wandb project.
        resume_step: step of the checkpoint that the run continues; None for a new run, whose record starts empty.
        wandb_run_id: `Tracker.wandb_run_id` of the run that is continued.
        draw_split: draws the chart of the easy/hard split for TensorBoard and wandb; None leaves it out.
        draw_curve: draws learning_curve.png; None leaves it out.

    Raises:
        ConfigError: unknown wandb mode.
    """
    folder = Path(folder)
    sinks = [ConsoleSink(folder / "run.log"), JsonlSink(folder / "metrics.jsonl", resume_step)]
    if draw_curve:
        sinks.append(CurveSink(folder / "learning_curve.png", folder / "metrics.jsonl", draw_curve))
    if tensorboard:
        sinks.append(TensorBoardSink(folder / "tensorboard", resume_step, draw_split))
    if wandb_mode != "off":
        sinks.append(WandbSink(name, project, folder, wandb_mode, wandb_run_id, draw_split))
    return Tracker(sinks)


def _floats(values: dict) -> dict[str, float]:
    return {name: float(value) for name, value in values.items()}
