"""End a run cleanly on Ctrl-C (SIGINT) or a scheduler's stop (SIGTERM): the signal sets a flag that the loops poll."""

import os
import signal
import threading
import time

INTERRUPTED_EXIT = {signal.SIGINT: 130, signal.SIGTERM: 143}
WORKER_GRACE_SECONDS = 60
ECHO_SECONDS = 2.0


class Interrupted(Exception):
    """A signal asked the run to end; `signal` is its number. Raised only at points where the run can be saved."""

    def __init__(self, number: int):
        super().__init__(f"signal {number}")
        self.signal = number


class Interrupts:
    """Context manager that turns the first SIGINT or SIGTERM into a flag; a second one ends the process at once.

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
        """Raises Interrupted once a signal has come."""
        if self.requested:
            raise Interrupted(self.requested)

    def _handle(self, number: int, _frame) -> None:
        if not self.requested:
            self.requested = int(number)
            self._first_at = time.monotonic()
        elif not self._is_echo():
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)

    def _is_echo(self) -> bool:
        """torchrun forwards a stop to its workers, who often got it already as members of the process group."""
        return "TORCHELASTIC_RUN_ID" in os.environ and time.monotonic() - self._first_at < ECHO_SECONDS


def worker_init(_worker_id: int) -> None:
    """`worker_init_fn` for a DataLoader: workers outlive a stop signal long enough for the trainer to save.

    SIGINT and SIGTERM reach the whole process group. A worker that dies of it breaks the loader before the trainer
    sees its flag; so SIGINT is ignored here, and SIGTERM ends the worker only after a minute.
    """
    import cv2

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: signal.alarm(WORKER_GRACE_SECONDS))
    cv2.setNumThreads(0)
