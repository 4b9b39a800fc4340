"""A file that is there whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from semipose.errors import write_error


@contextmanager
def whole_file(path: Path) -> Iterator[TextIO]:
    """A text file to write; it has its name only when all is written.

    Raises:
        SemiposeError: it cannot be written; NoSpaceError where the disk is full.
    """
    temporary = path.with_name(path.name + ".tmp")
    try:
        with open(temporary, "w", encoding="utf-8", newline="") as file:
            yield file
        os.replace(temporary, path)
    except OSError as error:
        raise write_error(error, path) from error
    finally:
        temporary.unlink(missing_ok=True)
