"""What a check of data finds: lines of a report."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

SHOWN = 5


@dataclass(frozen=True)
class Finding:
    """One line of a report.

    Attributes:
        text: file, id and reason.
        broken: a fault that has to be repaired; else a note.
        ids: annotation or image ids that a note is about; its text shows the first ones.
        source: side and name of the source.
    """

    text: str
    broken: bool = False
    ids: tuple[int, ...] = ()
    source: str = ""


def note(where: str, what: str, ids: Sequence[int]) -> list[Finding]:
    """One finding about all of `ids`, with their number and the first ones; none if there are no ids."""
    numbers = tuple(int(number) for number in ids)
    shown = ", ".join(map(str, numbers[:SHOWN])) + (", ..." if len(numbers) > SHOWN else "")
    return [Finding(f"{where}: {what}: {len(numbers)} (ids {shown})", ids=numbers)] if numbers else []


@contextmanager
def reader_messages(level: int = logging.WARNING, of: str = "semipose.data") -> Iterator[list[tuple[int, str]]]:
    """Collects what the readers, or the part `of` semipose, log from `level` on, as (level, line), instead of showing
    it."""
    logger, handler = logging.getLogger(of), _Lines()
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(level)
    logger.propagate = False
    try:
        yield handler.lines
    finally:
        logger.setLevel(before[0])
        logger.propagate = before[1]
        logger.removeHandler(handler)


class _Lines(logging.Handler):
    def __init__(self):
        super().__init__()
        self.lines: list[tuple[int, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append((record.levelno, record.getMessage()))
