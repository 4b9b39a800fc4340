"""Where a run's numbers go: log file and terminal, metrics.jsonl, TensorBoard (for wandb see wandb_sink.py)."""

import json
import logging
import math
import os
import sys
from pathlib import Path

from semipose.errors import write_error

logger = logging.getLogger(__name__)

RUN_LOGGER = "semipose"
SHARES = ("AP", "AR", "PCK", "best_AP")


class Sink:
    """One destination; each method may be left as it is. `optional`: a failure switches it off, the run goes on."""

    name = "sink"
    optional = False

    def start(self, config: dict) -> None: ...

    def log_step(self, step: int, values: dict[str, float]) -> None: ...

    def log_epoch(self, epoch: int, step: int, values: dict[str, float]) -> None: ...

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
        logger.info("epoch %d step %d: %s", epoch, step, format_scores(values))

    def finish(self, summary, exit_code):
        if summary or exit_code == 0:
            logger.info("%s: %s", "stopped" if exit_code else "finished", format_scores(summary))
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
        self._epochs_kept = set()

    def start(self, config):
        rows = [] if self.resume_step is None else list(_rows_until(self.path, self.resume_step))
        self._epochs_kept = {row["epoch"] for row in rows if "epoch" in row}
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
        # A run stopped after this line and before its next checkpoint comes here twice.
        if epoch not in self._epochs_kept:
            self._write({"epoch": epoch, "step": step, **values})

    def finish(self, summary, exit_code):
        self._file.close()

    def _write(self, row: dict) -> None:
        finite = {key: None if isinstance(v, float) and not math.isfinite(v) else v for key, v in row.items()}
        try:
            self._file.write(json.dumps(finite) + "\n")
            self._file.flush()
        except OSError as error:
            raise write_error(error, self.path) from error


class TensorBoardSink(Sink):
    """Event files for TensorBoard; steps on the axis."""

    name = "tensorboard"
    optional = True

    def __init__(self, folder, resume_step: int | None = None):
        self.folder = Path(folder)
        self.resume_step = resume_step

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

    def finish(self, summary, exit_code):
        self._writer.close()


def _rows_until(path: Path, last_step: int):
    """Rows of a metrics.jsonl up to `last_step`; a half line that a crash left is dropped."""
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue
        if isinstance(row, dict) and row.get("step", 0) <= last_step:
            yield row


def format_scores(values: dict) -> str:
    """Shares (AP, AR, PCK) as percent; what is not defined (-1) is left out."""
    parts = []
    for name, value in values.items():
        if not name.startswith(SHARES):
            parts.append(f"{name} {value:.4g}")
        elif value >= 0:
            parts.append(f"{name} {100 * value:.1f}")
    return "  ".join(parts)
