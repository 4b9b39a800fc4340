"""Patterns that name parts of a network, such as `backbone.layer1`: a module with all that is in it, or a parameter."""

import difflib
from collections.abc import Iterable
from fnmatch import fnmatchcase

from semipose.errors import ConfigError


def matches(name: str, pattern: str) -> bool:
    """Whether `pattern` names the parameter or module `name`, or a module that it is in.

    `*`, `?` and `[...]` are as in file names; a `*` also stands for dots.
    """
    return any(fnmatchcase(part, pattern) for part in _with_parents(name))


def check_patterns(patterns: Iterable[str], names: Iterable[str], key: str) -> None:
    """Raises ConfigError, naming `key`, for a pattern that matches none of the parameters `names`."""
    names = list(names)
    for pattern in patterns:
        if not any(matches(name, pattern) for name in names):
            known = dict.fromkeys(part for name in names for part in _with_parents(name))
            close = difflib.get_close_matches(pattern, known, n=3) or [part for part in known if "." not in part]
            raise ConfigError(f"{key}: {pattern!r} matches no parameter of the networks; near it: {', '.join(close)}")


def _with_parents(name: str) -> list[str]:
    """`a`, `a.b`, `a.b.c` for `a.b.c`."""
    parts = name.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts) + 1)]
