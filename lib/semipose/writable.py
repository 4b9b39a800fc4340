"""Whether a result can be written, found out before the work and not after it. The trial leaves nothing behind."""

import os
import tempfile
from contextlib import suppress
from pathlib import Path

from semipose.errors import SemiposeError, write_error


def check_folder(path: str | Path, flag: str) -> Path:
    """The folder as a path, after a trial file was written into it; it is made for that, and taken away again.

    Args:
        flag: what names the folder on the command line, for the message.

    Raises:
        SemiposeError: it cannot be made or written; NoSpaceError where the disk is full.
    """
    folder = Path(path)
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"trial")
    except OSError as error:
        raise write_error(error, f"{flag}: {folder}") from error
    finally:
        with suppress(OSError):  # another process may use it by now
            for place in missing:
                place.rmdir()
    return folder


def check_file(path: str | Path, flag: str) -> Path:
    """The file as a path, after a trial in its folder, which must be there; a file of this name stays as it is.

    Raises:
        SemiposeError: it is a folder, or cannot be written; NoSpaceError where the disk is full.
    """
    file = Path(path)
    if not file.name or file.is_dir():
        raise SemiposeError(f"{flag}: {str(path)!r} is not the name of a file")
    try:
        with tempfile.TemporaryFile(dir=file.parent) as trial:
            trial.write(b"trial")
        if file.exists() and not os.access(file, os.W_OK):
            raise PermissionError(13, "Permission denied")
    except OSError as error:
        raise write_error(error, f"{flag}: {file}") from error
    return file
