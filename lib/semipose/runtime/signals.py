"""End a run cleanly on Ctrl-C (SIGINT) or a scheduler's stop (SIGTERM, SIGUSR1): a flag is set that the loops poll.

Exit codes are those of a shell, 128 + number. SIGUSR1 (138) is what a cluster sends some time before the end of a job
(Slurm: `--signal=USR1@120`), so that a job script can tell "submit me again" from a stop by hand.
"""

import atexit
import multiprocessing
import os
import signal
import threading
import time

from semipose.runtime.freed_memory import keep_freed_memory
from semipose.runtime.ranks import highest

INTERRUPTED_EXIT = {number: 128 + number for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)}
WORKER_GRACE_SECONDS = 60
ECHO_SECONDS = 2.0


class Interrupted(Exception):
    """A signal asked the run to end; `signal` is its number. Raised only at points where the run can be saved."""

    def __init__(self, number: int):
        super().__init__(f"signal {number}")
        self.signal = number


class Interrupts:
    """Context manager that turns the first SIGINT, SIGTERM or SIGUSR1 into a flag; a second one ends it at once.

    Outside the main thread, where python cannot handle signals, it does nothing.

    Attributes:
        requested: number of the signal that came, 0 if none did.
    """

    def __init__(self):
        self.requested = 0
        self._first_at = 0.0
        self._previous = {}

    def __enter__(self) -> "Interrupts":
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._handle) for number in INTERRUPTED_EXIT}
        return self

    def __exit__(self, *_) -> None:
        for number, handler in self._previous.items():
            # None: the handler before was not set from python and cannot be put back.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._previous = {}

    def check(self) -> None:
        """Raises Interrupted once a signal has come; on all ranks at the same call, whichever rank got it."""
        number = highest(self.requested)
        if number:
            raise Interrupted(number)

    def _handle(self, number: int, _frame) -> None:
        if not self.requested:
            self.requested = int(number)
            self._first_at = time.monotonic()
        elif not self._is_echo():
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    def _is_echo(self) -> bool:
        """torchrun forwards a stop to its workers, which often received it already, as part of the process group."""
        return "TORCHELASTIC_RUN_ID" in os.environ and time.monotonic() - self._first_at < ECHO_SECONDS


@atexit.register
def _end_loader_processes() -> None:
    """Kill the loader processes: Python would send them SIGTERM and, because of `worker_init`, wait for a minute."""
    for child in multiprocessing.active_children():
        if child.daemon:
            child.kill()


def worker_init(_worker_id: int) -> None:
    """`worker_init_fn` for a DataLoader: workers outlive a stop signal long enough for the trainer to save.

    Such a signal reaches the whole process group. A worker that it ends would break the loader before the trainer sees
    its flag. So SIGINT and SIGUSR1 are ignored here, and SIGTERM ends the worker only after a minute.
    """
    import cv2

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: signal.alarm(WORKER_GRACE_SECONDS))
    cv2.setNumThreads(0)
    keep_freed_memory(False)  # the memory of one huge picture must not stay for the rest of the run
