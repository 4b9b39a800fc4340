"""Which rows are in which batch: functions of (seed, pass, slot), so a resumed run draws the same."""

from collections.abc import Iterator

import numpy as np


class _Passes:
    """The pass that is drawn next."""

    def __init__(self, length: int, batch_size: int, steps: int, seed: int):
        self.length, self.batch_size, self.steps, self.seed = length, batch_size, steps, seed
        self._number = self._start = 0

    def set_pass(self, number: int, start: int = 0) -> None:
        """Choose the pass, and the batch in it to start with."""
        self._number, self._start = number, start


class PassSampler(_Passes):
    """Shuffled passes: each row once in `length` slots.

    With `steps` = 0 a pass is exactly one shuffle of all rows. With `steps` > 0 a pass has that many batches and goes
    on in an endless row of shuffles where the pass before it ended, so that rows stay evenly used.

    Args:
        length: number of rows.
        batch_size: rows in a batch; the last one of a pass may be smaller when `steps` is 0.
        steps: batches in a pass, 0 = one pass over the rows.
        seed: 0 or more.
    """

    def __len__(self) -> int:
        return self.steps or -(-self.length // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        slots = self.steps * self.batch_size or self.length
        first = self._number * slots
        rows = self._rows(first + self._start * self.batch_size, first + slots)
        for begin in range(0, len(rows), self.batch_size):
            yield rows[begin : begin + self.batch_size].tolist()

    def _rows(self, first: int, last: int) -> np.ndarray:
        shuffles = range(first // self.length, -(-last // self.length)) if last > first else range(0)
        rows = [np.random.default_rng([self.seed, n]).permutation(self.length) for n in shuffles]
        begin = first - shuffles.start * self.length if rows else 0
        return np.concatenate(rows)[begin : begin + last - first] if rows else np.empty(0, dtype=np.int64)


class ReplacementSampler(_Passes):
    """Rows drawn with replacement, `steps` batches in a pass: the labelled side of a semi-supervised run."""

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[list[int]]:
        draw = np.random.default_rng([self.seed, self._number])
        rows = draw.integers(self.length, size=(self.steps, self.batch_size))
        yield from rows[self._start :].tolist()
