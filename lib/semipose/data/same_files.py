"""Images that are one file, or copies of one to the last byte."""

import hashlib
from collections.abc import Callable, Iterable

from semipose.data.archives import read_bytes, real_path, stored_size
from semipose.data.images import image_size
from semipose.errors import DataError

_HEAD = 4096  # bytes that nearly always tell two files of one size apart


class RealPaths(dict):
    """The file of each path, links followed; each is looked up once, as that is slow on a network drive."""

    def __missing__(self, path: str) -> str:
        self[path] = real_path(path)
        return self[path]


def same_files(paths: Iterable[str], held_out: Iterable[str], files: RealPaths) -> dict[str, str]:
    """Those of `paths` that are one of `held_out` or a copy of one, whatever its name, and which one.

    Only files that have their size in common are read. One that is no image, such as an empty file or the error page of
    a server in its place, is no copy.
    """
    by_file = {files[path]: path for path in held_out}
    found = {path: by_file[files[path]] for path in paths if files[path] in by_file}
    others, held = [path for path in dict.fromkeys(paths) if path not in found], list(by_file.values())
    for fact in (stored_size, _head, _digest):
        others, held = _with_common(fact, others, held)
    by_content = {_digest(path): path for path in held}
    return found | {path: by_content[_digest(path)] for path in others}


def _with_common(fact: Callable, first: list[str], second: list[str]) -> tuple[list[str], list[str]]:
    """Those of each list that have a fact in common with one of the other list."""
    facts = {path: fact(path) for path in (*first, *second)}
    common = {facts[path] for path in first} & {facts[path] for path in second} - {None}
    return [path for path in first if facts[path] in common], [path for path in second if facts[path] in common]


def _head(path: str) -> bytes | None:
    try:
        return read_bytes(path, _HEAD)
    except DataError:  # it is reported when it is trained on
        return None


def _digest(path: str) -> bytes | None:
    try:
        image_size(path)
        return hashlib.sha256(read_bytes(path)).digest()
    except DataError:
        return None
