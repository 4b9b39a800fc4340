"""What a check of data finds, and the search for every wrong row where a reader names the first one only."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from semipose.errors import SemiposeError

SHOWN = 5
_BLOCK = 1024  # items; halving from the whole would read a large file again for each fault


@dataclass(frozen=True)
class Finding:
    """One line of a report.

    Attributes:
        text: file, id and reason.
        broken: a fault that has to be mended; else a note.
        ids: annotation or image ids that a note is about; its text shows the first ones.
        source: side and name of the source.
    """

    text: str
    broken: bool = False
    ids: tuple[int, ...] = ()
    source: str = ""


def note(where: str, what: str, ids: Sequence[int], broken: bool = False) -> list[Finding]:
    """One finding about all of `ids`, with their number and the first ones; none if there are no ids."""
    numbers = tuple(int(number) for number in ids)
    shown = ", ".join(map(str, numbers[:SHOWN])) + (", ..." if len(numbers) > SHOWN else "")
    return [Finding(f"{where}: {what}: {len(numbers)} (ids {shown})", broken, numbers)] if numbers else []


def find_faults(items: Sequence, read: Callable[[Sequence], object]) -> list[tuple[object, str]]:
    """Each item that `read` refuses, in order, with the message.

    All items are read once, in blocks; a block that is refused is halved until single items are found. Items that are
    wrong only together (such as an id that is used twice) are not found.

    Args:
        read: takes a part of the items, in order; raises a SemiposeError if one of them is wrong.
    """
    blocks = [items[start : start + _BLOCK] for start in range(0, len(items), _BLOCK)]
    return [fault for block in blocks if refusal(read, block) for fault in _search(block, read)]


def refusal(read: Callable, *arguments) -> str:
    """The message of the error that `read` raises; "" if it raises none. What it logs is dropped."""
    try:
        with reader_messages():
            read(*arguments)
    except SemiposeError as error:
        return str(error)
    return ""


@contextmanager
def reader_messages(level: int = logging.WARNING) -> Iterator[list[tuple[int, str]]]:
    """Collects what the readers log from `level` on, as (level, line), instead of showing it."""
    logger, handler = logging.getLogger("semipose.data"), _Lines()
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


def _search(items: Sequence, read: Callable) -> list[tuple[object, str]]:
    """The faults of items that together are refused."""
    if len(items) == 1:
        message = refusal(read, items)
        return [(items[0], message)] if message else []
    left, right = items[: len(items) // 2], items[len(items) // 2 :]
    found = _search(left, read) if refusal(read, left) else []
    # if the left half is sound the fault is in the right one, which need not be read as a whole
    return found + (_search(right, read) if not found or refusal(read, right) else [])


class _Lines(logging.Handler):
    def __init__(self):
        super().__init__()
        self.lines: list[tuple[int, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append((record.levelno, record.getMessage()))
