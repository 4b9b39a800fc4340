"""Images that a source names to be left out."""

import logging
import os
from collections.abc import Sequence
from fnmatch import fnmatchcase

import numpy as np

from semipose.errors import DataError
from semipose.structures import Persons

_log = logging.getLogger(__name__)


def without_excluded(persons: Persons, patterns: Sequence[str], root: str, name: str) -> Persons:
    """The persons on images that no pattern fits; the log says how many images are left out.

    Args:
        patterns: ends of paths, such as `img012.png`, `val/*` or `*_old.jpg`, where `*` stands for anything; or names
            of .txt files with one of these in each line.
        root: folder that text files are relative to.
        name: of the source, for messages.

    Raises:
        DataError: a text file cannot be read, it or a pattern fits no image, or no image is left.
    """
    paths = [_plain(f"/{path}") for path in persons.image_paths]
    out = np.zeros(len(paths), bool)
    for pattern in patterns:
        lines = [f"*/{_plain(line)}" for line in _lines(pattern, root)]
        fits = np.array([any(fnmatchcase(path, line) for line in lines) for path in paths], bool)
        if not fits.any():
            raise DataError(f"source {name!r}: exclude: {pattern!r} fits none of its {len(paths)} images")
        out |= fits
    if out.all():
        raise DataError(f"source {name!r}: exclude leaves none of its {len(paths)} images")
    _log.info("%s: left out %d of %d images (exclude)", name, out.sum(), len(paths))
    return persons.take(~out[persons.image_index])


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
