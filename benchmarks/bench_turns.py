"""Timing in turns, and tables. Times on a shared machine are noisy; the ratio of neighbours in time is much less so."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Times:
    """Seconds of each call, by name; the n-th entries of all names were taken one right after the other."""

    seconds: dict[str, list[float]]

    def ms(self, name: str) -> float:
        """Median in milliseconds."""
        return 1e3 * statistics.median(self.seconds[name])

    def ratios(self, name: str, base: str) -> list[float]:
        """Time of `name` as a multiple of that of `base`, in each turn."""
        return [a / b for a, b in zip(self.seconds[name], self.seconds[base], strict=True)]


def in_turns(functions: dict[str, Callable[[], object]], repeats: int, at_least: float = 0.0) -> Times:
    """Time each function `repeats` times, A B A B ...; every second turn is the other way round.

    The first call of each does not count.

    Args:
        at_least: seconds of one turn of one function, which is called as often as that takes.
    """
    calls = {name: 1 + int(at_least / clock(warmed(function))) for name, function in functions.items()}
    seconds = {name: [] for name in functions}
    for number in range(repeats):
        for name in list(functions)[:: -1 if number % 2 else 1]:
            seconds[name].append(clock(functions[name], calls[name]))
    return Times(seconds)


def warmed(function: Callable[[], object]) -> Callable[[], object]:
    function()
    return function


def clock(function: Callable[[], object], calls: int = 1) -> float:
    """Seconds of one call, the mean of `calls`."""
    start = time.perf_counter()
    for _ in range(calls):
        function()
    return (time.perf_counter() - start) / calls


def spread(values: list[float], digits: int = 2) -> str:
    """Median, and the lower and upper quartile."""
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else values * 3
    return f"{middle:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def markdown(title: str, columns: tuple[str, ...], rows: list[tuple]) -> str:
    """A table under a line of text; the first column is text, the others are numbers."""
    lines = [title, "", _row(columns), "|---|" + "--:|" * (len(columns) - 1), *(_row(row) for row in rows)]
    return "\n".join(lines) + "\n"


def _row(cells: tuple) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"
