"""Work in threads of its own: decoding ahead of the network, drawing and writing behind it."""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator

_END = object()
_PATIENCE = 5  # seconds


def ahead(items: Iterable, most: int = 8) -> Iterator:
    """The items, made in a thread of its own that is at most `most` items ahead; its exception is raised here.

    The thread ends when the caller stops taking items (`close` of the generator).
    """
    made: queue.Queue = queue.Queue(most)
    stop = threading.Event()

    def put(entry) -> bool:
        while not stop.is_set():
            try:
                made.put(entry, timeout=0.1)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        iterator = iter(items)
        try:
            for item in iterator:
                if not put((item, None)):
                    return
            put((_END, None))
        except BaseException as error:  # noqa: B902 - handed on to the caller's thread
            put((_END, error))
        finally:
            if hasattr(iterator, "close"):
                iterator.close()

    thread = threading.Thread(target=work, name="decode", daemon=True)
    thread.start()
    try:
        while True:
            item, error = made.get()
            if error is not None:
                raise error
            if item is _END:
                return
            yield item
    finally:
        stop.set()
        thread.join(_PATIENCE)  # a camera may hang


class Behind:
    """Does `work` on each item in a thread of its own, in order; at most `most` items wait.

    An exception of `work` ends the thread and is raised by the next `add`, or else by `close`.
    """

    def __init__(self, work: Callable, most: int = 8):
        self._work, self._items, self._error = work, queue.Queue(most), None
        self._thread = threading.Thread(target=self._run, name="write", daemon=True)
        self._thread.start()

    def add(self, item) -> None:
        """Hand over one item; waits while too many are waiting."""
        self._raise()
        self._items.put(item)

    def close(self) -> None:
        """Wait until all is done."""
        if self._thread.is_alive():
            self._items.put(_END)
            self._thread.join()
        self._raise()

    def _run(self) -> None:
        while (item := self._items.get()) is not _END:
            if self._error is None:  # after an error the rest is only taken, so that nobody waits for ever
                try:
                    self._work(item)
                except Exception as error:
                    self._error = error

    def _raise(self) -> None:
        if self._error is not None:
            raise self._error
