"""The lines of a run: on the terminal, and in its run.log."""

import logging
import sys
from logging.handlers import MemoryHandler
from pathlib import Path

from semipose.errors import write_error
from semipose.tracking.result_text import result_lines, score_lines
from semipose.tracking.score_text import ScoreText, main_network, pseudo_label_text
from semipose.tracking.sinks import Sink, read_rows

logger = logging.getLogger(__name__)

RUN_LOGGER = "semipose"
FILE_ONLY = {"file_only": True}  # `extra` of a message that is for run.log and not for the terminal
MOST_EARLY = 100_000  # messages that are kept until there is a file


class ConsoleSink(Sink):
    """All messages of the package as plain lines, on the terminal and in a log file that is only ever appended to.

    From `prepare` on they are shown; the file, and the folder that it is in, is made by `start` and gets the earlier
    ones too. So a run that fails before leaves nothing behind.

    Lines of training steps come from `Progress`; on a terminal, where its bar shows the same, they go to the file only.
    Of an epoch only the main result is shown, and at the end `result_lines`; all numbers are in metrics.jsonl.
    """

    name = "console"

    def __init__(self, path):
        self.path = Path(path)
        self._early, self._handlers = None, []
        self._text, self._epochs = ScoreText(), 0

    def prepare(self):
        terminal = _TerminalHandler()
        terminal.setFormatter(logging.Formatter("%(message)s"))
        self._early = MemoryHandler(MOST_EARLY, flushLevel=logging.CRITICAL + 1, flushOnClose=False)
        logging.getLogger(RUN_LOGGER).setLevel(logging.INFO)
        self._add(terminal)
        self._add(self._early)

    def start(self, config):
        if not self._handlers:
            self.prepare()
        test, train = config.get("TEST", {}), config.get("TRAIN", {})
        self._text = ScoreText(test.get("PCK_THRESHOLD", 0.1), test.get("PIXELS", 0.0))
        self._epochs = train.get("END_EPOCH", 0)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            file = logging.FileHandler(self.path, encoding="utf-8")
        except OSError as error:
            raise write_error(error, self.path) from error
        file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        self._early.setTarget(file)
        self._early.flush()
        self._remove(self._early)
        self._add(file)

    def log_epoch(self, epoch, step, values):
        number = f"epoch {epoch}/{self._epochs}" if self._epochs else f"epoch {epoch}"
        if main_network(values) != "result":
            logger.info("%s: %s", number, self._text.result(values))
        pseudo = pseudo_label_text(values)
        if pseudo:
            logger.info("%s pseudo-labels: %s", number, pseudo)

    def log_split(self, epoch, step, network, report):
        if report.reason:
            logger.info("epoch %d: no easy/hard split of %s: %s", epoch, network, report.reason)

    def finish(self, summary, exit_code):
        folder = self.path.parent
        rows = list(read_rows(folder / "metrics.jsonl")) if summary or not exit_code else []
        if exit_code == 0:
            first, *more = result_lines(folder, rows, summary, self._text)
            lines = [f"finished: {first}", *more]
        else:
            lines = ["stopped", *score_lines(folder, rows, summary, self._text)] if summary else []
        for line in lines:
            logger.info("%s", line)
        for handler in list(self._handlers):
            self._remove(handler)

    def _add(self, handler: logging.Handler) -> None:
        logging.getLogger(RUN_LOGGER).addHandler(handler)
        self._handlers.append(handler)

    def _remove(self, handler: logging.Handler) -> None:
        logging.getLogger(RUN_LOGGER).removeHandler(handler)
        handler.close()
        self._handlers.remove(handler)


class _TerminalHandler(logging.Handler):
    """Writes above a progress bar that may be shown, instead of into it."""

    def emit(self, record: logging.LogRecord) -> None:
        shown_by_bar = record.name.endswith(".progress") and sys.stdout.isatty() and sys.stderr.isatty()
        if shown_by_bar or getattr(record, "file_only", False):
            return
        from tqdm import tqdm

        tqdm.write(self.format(record), file=sys.stdout)
