"""Where the time goes: every second of a stretch of work is booked to one of its parts.

    with TimeAccount() as account:
        with timed("loading"):
            ...
    account.take()      # {"loading": seconds, "other": seconds}; they add up to the time on the clock

The parts are named where the work is done. While no account is open, as in a run without `TRAIN.PROFILE`, a part costs
less than a microsecond.
"""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ContextDecorator
from functools import partial

import torch

OTHER = "other"
_open: "TimeAccount | None" = None


class TimeAccount:
    """Seconds by part, of what is done between `with` and its end. A part inside another one is taken out of it.

    Only one account can be open in a process, and it is for one thread.

    Args:
        wait: called at each change of part; on a GPU it waits for the work that is queued there, which would else be
            booked to whoever waits first.
        clock: seconds.
    """

    def __init__(self, wait: Callable[[], None] = lambda: None, clock: Callable[[], float] = time.perf_counter):
        self._wait, self._clock = wait, clock
        self._seconds: dict[str, float] = {}
        self._stack = [OTHER]
        self._since = 0.0

    def __enter__(self) -> "TimeAccount":
        global _open
        if _open is not None:
            raise RuntimeError("a time account is open already")
        _open, self._since = self, self._clock()
        return self

    def __exit__(self, *error) -> None:
        global _open
        self._book()
        _open, self._stack = None, [OTHER]

    def take(self) -> dict[str, float]:
        """Seconds of each part since the last call, in the order in which they first came, `other` last."""
        if _open is self:
            self._book()
        seconds, self._seconds = self._seconds, {}
        other = seconds.pop(OTHER, 0.0)
        return seconds | {OTHER: other}

    def begin(self, name: str) -> None:
        """From here on the time is that of `name`."""
        self._book()
        self._stack.append(name)

    def end(self) -> None:
        """Back to the part before."""
        self._book()
        if len(self._stack) > 1:  # else it began before the account was opened
            self._stack.pop()

    def _book(self) -> None:
        self._wait()
        now, name = self._clock(), self._stack[-1]
        self._seconds[name] = self._seconds.get(name, 0.0) + now - self._since
        self._since = now


class timed(ContextDecorator):
    """A named part of the work, for `with` or as a decorator."""

    def __init__(self, name: str):
        self.name = name

    def __enter__(self) -> "timed":
        if _open is not None:
            _open.begin(self.name)
        return self

    def __exit__(self, *error) -> None:
        if _open is not None:
            _open.end()


def each(name: str, items: Iterable) -> Iterator:
    """The items, with the time of waiting for each one booked to the part `name`."""
    iterator, end = iter(items), object()
    while True:
        with timed(name):
            item = next(iterator, end)
        if item is end:
            return
        yield item


def waiter(device: torch.device) -> Callable[[], None]:
    """What waits until all that is queued on `device` is done."""
    return partial(torch.cuda.synchronize, device) if device.type == "cuda" else lambda: None


def format_seconds(seconds: dict[str, float]) -> str:
    """One line, in shares of the whole: `12.3 s: students 45 %, ...`."""
    whole = sum(seconds.values())
    shares = (f"{name} {value:.2f} s ({100 * value / max(whole, 1e-9):.1f} %)" for name, value in seconds.items())
    return f"{whole:.2f} s: " + ", ".join(shares)
