"""Errors a user can cause and mend. The command line prints each as one line, without a traceback."""


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
