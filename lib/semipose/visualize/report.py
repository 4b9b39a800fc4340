"""The report: one HTML file with everything in it, which opens without a network."""

import base64
import os
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

import cv2
import numpy as np

from semipose.skeletons import Skeleton
from semipose.visualize.charts import Curve, line_chart, to_svg
from semipose.visualize.colors import SIDE_COLORS, color_key
from semipose.visualize.contact_sheet import html_key

_TINY = 96
_STYLE = """
*{box-sizing:border-box}
body{margin:0;background:#fff;color:#1c1f24;font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Liberation Sans",
Arial,sans-serif;-webkit-text-size-adjust:100%}
main{max-width:1120px;margin:0 auto;padding:44px 24px 72px}
h1{margin:0;font-size:30px;line-height:1.2;letter-spacing:-.015em}
.summary{margin:14px 0 0;max-width:46em;font-size:19px;line-height:1.5;color:#30353d}
section{margin-top:44px}
h2{margin:0 0 4px;font-size:20px;letter-spacing:-.005em}
.lead{margin:0 0 18px;color:#5b626c;max-width:52em}
.results{display:flex;flex-wrap:wrap;gap:28px 44px;align-items:flex-start}
.table{flex:1 1 340px;overflow-x:auto}
.chart{flex:1 1 440px;max-width:580px;min-width:0}
.chart img{display:block;width:100%;height:auto}
table{border-collapse:collapse;width:100%;font-size:15px}
th,td{padding:8px 0 8px 18px;border-bottom:1px solid #e3e6ea;text-align:left;white-space:nowrap}
th:first-child,td:first-child{padding-left:0}
td:first-child{white-space:normal}
th{font-weight:600;font-size:13px;color:#5b626c;border-bottom-color:#b9bfc7}
.number{text-align:right;font-variant-numeric:tabular-nums}
.examples{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,440px),1fr));gap:26px 36px}
.example{display:grid;grid-template-columns:repeat(var(--columns),minmax(0,1fr));gap:8px;align-items:start}
figure{margin:0}
figure img{display:block;width:100%;height:auto;border-radius:5px}
img.tiny{image-rendering:pixelated}
figcaption{margin-top:5px;font-size:12.5px;line-height:1.35;color:#4a5058}
.key{white-space:nowrap}
.key i{display:inline-block;width:14px;height:5px;margin:0 6px 0 2px;border-radius:3px;vertical-align:middle;
box-shadow:0 0 0 1px #14161c}
.notes{margin:10px 0 0;padding-left:20px;max-width:52em}
.notes li{margin:6px 0}
@media (max-width:560px){main{padding:26px 16px 48px}h1{font-size:25px}.summary{font-size:17px}section{margin-top:34px}
.example{gap:6px}table{font-size:14px}th,td{padding-left:12px}figcaption{font-size:11.5px}}
"""


@dataclass(frozen=True)
class ExampleRow:
    """Images (H, W, 3) uint8 RGB shown side by side, each with its caption below."""

    captions: list[str]
    images: list[np.ndarray]

    def __post_init__(self):
        if not self.images or len(self.captions) != len(self.images):
            raise ValueError(f"an example row has {len(self.captions)} captions for {len(self.images)} images")


def write_report(
    path: str | os.PathLike,
    title: str,
    table_rows: Sequence[dict],
    curves: dict[str, Curve],
    validation_examples: Sequence[ExampleRow],
    pseudo_examples: Sequence[ExampleRow],
    notes: Sequence[str],
    summary: str = "",
    x_label: str = "step",
    y_label: str = "AP (%)",
    skeleton: Skeleton | None = None,
) -> None:
    """Write the page; a file that is there is replaced in one move, so a reader never sees half a page.

    Args:
        path: the HTML file; its folder is made if need be.
        title: heading of the page.
        table_rows: one dict per row, columns named by the first; the first row is the baseline, the last the result.
        curves: name -> points (x, y), see `line_chart`.
        validation_examples: rows of ground truth and predictions, drawn in the colours of `draw_skeleton`.
        pseudo_examples: rows of pseudo-labels on easy and hard views.
        notes: how the numbers were made, one paragraph each.
        summary: the sentence under the heading; empty = made from the first and last row of the table.
        x_label: of the curves.
        y_label: of the curves.
        skeleton: of the examples; the page explains its colours. None: those of left and right.
    """
    key = html_key(color_key(skeleton) if skeleton else SIDE_COLORS)
    numbers = f'<div class="table">{_table(table_rows)}</div>' if table_rows else ""
    chart = f'<div class="chart">{_chart(curves, x_label, y_label)}</div>' if curves else ""
    sections = [
        _section("Results", "", f'<div class="results">{numbers}{chart}</div>') if numbers or chart else "",
        _examples("Validation people", f"None of them was seen in training. &ensp;{key}", validation_examples),
        _examples("Pseudo-labels", "What the teachers say about images without labels.", pseudo_examples),
        _section("Notes", "", _notes(notes)) if notes else "",
    ]
    summary = escape(summary or compare_ends(table_rows))
    page = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        # the browser itself refuses anything that is not in this file
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\n"
        f'<link rel="icon" href="data:,">\n<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n'
        f'<body>\n<main>\n<h1>{escape(title)}</h1>\n<p class="summary">{summary}</p>\n'
        + "\n".join(s for s in sections if s)
        + "\n</main>\n</body>\n</html>\n"
    )
    _replace_file(Path(path), page)


