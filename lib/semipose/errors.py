"""Errors a user can cause and mend. The command line prints each as one line, without a traceback."""

import errno

NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class SemiposeError(Exception):
    """Base of all errors with a message for the user; `exit_code` is what the process returns."""

    exit_code = 2


class ConfigError(SemiposeError):
    """A configuration file, key or value is wrong."""


class DataError(SemiposeError):
    """An annotation or image is wrong; the message names file, id and reason."""


class ModelError(SemiposeError):
    """A network, its pretrained weights or a checkpoint do not fit."""


class DivergedError(SemiposeError):
    """The loss is no longer a finite number."""

    exit_code = 3


class CollapseError(SemiposeError):
    """The pseudo-labels have collapsed, and the run is told to end then; exit code as for a diverged loss."""

    exit_code = 3


class LostRankError(SemiposeError):
    """Another process of the run has ended or does not answer."""

    exit_code = 5


class NoSpaceError(SemiposeError):
    """A file could not be written because the disk, the quota or the size limit is reached."""

    exit_code = 4


def write_error(error: OSError, path) -> SemiposeError:
    """The one-line error for a failed write to `path`; exit code 4 where space ran out, else 2."""
    kind = NoSpaceError if error.errno in NO_SPACE else SemiposeError
    remedy = "; its folder is not there, make it first" if isinstance(error, FileNotFoundError) else ""
    return kind(f"{path}: cannot write: {error.strerror or error}{remedy}")
