"""Where a run's numbers go: metrics.jsonl and TensorBoard; for lines of text see console_sink.py, and wandb_sink.py."""

import json
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from semipose.errors import write_error
from semipose.pseudo_labels import SplitReport

# (report, title) -> (H, W, 3) uint8 RGB; given from outside, since this package does not draw
DrawSplit = Callable[[SplitReport, str], np.ndarray]


class Sink:
    """One destination; a subclass defines what it needs. `optional`: a failure switches it off, the run goes on.

    Nothing is written before `start`, and a sink that was never started has nothing to finish.
    """

    name = "sink"
    optional = False

    def prepare(self) -> None: ...

    def start(self, config: dict) -> None: ...

    def log_step(self, step: int, values: dict[str, float]) -> None: ...

    def log_epoch(self, epoch: int, step: int, values: dict[str, float]) -> None: ...

    def log_split(self, epoch: int, step: int, network: str, report: SplitReport) -> None: ...

    def finish(self, summary: dict[str, float], exit_code: int) -> None: ...


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
        self._file = None
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
        if self._file:
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
        self._writer = None

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
        if self._writer:
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
