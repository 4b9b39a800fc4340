"""Where a run's numbers go: log file and terminal, metrics.jsonl, TensorBoard (for wandb see wandb_sink.py)."""

import json
import logging
import math
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from semipose.errors import write_error
from semipose.evaluation import METRICS
from semipose.evaluation.picture_metrics import FOUND
from semipose.pseudo_labels import SplitReport

logger = logging.getLogger(__name__)

RUN_LOGGER = "semipose"
PIXELS = ("EPE",)
# starts of names of values in 0..1
SHARES = ("easy_share", "health_kept", "pseudo_PCK", "agreement_within", "AP", "PCK", FOUND) + tuple(
    key for metric in METRICS.values() for key in metric.keys if not key.startswith(PIXELS)
)
MAIN = {metric.main for metric in METRICS.values()}  # the console shows these of each of several validation sets
# starts of names of numbers on pseudo-labels, and of those that the console shows
PSEUDO_LABELS = ("health_", "easy_share", "agreement_", "pseudo_PCK")
PSEUDO_LABELS_SHOWN = ("easy_share", "health_instances", "health_kept", "agreement_px", "pseudo_PCK")

# (report, title) -> (H, W, 3) uint8 RGB; given from outside, since this package does not draw
DrawSplit = Callable[[SplitReport, str], np.ndarray]


class Sink:
    """One destination; a subclass defines what it needs. `optional`: a failure switches it off, the run goes on."""

    name = "sink"
    optional = False

    def start(self, config: dict) -> None: ...

    def log_step(self, step: int, values: dict[str, float]) -> None: ...

    def log_epoch(self, epoch: int, step: int, values: dict[str, float]) -> None: ...

    def log_split(self, epoch: int, step: int, network: str, report: SplitReport) -> None: ...

    def finish(self, summary: dict[str, float], exit_code: int) -> None: ...


class ConsoleSink(Sink):
    """All messages of the package as plain lines, on the terminal and in a log file that is only ever appended to.

    Lines of training steps come from `Progress`; on a terminal, where its bar shows the same, they go to the file only.
    """

    name = "console"

    def __init__(self, path):
        self.path = Path(path)
        self._handlers = []

    def start(self, config: dict) -> None:
        try:
            file = logging.FileHandler(self.path, encoding="utf-8")
        except OSError as error:
            raise write_error(error, self.path) from error
        file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        terminal = _TerminalHandler()
        terminal.setFormatter(logging.Formatter("%(message)s"))
        self._handlers = [file, terminal]
        run_logger = logging.getLogger(RUN_LOGGER)
        run_logger.setLevel(logging.INFO)
        for handler in self._handlers:
            run_logger.addHandler(handler)

    def log_epoch(self, epoch, step, values):
        scores = {name: value for name, value in values.items() if not name.startswith(PSEUDO_LABELS)}
        scores = {name: value for name, value in scores.items() if "/" not in name or name.rpartition("/")[2] in MAIN}
        health = {name: value for name, value in values.items() if _is_shown(name)}
        if scores:
            logger.info("epoch %d step %d: %s", epoch, step, format_scores(scores))
        if health:
            logger.info("epoch %d pseudo-labels: %s", epoch, format_scores(health))

    def log_split(self, epoch, step, network, report):
        if report.reason:
            logger.info("epoch %d: no easy/hard split of %s: %s", epoch, network, report.reason)

    def finish(self, summary, exit_code):
        if summary or exit_code == 0:
            logger.info("%s: %s", "stopped" if exit_code else "finished", format_scores(summary) or "no scores")
        for handler in self._handlers:
            logging.getLogger(RUN_LOGGER).removeHandler(handler)
            handler.close()
        self._handlers = []


