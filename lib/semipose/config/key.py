"""What a key may hold: its default, and the range or the choices that are allowed."""

from math import inf
from typing import NamedTuple

from semipose.errors import ConfigError

MAX_NUMBER = 2**63
MAX_VALUE = 10**9  # of keys without a largest value: beyond it counts and sizes overflow


class Key(NamedTuple):
    """A value has the type of the default. Every number needs a `low`. In a list, range and choices are for each item.

    `choices` are all allowed texts. They are not given for keys that name an entry of a table (ALGORITHM, MODEL.CODEC,
    ...): these are checked against the table.
    """

    default: object
    low: float | None = None
    high: float = inf
    choices: tuple[str, ...] = ()


def check_allowed(key: Key, value: object, full: str, where: str) -> None:
    """Raises ConfigError, naming file or command line, key, value and what is allowed."""
    for item in value if isinstance(value, list) else [value]:
        if not _allows(key, item):
            raise ConfigError(f"{where}: {full}: {value!r} is not allowed; {_allowed(key)} expected")


def _allows(key: Key, item: object) -> bool:
    if type(item) in (int, float):
        return key.low <= item <= (MAX_VALUE if key.high == inf else key.high)
    return not key.choices or item in key.choices


def _allowed(key: Key) -> str:
    if key.choices:
        return ", ".join(key.choices)
    return f"at least {key.low} and at most {MAX_VALUE}" if key.high == inf else f"from {key.low} to {key.high}"
