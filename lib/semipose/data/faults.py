"""Unreadable images during a run: counted, reported once, and too many of them end it."""

import logging

from semipose.errors import DataError

log = logging.getLogger(__name__)


class FaultLog:
    """Collects the fault lines of batches. `limit` different ones are allowed."""

    def __init__(self, limit: int):
        self.limit = limit
        self.lines: set[str] = set()

    def __call__(self, lines: tuple[str, ...]) -> None:
        """Warn of each new line; raises DataError when there are more than `limit`."""
        for line in lines:
            if line in self.lines:
                continue
            self.lines.add(line)
            log.warning("skipped: %s", line)
            if len(self.lines) > self.limit:
                raise DataError(f"{line}; that is unreadable image {len(self.lines)}, DATASET.MAX_BAD is {self.limit}")
