"""Whether a result can be written, found out before the work and not after it."""

import os
import tempfile
from pathlib import Path

from semipose.errors import SemiposeError, write_error


def writable_folder(path: str | Path, flag: str) -> Path:
    """The folder, made if it is not there, after a trial file was written into it and removed.

    Args:
        flag: what names the folder on the command line, for the message.

    Raises:
        SemiposeError: it cannot be made or written; NoSpaceError where the disk is full.
    """
    folder = Path(path)
    if folder.exists() and not folder.is_dir():
        raise SemiposeError(f"{flag}: {folder} is a file; a folder expected")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"trial")
    except OSError as error:
        raise write_error(error, f"{flag}: {folder}") from error
    return folder


def writable_file(path: str | Path, flag: str) -> Path:
    """The file's path, after its folder was tried out as by `writable_folder`; a file that is there stays as it is.

    Raises:
        SemiposeError: it is a folder, or cannot be written; NoSpaceError where the disk is full.
    """
    file = Path(path)
    if not file.name or file.is_dir():
        raise SemiposeError(f"{flag}: {str(path)!r} is not the name of a file")
    writable_folder(file.parent, flag)
    if file.exists() and not os.access(file, os.W_OK):
        raise SemiposeError(f"{flag}: {file}: cannot write: Permission denied")
    return file
