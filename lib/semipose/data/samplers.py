"""Which rows are in which batch: functions of (seed, pass, slot), so a resumed run draws the same.

With R ranks (processes of one run) every sampler draws the batch that one process with R times the batch size would
draw, and deals it out: rank r takes the rows r, r + R, r + 2R ... of it. So the ranks together see what one process
sees, their batches do not overlap, and as the rows of a batch are in order of the sources where those have shares, each
rank has its share of each source, give or take one row.
"""

from collections.abc import Iterator
from itertools import count, islice

import numpy as np

from semipose.data.source_mix import SourceMix, draw_pass, draw_replaced
from semipose.errors import ConfigError


class _Passes:
    """The pass that is drawn next, and the part of it that this rank takes."""

    def __init__(self, mix: SourceMix, batch_size: int, steps: int, seed: int, rank: int = 0, ranks: int = 1):
        if not 0 <= rank < ranks:
            raise ConfigError(f"rank is {rank}; with {ranks} ranks 0 to {ranks - 1} is expected")
        self.mix, self.steps, self.seed, self.rank, self.ranks = mix, steps, seed, rank, ranks
        self.batch_size = batch_size * ranks  # of all ranks together
        self._groups = mix.groups(self.batch_size)
        self._number = self._start = 0

    def set_pass(self, number: int, start: int = 0) -> None:
        """Choose the pass, and the batch in it to start with."""
        self._number, self._start = number, start

    @property
    def fewest(self) -> int:
        """Rows in the smallest batch of a rank."""
        return max(1, self._smallest // self.ranks)

    @property
    def _smallest(self) -> int:
        """Rows in the smallest batch of all ranks together."""
        return self.batch_size

    def _deal(self, batch: list[int]) -> list[int]:
        return batch[self.rank :: self.ranks] or [batch[self.rank % len(batch)]]


class PassSampler(_Passes):
    """Shuffled passes: each slot of `mix` (for one source: each row) once in as many slots as there are.

    With `steps` = 0 a pass is exactly one shuffle of all rows. With `steps` > 0 a pass has that many batches and goes
    on in an endless row of shuffles where the pass before it ended, so that rows stay evenly used. Where the sources
    have shares, each goes through an endless row of shuffles of its own, and all batches are full; a pass with
    `steps` = 0 is then as many batches as all slots would fill.

    The last batch of a shuffle may be short. Then the ranks' parts differ by at most one row; if there are fewer rows
    than ranks, the ranks that would have none repeat one of them, since every rank must make every step.

    Args:
        mix: the sources.
        batch_size: rows in a batch of one rank.
        steps: batches in a pass, 0 = one pass over the slots.
        seed: 0 or more.
        rank, ranks: which process this is, and of how many.

    Raises:
        ConfigError: the rank is not one of the ranks, or the share of a source is less than a row of a batch.
    """

    def __len__(self) -> int:
        return self.steps or -(-sum(self.mix.slots) // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        streams = [(self._stream(sources, size), size) for sources, size in self._groups]
        for _ in range(self._start, len(self)):
            yield self._deal([row for stream, size in streams for row in islice(stream, size)])

    @property
    def _smallest(self) -> int:
        last = sum(self.mix.slots) % self.batch_size
        return last if last and self._is_one_shuffle else self.batch_size

    @property
    def _is_one_shuffle(self) -> bool:
        return not self.steps and self.mix.shares is None

    def _stream(self, sources: range, size: int) -> Iterator[int]:
        """The rows of `sources` in this pass, from its first batch on, `size` for each batch."""
        slots = sum(self.mix.slots) if self._is_one_shuffle else len(self) * size
        begin = self._start * size
        return islice(self._shuffles(sources, self._number * slots + begin), max(0, slots - begin))

    def _shuffles(self, sources: range, first: int) -> Iterator[int]:
        """An endless row of shuffles from slot `first` on."""
        number, skipped = divmod(first, sum(self.mix.slots[source] for source in sources))
        yield from self._shuffle(sources, number)[skipped:]
        for later in count(number + 1):
            yield from self._shuffle(sources, later)

    def _shuffle(self, sources: range, number: int) -> list[int]:
        rows = [draw_pass(self.mix, source, _generator(self.seed, number, source)) for source in sources]
        purpose = () if self.mix.shares is None else (sources.start, 1)
        return _generator(self.seed, number, *purpose).permutation(np.concatenate(rows)).tolist()


class ReplacementSampler(_Passes):
    """Rows drawn with replacement, `steps` batches in a pass: the labelled side of a semi-supervised run.

    Each slot of `mix` has the same chance; where the sources have shares, each slot of a source. Arguments and errors
    as for `PassSampler`.
    """

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[list[int]]:
        draw = _generator(self.seed, self._number)
        parts = [draw_replaced(self.mix, sources, (self.steps, size), draw) for sources, size in self._groups]
        for batch in np.concatenate(parts, axis=1)[self._start :].tolist():
            yield self._deal(batch)


def _generator(seed: int, number: int, *purpose: int) -> np.random.Generator:
    return np.random.default_rng(np.random.SeedSequence([seed, number], spawn_key=purpose))
