"""Run scripts of this repository in processes of their own, and read what a training run recorded."""

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
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
    """A script in a session of its own, so that a signal of the terminal reaches it only through us, once.

    Args:
        command: path of the script and its arguments.
        options: of `subprocess.Popen`.
    """
    return subprocess.Popen([sys.executable, *map(str, command)], start_new_session=True, **options)


def run(command: list) -> None:
    """A script to its end; its exit code ends this process if it is not 0.

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
        sys.exit(code if code > 0 else 128 - code)
    if came:
        sys.exit(128 + came[0])


def read_epochs(path: Path) -> list[dict]:
    """What a run's metrics.jsonl says of its epochs: one dict for each, all its lines in one, oldest first.

    A half line that a crash left is passed over; a file that is not there has no epochs.
    """
    epochs = {}
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            continue
        if "epoch" in row:
            epochs.setdefault(row["epoch"], {}).update(row)
    return [epochs[number] for number in sorted(epochs)]