class _TerminalHandler(logging.Handler):
    """Writes above a progress bar that may be shown, instead of into it."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.endswith(".progress") and sys.stdout.isatty() and sys.stderr.isatty():
            return
        from tqdm import tqdm

        tqdm.write(self.format(record), file=sys.stdout)


class JsonlSink(Sink):
    """The record of the run: one JSON object per line, flushed at once; a number that is not finite becomes null.

    Args:
        path: the file.
        resume_step: lines after this step are dropped at the start, since the resumed run makes these steps again.
            None starts an empty file.
    """

    name = "metrics.jsonl"

    def __init__(self, path, resume_step: int | None = None):
        self.path = Path(path)
        self.resume_step = resume_step
        self._epochs_kept, self._splits_kept = set(), set()

    def start(self, config):
        kept = -1 if self.resume_step is None else self.resume_step
        rows = [row for row in read_rows(self.path) if row.get("step", 0) <= kept]
        self._epochs_kept = {row["epoch"] for row in rows if "epoch" in row}
        self._splits_kept = {(row["split"]["epoch"], row["split"]["network"]) for row in rows if "split" in row}
        temporary = self.path.with_name(self.path.name + ".tmp")
        try:
            temporary.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
            os.replace(temporary, self.path)
            self._file = open(self.path, "a", encoding="utf-8")  # noqa: SIM115 (open until finish)
        except OSError as error:
            raise write_error(error, self.path) from error

    def log_step(self, step, values):
        self._write({"step": step, **values})

    def log_epoch(self, epoch, step, values):
        # A run that stops after this line and before its next checkpoint comes here twice.
        if epoch not in self._epochs_kept:
            self._write({"epoch": epoch, "step": step, **values})

    def log_split(self, epoch, step, network, report):
        # The epoch is inside: a row with the key "epoch" sums up an epoch.
        if (epoch, network) not in self._splits_kept:
            self._write({"step": step, "split": {"epoch": epoch, "network": network, **split_row(report)}})

    def finish(self, summary, exit_code):
        self._file.close()

    def _write(self, row: dict) -> None:
        try:
            self._file.write(json.dumps(_finite(row)) + "\n")
            self._file.flush()
        except OSError as error:
            raise write_error(error, self.path) from error


class TensorBoardSink(Sink):
    """Event files for TensorBoard; steps on the axis.

    Args:
        folder: for the files.
        resume_step: later steps in the files are hidden, since the resumed run makes these steps again.
        draw_split: for the chart of the easy/hard split; None leaves it out.
    """

    name = "tensorboard"
    optional = True

    def __init__(self, folder, resume_step: int | None = None, draw_split: DrawSplit | None = None):
        self.folder, self.resume_step, self.draw_split = Path(folder), resume_step, draw_split

    def start(self, config):
        from torch.utils.tensorboard import SummaryWriter

        purge = None if self.resume_step is None else self.resume_step + 1
        self._writer = SummaryWriter(str(self.folder), purge_step=purge)

    def log_step(self, step, values):
        for name, value in values.items():
            self._writer.add_scalar(f"train/{name}", value, step)

    def log_epoch(self, epoch, step, values):
        for name, value in values.items():
            self._writer.add_scalar(f"epoch/{name}", value, step)

    def log_split(self, epoch, step, network, report):
        counts, middles = report.counts, (report.edges[1:] + report.edges[:-1]) / 2
        self._writer.add_histogram_raw(
            f"split_{network}/scores", report.edges[0], report.edges[-1], counts.sum(), counts @ middles,
            counts @ middles**2, report.edges[1:].tolist(), counts.tolist(), step,
        )  # fmt: skip
        for name, value in report.to_metrics().items():
            self._writer.add_scalar(f"split_{network}/{name}", value, step)
        if self.draw_split:
            picture = self.draw_split(report, split_title(epoch, network))
            self._writer.add_image(f"split_{network}/chart", picture, step, dataformats="HWC")

    def finish(self, summary, exit_code):
        self._writer.close()


def read_rows(path: Path) -> Iterator[dict]:
    """Rows of a metrics.jsonl, none if it is not there; a half line that a crash left is dropped."""
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(row, dict):
            yield row


def read_epochs(path: Path) -> list[dict]:
    """What a metrics.jsonl says of each epoch, all its rows in one, oldest first."""
    epochs = {}
    for row in read_rows(path):
        if "epoch" in row:
            epochs.setdefault(row["epoch"], {}).update(row)
    return [epochs[number] for number in sorted(epochs)]


def _finite(value):
    """`value` with None for each number in it that is not finite."""
    if isinstance(value, dict):
        return {key: _finite(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_finite(child) for child in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def split_row(report: SplitReport) -> dict:
    """A split as plain values: the histogram, and (hard, easy) pairs where there is a split."""
    row = {"count": report.count, "dropped": report.dropped, "reason": report.reason}
    row |= {"edges": report.edges.tolist(), "counts": report.counts.tolist()}
    if report.reason:
        return row
    pairs = {name: getattr(report, name).tolist() for name in ("means", "sds", "weights")}
    return row | {"converged": report.converged, "easy_share": report.easy_share} | pairs


def split_title(epoch: int, network: str) -> str:
    """Headline of a split's chart."""
    return f"{network}, epoch {epoch}"


def _is_shown(name: str) -> bool:
    """Whether the console shows this number on pseudo-labels; those of single joints would fill the screen."""
    return name.startswith(PSEUDO_LABELS_SHOWN) and "/" not in name and not name.startswith("pseudo_PCK_kept")


def format_scores(values: dict) -> str:
    """Shares (AP, AR, PCK, ...) as percent, EPE in pixels; undefined values (-1) are left out.

    A name may start with `best_` and with the name of a set and a slash.
    """
    parts = []
    for name, value in values.items():
        metric = name.removeprefix("best_").rpartition("/")[2]
        if metric.startswith(PIXELS):
            parts.append(f"{name} {value:.1f} px")
        elif not metric.startswith(SHARES):
            parts.append(f"{name} {value:.4g}")
        elif value >= 0:
            parts.append(f"{name} {100 * value:.1f}")
    return "  ".join(parts)
