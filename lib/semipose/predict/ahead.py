"""Doing work ahead in a thread, so that decoding and the network overlap."""

import queue
import threading
from collections.abc import Iterable, Iterator

_END = object()


def ahead(items: Iterable, most: int = 8) -> Iterator:
    """The items, made in a thread of its own that is at most `most` items ahead; its exception is raised here.

    The thread ends when the caller stops taking items (`close` of the generator), and before this returns.
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
        thread.join()
