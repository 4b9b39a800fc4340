"""How the sources of a combined data set are mixed: how many of their rows are in a pass, and how many in a batch."""

import math
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from semipose.errors import ConfigError, DataError

MAX_FACTOR = 1000  # a larger ratio is a mistake, and would only fill the memory


@dataclass(frozen=True)
class SourceMix:
    """S sources that follow each other in one data set.

    Attributes:
        lengths: (S,) rows of each source.
        ratios: (S,) `sample_ratio_factor`: a source counts as `round(length * ratio)` rows in a pass (half to even),
            its *slots*; None = 1 for all.
        shares: (S,) `source_ratio`: parts that the sources have in every batch; None = as chance has it.
        names: (S,) for messages; () = numbers.
        slots: (S,) rows that each source counts as.

    Raises:
        DataError: a source is empty.
        ConfigError: wrong ratios or shares, or a ratio that leaves no row of a source.
    """

    lengths: tuple[int, ...]
    ratios: tuple[float, ...] | None = None
    shares: tuple[float, ...] | None = None
    names: tuple[str, ...] = ()

    def __post_init__(self):
        if not self.lengths:
            raise DataError("a data set needs at least one source")
        for number, length in enumerate(self.lengths):
            if length < 1:
                raise DataError(f"{self._name(number)} has {length} persons; at least 1 is needed")
        self._check("sample_ratio_factor", self.ratios, MAX_FACTOR)
        self._check("source_ratio", self.shares, math.inf)
        for number, (length, slots) in enumerate(zip(self.lengths, self.slots, strict=True)):
            if slots < 1:
                raise ConfigError(
                    f"sample_ratio_factor of {self._name(number)} is {self.ratios[number]}, which leaves none of its "
                    f"{length} persons; more than {0.5 / length:.2g} is needed"
                )

    @property
    def slots(self) -> tuple[int, ...]:
        ratios = self.ratios or (1,) * len(self.lengths)
        return tuple(round(length * ratio) for length, ratio in zip(self.lengths, ratios))

    def groups(self, batch_size: int) -> list[tuple[range, int]]:
        """(sources that are shuffled together, rows of theirs in a batch): each source alone if there are shares.

        Raises:
            ConfigError: the share of a source is less than a row.
        """
        if self.shares is None:
            return [(range(len(self.lengths)), batch_size)]
        counts = largest_remainder(self.shares, batch_size)
        for number, count in enumerate(counts):
            if not count:
                raise ConfigError(
                    f"source_ratio of {self._name(number)} is {self.shares[number]} of {sum(self.shares)}, which is no "
                    f"row in a batch of {batch_size}; a larger source_ratio or batch is needed"
                )
        return [(range(number, number + 1), count) for number, count in enumerate(counts)]

    def _name(self, number: int) -> str:
        return repr(self.names[number]) if self.names else f"source {number + 1}"

    def _check(self, key: str, values: tuple[float, ...] | None, limit: float) -> None:
        if values is None:
            return
        if len(values) != len(self.lengths):
            raise ConfigError(f"{key} has {len(values)} numbers for {len(self.lengths)} sources; one each is needed")
        for number, value in enumerate(values):
            if not (0 < value <= limit and math.isfinite(value)):
                wanted = "a number above 0" + (f" and up to {limit}" if limit < math.inf else "")
                raise ConfigError(f"{key} of {self._name(number)} is {value}; {wanted} is expected")
        if not math.isfinite(sum(values)):
            raise ConfigError(f"{key} {list(values)} is too large to be summed")


def largest_remainder(shares: tuple[float, ...], size: int) -> list[int]:
    """`size` divided by `shares`: rounded down, and what is left to the largest remainders (equal ones: the first)."""
    quotas = [size * (share / sum(shares)) for share in shares]
    counts = [math.floor(quota) for quota in quotas]
    order = sorted(range(len(shares)), key=lambda number: counts[number] - quotas[number])
    for number in order[: size - sum(counts)]:
        counts[number] += 1
    return counts


def draw_pass(mix: SourceMix, source: int, draw: np.random.Generator) -> np.ndarray:
    """The rows, int64, that fill the slots of `source` in one pass.

    Every row is taken as often as it fits. The source is divided into as many strata as slots are left, and one row of
    each stratum is drawn. So two rows differ by at most one in how often they are used, and neighbours (persons of one
    image) are rarely drawn together.
    """
    length = mix.lengths[source]
    times, left = divmod(mix.slots[source], length)
    rows = np.tile(np.arange(length), times)
    if left:
        edges = np.arange(left + 1) * length // left
        # strata differ in length by one; a random shift gives each row the same chance
        drawn = (draw.integers(edges[:-1], edges[1:]) + draw.integers(length)) % length
        rows = np.concatenate([rows, drawn])
    return rows + _starts(mix.lengths)[source]


def draw_replaced(
    mix: SourceMix, sources: range, shape: tuple[int, int], draw: np.random.Generator
) -> np.ndarray:  # fmt: skip
    """Rows, int64 of `shape`, drawn with replacement: first a slot of `sources`, then a row of its stratum, each with
    equal chance."""
    first_slots, first_rows = _starts(mix.slots), _starts(mix.lengths)
    drawn = draw.integers(first_slots[sources.start], first_slots[sources.stop], size=shape)
    source = np.searchsorted(first_slots, drawn, side="right") - 1
    slots, lengths, counts = drawn - first_slots[source], np.array(mix.lengths)[source], np.array(mix.slots)[source]
    if mix.slots == tuple(mix.lengths):
        return slots + first_rows[source]
    # a slot's stratum is lengths / counts rows long; the product may be rounded up
    rows = ((slots + draw.random(shape)) * (lengths / counts)).astype(np.int64)
    return np.minimum(rows, lengths - 1) + first_rows[source]


def _starts(counts: tuple[int, ...]) -> np.ndarray:
    return np.array(list(accumulate(counts, initial=0)))
