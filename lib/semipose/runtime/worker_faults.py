"""A loader process that dies or hangs ends the run with one line that says what to do."""

import multiprocessing
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from semipose.errors import DataError

GO_ON = "--resume auto goes on from the last checkpoint"
# what torch's DataLoader says, and what it means
FAULTS = (
    (
        r"killed by signal: Bus error",
        "a loader process ran out of shared memory: make /dev/shm larger (docker: --shm-size 8g), or fewer --workers",
    ),
    (
        r"killed by signal: ([\w ]+)",
        "a loader process was killed ({0}); mostly the memory has run out: fewer --workers, "
        "DATASET.CACHE disk or none, a smaller TRAIN.BATCH_SIZE",
    ),
    (
        r"exited unexpectedly with exit code (\d+)",
        "a loader process has ended by itself (exit code {0}); --workers 0 reads in this process and shows why",
    ),
    (
        r"exited unexpectedly",
        "a loader process was killed or has ended by itself; --workers 0 reads in this process and shows why; if the "
        "memory has run out: fewer --workers, DATASET.CACHE disk or none, a smaller TRAIN.BATCH_SIZE",
    ),
    (
        r"timed out after (\d+)",
        "no batch has come for {0} s: a disk or network share that does not answer, or a loader process that hangs; "
        "--workers 0 reads in this process and shows where",
    ),
)


@contextmanager
def explained_worker_faults() -> Iterator[None]:
    """Raises DataError in place of the DataLoader's RuntimeError, and ends the other loader processes.

    They are killed: one that hangs would not react to SIGTERM, and this process would wait for it at its end.
    """
    try:
        yield
    except RuntimeError as error:
        # torch sees that a worker is gone, and raises from the message of its signal, which says more
        meaning = explain(str(error), str(error.__cause__ or ""))
        if not meaning:
            raise
        _kill_workers()
        raise DataError(f"{meaning}; {GO_ON}") from error


def _kill_workers() -> None:
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # torch's handler raises for each worker that is killed
    for process in multiprocessing.active_children():
        process.kill()


def explain(*messages: str) -> str:
    """What the RuntimeError of a DataLoader means and what helps; "" for any other messages.

    Of several messages the one counts that says most.
    """
    for pattern, meaning in FAULTS:
        for message in messages:
            found = re.search(pattern, message) if "DataLoader" in message else None
            if found:
                return meaning.format(*(group.strip() for group in found.groups()))
    return ""
