"""What readers say about a file, once in a process: a validation set is read for its persons and for its scores."""

import logging

_said: set[str] = set()


def warn_once(log: logging.Logger, text: str, *values: object) -> None:
    """A warning, unless the same one was given before."""
    line = text % values
    if line not in _said:
        _said.add(line)
        log.warning("%s", line)
