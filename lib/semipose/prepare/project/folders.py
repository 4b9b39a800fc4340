"""Few folders that stand for many pictures."""

import os
from collections.abc import Sequence

_MOST = 6


def folders_of(names: Sequence[str]) -> list[str]:
    """Folders that have all these files in them or below them: none lies in another one, and there are at most six, or
    else the one around all."""
    folders = sorted({os.path.dirname(name) or "." for name in names})
    folders = [each for each in folders if not any(_is_below(each, other) for other in folders)]
    return folders if len(folders) <= _MOST else [os.path.commonpath(folders) or "."]


def pictures_below(folder: str, names: Sequence[str]) -> list[str]:
    """The files in a folder and below it."""
    return [name for name in names if folder == "." or name.startswith(folder + os.sep)]


def _is_below(folder: str, other: str) -> bool:
    return folder != other and (other == "." or folder.startswith(other + os.sep))
