"""A contact sheet: one HTML page of pictures that lie beside it, each with its facts. Nothing comes from a network."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import quote

import cv2
import numpy as np

from semipose.errors import write_error
from semipose.skeletons import Skeleton
from semipose.visualize.colors import Color, color_key

_WIDEST = 960  # of a picture on the page, in pixels; a click on it shows all of it

_STYLE = """
body{margin:0;padding:28px 24px 60px;background:#fff;color:#1c1f24;font:15px/1.45 system-ui,sans-serif}
h1{margin:0;font-size:24px}
.lead{margin:6px 0 22px;color:#4a5058;max-width:60em}
.key{white-space:nowrap}
.key i{display:inline-block;width:14px;height:5px;margin:0 5px 0 8px;border-radius:3px;vertical-align:middle;
box-shadow:0 0 0 1px #14161c}
.sheet{display:flex;flex-wrap:wrap;gap:26px;align-items:flex-start}
figure{margin:0;min-width:260px;max-width:100%}
img{display:block;width:100%;height:auto;border-radius:4px}
figcaption{margin-top:6px;font-size:13px}
dl{display:grid;grid-template-columns:max-content 1fr;gap:0 10px;margin:4px 0 0}
dt{color:#6a717b}
dd{margin:0;overflow-wrap:anywhere}
"""


@dataclass(frozen=True)
class SheetEntry:
    """One picture: its file (relative to the page), width and height in pixels, and its facts by name."""

    file: str
    size: tuple[int, int]
    facts: dict[str, str]


def write_contact_sheet(
    path: Path, title: str, lead: str, entries: Sequence[SheetEntry], notes: Sequence[str],
    skeletons: Sequence[Skeleton] = (),
) -> None:  # fmt: skip
    """Write the page; all texts are escaped. A browser loads a picture when it comes into sight.

    Args:
        path: the HTML file; its folder must exist.
        lead: what is shown, under the heading.
        notes: such as files that could not be read, below the pictures.
        skeletons: the page explains the colours of these.

    Raises:
        SemiposeError: the page cannot be written.
    """
    body = "\n".join(map(_figure, entries))
    different = {tuple(key.items()): key for key in map(color_key, skeletons)}
    keys = "<br>".join(map(html_key, different.values()))
    listed = "".join(f"<li>{_text(note)}</li>" for note in notes)
    page = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<link rel="icon" href="data:,">\n<title>{_text(title)}</title>\n<style>{_STYLE}</style>\n</head>\n'
        f'<body>\n<h1>{_text(title)}</h1>\n<p class="lead">{_text(lead)} {keys}</p>\n'
        f'<div class="sheet">\n{body}\n</div>\n{f"<ul>{listed}</ul>" if listed else ""}\n</body>\n</html>\n'
    )
    try:
        path.write_text(page, encoding="utf-8")
    except OSError as error:
        raise write_error(error, path) from error


def write_picture(folder: Path, name: str, picture: np.ndarray, facts: dict[str, str]) -> SheetEntry:
    """A picture (h, w, 3) uint8 RGB as PNG file, and its entry on the page; raises SemiposeError if that fails."""
    _, data = cv2.imencode(".png", np.ascontiguousarray(picture[..., ::-1]))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data.tobytes())
    except OSError as error:
        raise write_error(error, folder / name) from error
    return SheetEntry(name, (picture.shape[1], picture.shape[0]), facts)


def html_key(colors: dict[str, Color]) -> str:
    """Names with a mark of their colour, for a page whose style has the class `key`."""
    entry = '<span class="key"><i style="background:rgb{}"></i>{}</span>'
    return " ".join(entry.format(color, _text(name)) for name, color in colors.items())


def _figure(entry: SheetEntry) -> str:
    file, (width, height) = quote(os.fsencode(entry.file)), entry.size
    facts = "".join(f"<dt>{_text(name)}</dt><dd>{_text(value)}</dd>" for name, value in entry.facts.items())
    image = f'<img src="{file}" width="{width}" height="{height}" alt="{_text(entry.file)}" loading="lazy">'
    return (
        f'<figure style="width:{min(width, _WIDEST)}px"><a href="{file}">{image}</a>'
        f"<figcaption><dl>{facts}</dl></figcaption></figure>"
    )


def _text(value: str) -> str:
    # a file name that is not valid UTF-8 must not break the writing of the page
    return escape(value.encode("utf-8", "backslashreplace").decode())
