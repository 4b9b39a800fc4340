"""Progress on a terminal: frames per second and the time that is left."""

import sys
from collections.abc import Iterator


def progress_bar(items: Iterator, title: str, total: int | None) -> Iterator:
    """The items, with a bar on stderr where that is a terminal."""
    from tqdm import tqdm

    yield from tqdm(items, desc=title, total=total, unit=" frames", dynamic_ncols=True, disable=not sys.stderr.isatty())
