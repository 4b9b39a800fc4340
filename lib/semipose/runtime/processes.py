"""Run Python programs in processes of their own, and pass signals on to them."""

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

POLL_SECONDS = 0.05


@contextlib.contextmanager
def caught_signals() -> Iterator[list[int]]:
    """SIGINT and SIGTERM do not end this process; their numbers are appended to the list as they come."""
    came = []
    previous = {
        number: signal.signal(number, lambda n, _: came.append(n)) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield came
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def start(command: list, **options) -> subprocess.Popen:
    """A program in a session of its own, so that a signal of the terminal reaches it only through us, once.

    Args:
        command: what follows `python`: a script, or "-m" and a module, and the arguments.
        options: of `subprocess.Popen`.
    """
    return subprocess.Popen([sys.executable, *map(str, command)], start_new_session=True, **options)


def run(command: list) -> int:
    """A program to its end; returns its exit code, as a shell has it: 128 + number after a signal.

    Each signal is passed on once: a training run saves at the first one and ends at once at a second.
    """
    with caught_signals() as came:
        process, passed = start(command), 0
        while (code := process.poll()) is None:
            for number in came[passed:]:
                process.send_signal(number)
                passed += 1
            time.sleep(POLL_SECONDS)
    if code:
        return code if code > 0 else 128 - code
    return 128 + came[0] if came else 0
