"""Images that a source names: those to leave out, and those that it takes only."""

import logging
import os
import re
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np

from semipose.errors import DataError
from semipose.structures import Persons

_log = logging.getLogger(__name__)
_TOKEN = re.compile(r"(\*|\?|\[!?\]?[^\]]*\]|\{\d{1,18}\.\.\d{1,18}\})")


def without_excluded(persons: Persons, patterns: Sequence[str], root: str, name: str) -> Persons:
    """The persons on images that no pattern fits; the log says how many images are left out.

    Args:
        patterns: ends of paths, such as `img012.png`, `val/*` or `*_old.jpg`, where `*` stands for anything; frames by
            number, `img{100..250}.png`; or names of .txt files with one of these in each line.
        root: folder that text files are relative to.
        name: of the source, for messages.

    Raises:
        DataError: a text file cannot be read, it or a pattern fits no image, or no image is left.
    """
    out = named_images(persons.image_paths, patterns, root, f"source {name!r}: exclude")
    if out.all():
        raise DataError(f"source {name!r}: exclude leaves none of its {len(out)} images")
    _log.info("%s: left out %d of %d images (exclude)", name, out.sum(), len(out))
    return persons.take_images(~out)


def only_named(persons: Persons, patterns: Sequence[str], root: str, name: str) -> Persons:
    """The persons on images that a pattern fits; arguments and errors as for `without_excluded`."""
    taken = named_images(persons.image_paths, patterns, root, f"source {name!r}: only")
    _log.info("%s: %d of %d images (only)", name, taken.sum(), len(taken))
    return persons.take_images(taken)


def named_images(image_paths: Sequence[str], patterns: Sequence[str], root: str, where: str) -> np.ndarray:
    """(I,) bool, the images that a pattern fits; raises DataError, beginning with `where`, for one that fits none."""
    named = np.zeros(len(image_paths), bool)
    for pattern in patterns:
        found = fitting_images(image_paths, [pattern], root)
        if not found.any():
            raise DataError(f"{where}: {pattern!r} fits none of its {len(image_paths)} images")
        named |= found
    return named


def fitting_images(image_paths: Sequence[str], patterns: Sequence[str], root: str) -> np.ndarray:
    """(I,) bool, the images that a pattern fits, which may be none; raises DataError for a text file as above."""
    fit = [_fits(f"*/{_plain(line)}") for pattern in patterns for line in _lines(pattern, root)]
    paths = [_plain(f"/{path}") for path in image_paths]
    return np.array([any(fits(path) for fits in fit) for path in paths], bool)


@lru_cache(maxsize=100_000)
def _fits(pattern: str) -> Callable[[str], bool]:
    """Whether a path is as in the pattern: `*`, `?`, `[abc]`, `[!abc]`, and `{a..b}` for a number."""
    parts, ranges = _TOKEN.split(pattern), []
    for place in range(1, len(parts), 2):
        if parts[place][0] == "{":
            ranges.append(tuple(map(int, parts[place][1:-1].split(".."))))
        parts[place] = _expression(parts[place])
    parts[::2] = map(re.escape, parts[::2])
    expression = re.compile("".join(parts), re.DOTALL)

    def fits(path: str) -> bool:
        match = expression.fullmatch(path)
        return match is not None and all(low <= int(n) <= high for n, (low, high) in zip(match.groups(), ranges))

    return fits


def _expression(token: str) -> str:
    if token[0] == "{":
        return r"(?<!\d)(\d+)(?!\d)"
    if token[0] == "[":
        inner = token[1:-1].replace("\\", r"\\").replace("[", r"\[")
        return f"[^{inner[1:]}]" if inner[0] == "!" else f"[{inner.replace('^', chr(92) + '^')}]"
    return {"*": ".*", "?": "."}[token]


def _plain(path: str) -> str:
    """With the same mark between all folders, also before the member of an archive."""
    return path.replace("@", "/").replace("\\", "/")


def _lines(pattern: str, root: str) -> list[str]:
    """The pattern, or those in a text file."""
    if not pattern.lower().endswith(".txt"):
        return [pattern]
    path = os.path.join(root, pattern)
    try:
        with open(path, encoding="utf-8-sig") as file:
            lines = [line.strip() for line in file]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    return [line for line in lines if line and not line.startswith("#")]
