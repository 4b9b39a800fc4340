"""Files that a prediction must not replace: those that it has not written, and labels that a person has corrected."""

import re
from collections.abc import Sequence
from pathlib import Path

from semipose.data.formats.corrected_labelme import is_corrected
from semipose.data.formats.json_rows import load_json
from semipose.errors import ConfigError

_OWN = {"csv": re.compile(r"\Ascorer,semipose"), "json": re.compile(r'"contributor":\s*"semipose"')}
_HEAD = 500  # characters in which a file says who has written it


def check_replaceable(out: Path, title: str, formats: Sequence[str]) -> None:
    """Raises ConfigError if `OUT/TITLE.*` has such a file.

    Args:
        formats: of `session.FORMATS`.
    """
    advice = "name another --out, so that no label is lost"
    for ending in [{"csv": "csv", "coco": "json"}[name] for name in formats if name != "labelme"]:
        path = out / f"{title}.{ending}"
        if path.is_file() and not _OWN[ending].search(_head(path)):
            raise ConfigError(f"{path}: is there, and semipose predict has not written it; {advice}")
    files = sorted((out / f"{title}.labelme").rglob("*.json")) if "labelme" in formats else []
    kept = next((path for path in files if _is_label(path)), None)
    if kept:
        raise ConfigError(f"{kept}: has been corrected by hand; {advice}")


def _is_label(path: Path) -> bool:
    document = load_json(str(path))
    return not isinstance(document, dict) or is_corrected(document)


def _head(path: Path) -> str:
    try:
        with open(path, encoding="utf-8-sig", errors="replace") as file:
            return file.read(_HEAD)
    except OSError:
        return ""  # whose it is cannot be seen