def compare_ends(rows: Sequence[dict]) -> str:
    """One sentence: the first number of the last row (the result) against that of the first row (the baseline)."""
    if len(rows) < 2:
        return ""
    label = next(iter(rows[0]))
    column = next((c for c, v in rows[0].items() if _is_number(v) and _is_number(rows[-1].get(c))), None)
    if column is None:
        return ""
    show = _formatter([r.get(column) for r in rows])
    result, baseline = rows[-1][column], rows[0][column]
    verb, change = ("rises", "a gain") if result >= baseline else ("falls", "a loss")
    return (
        f"{column} {verb} from {show(baseline)} ({rows[0][label]}) to {show(result)} ({rows[-1][label]}), "
        f"{change} of {show(abs(result - baseline))}."
    )


def _table(rows: Sequence[dict]) -> str:
    columns = list(rows[0])
    numeric = {c: any(_is_number(r.get(c)) for r in rows) for c in columns}
    show = {c: _formatter([r.get(c) for r in rows]) for c in columns}
    mark = {c: ' class="number"' if numeric[c] else "" for c in columns}
    head = "".join(f"<th{mark[c]}>{escape(str(c))}</th>" for c in columns)
    body = "".join(
        "<tr>" + "".join(f"<td{mark[c]}>{escape(show[c](r.get(c)))}</td>" for c in columns) + "</tr>\n" for r in rows
    )
    return f"<table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>"


def _is_number(value) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, bool)


def _formatter(values: list):
    """How to write the values of one column: whole numbers whole, shares with three decimals, others with one."""
    floats = [float(v) for v in values if _is_number(v) and not isinstance(v, (int, np.integer))]
    decimals = 0 if not floats else 3 if max(map(abs, floats)) <= 1 else 1

    def show(value) -> str:
        if value is None:
            return "–"
        return f"{value:,.{decimals}f}" if _is_number(value) else str(value)

    return show


def _section(heading: str, lead: str, body: str) -> str:
    lead = f'<p class="lead">{lead}</p>\n' if lead else ""
    return f"<section>\n<h2>{escape(heading)}</h2>\n{lead}{body}\n</section>"


def _examples(heading: str, lead: str, rows: Sequence[ExampleRow]) -> str:
    if not rows:
        return ""
    cards = "\n".join(
        f'<div class="example" style="--columns:{len(row.images)}">'
        f"{''.join(map(_figure, row.captions, row.images))}</div>"
        for row in rows
    )
    return _section(heading, lead, f'<div class="examples">\n{cards}\n</div>')


def _figure(caption: str, image: np.ndarray) -> str:
    height, width = image.shape[:2]
    tiny = ' class="tiny"' if min(height, width) < _TINY else ""
    return (
        f'<figure><img{tiny} src="{_data_uri(image)}" width="{width}" height="{height}" alt="{escape(caption)}">'
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def _data_uri(image: np.ndarray) -> str:
    """JPEG for pictures, PNG for tiny crops, whose every pixel is seen."""
    bgr = np.ascontiguousarray(image[..., ::-1])
    if min(image.shape[:2]) < _TINY:
        kind, (_, data) = "png", cv2.imencode(".png", bgr)
    else:
        # full colour resolution: the usual halving smears thin coloured lines
        sampling = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
        kind, (_, data) = "jpeg", cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, 85, *sampling])
    return f"data:image/{kind};base64,{_base64(data.tobytes())}"


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _chart(curves: dict[str, Curve], x_label: str, y_label: str) -> str:
    """As a picture, since the styles and ids of an SVG element would count for the whole page."""
    svg = to_svg(line_chart(curves, "", x_label, y_label, 580, 420))
    return (
        f'<img src="data:image/svg+xml;base64,{_base64(svg.encode())}" alt="{escape(y_label)} over {escape(x_label)}">'
    )


def _notes(notes: Sequence[str]) -> str:
    return '<ul class="notes">' + "".join(f"<li>{escape(n)}</li>" for n in notes) + "</ul>"


def _replace_file(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
