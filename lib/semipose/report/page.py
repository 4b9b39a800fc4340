"""The page around the sections, and the pieces that sections are made of. All HTML; nothing comes from a network."""

import os
from collections.abc import Sequence
from pathlib import Path

from semipose.errors import write_error
from semipose.report.album import text

_STYLE = """
*{box-sizing:border-box}
body{margin:0;background:#fff;color:#1c1f24;font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Liberation Sans",
Arial,sans-serif;-webkit-text-size-adjust:100%}
main{max-width:1160px;margin:0 auto;padding:44px 24px 72px}
h1{margin:0;font-size:30px;line-height:1.2;letter-spacing:-.015em;overflow-wrap:anywhere}
.summary{margin:14px 0 0;max-width:46em;font-size:19px;line-height:1.5;color:#30353d}
section{margin-top:46px}
h2{margin:0 0 4px;font-size:21px;letter-spacing:-.005em}
h3{margin:26px 0 6px;font-size:16px}
.lead{margin:0 0 16px;color:#5b626c;max-width:54em}
.wide{overflow-x:auto}
table{border-collapse:collapse;font-size:15px;min-width:min(100%,420px)}
th,td{padding:7px 0 7px 20px;border-bottom:1px solid #e3e6ea;text-align:left;white-space:nowrap}
th:first-child,td:first-child{padding-left:0}
th{font-weight:600;font-size:13px;color:#5b626c;border-bottom-color:#b9bfc7;vertical-align:bottom}
td.text{white-space:normal;min-width:5em}
.number{text-align:right;font-variant-numeric:tabular-nums}
.bar{min-width:6.4em;background:linear-gradient(#cfe3f5,#cfe3f5) no-repeat right center/var(--share,0) 70%}
.cards,.charts,.examples{display:grid;gap:22px 34px;grid-template-columns:repeat(auto-fill,minmax(min(100%,440px),1fr))}
.columns{display:grid;gap:0 34px;grid-template-columns:repeat(auto-fit,minmax(min(100%,440px),1fr))}
.charts{grid-template-columns:repeat(auto-fill,minmax(min(100%,480px),1fr))}
dl{display:grid;grid-template-columns:max-content 1fr;gap:3px 14px;margin:0;font-size:15px}
dt{color:#5b626c}
dd{margin:0;overflow-wrap:anywhere}
.row{display:grid;grid-template-columns:repeat(var(--columns),minmax(0,1fr));gap:8px;align-items:start}
.about{margin:6px 0 0;font-size:13px;line-height:1.4;color:#4a5058;overflow-wrap:anywhere}
figure{margin:0}
figure summary{display:block;list-style:none;cursor:zoom-in;height:100%}
figure summary::-webkit-details-marker{display:none}
figure img{display:block;width:100%;height:100%;object-fit:contain;border-radius:5px}
img.tiny{image-rendering:pixelated}
img.chart{background:#fff}
figure details[open] summary{position:fixed;inset:0;z-index:9;padding:8px;background:rgba(16,18,22,.94);cursor:zoom-out}
figure details[open] img{border-radius:0}
figcaption{margin-top:4px;font-size:12.5px;line-height:1.35;color:#4a5058;overflow-wrap:anywhere}
.key{white-space:nowrap}
.key i{display:inline-block;width:14px;height:5px;margin:0 6px 0 2px;border-radius:3px;vertical-align:middle;
box-shadow:0 0 0 1px #14161c}
.more{margin-top:18px}
.more>summary{cursor:pointer;color:#0067b0;margin-bottom:12px}
ul{margin:10px 0 0;padding-left:20px;max-width:54em}
li{margin:5px 0;overflow-wrap:anywhere}
@media (max-width:560px){.row.many{grid-template-columns:repeat(2,minmax(0,1fr))}
main{padding:26px 16px 48px}h1{font-size:25px}.summary{font-size:17px}section{margin-top:36px}
.row{gap:6px}table{font-size:14px}th,td{padding-left:12px}figcaption,.about{font-size:12px}.cards,.examples{gap:20px}
dl{font-size:14px}}
"""


def whole_page(title: str, summary: str, sections: Sequence[str]) -> str:
    """The page; sections of HTML, those that are "" left out."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        # the browser itself refuses anything that is not in this file, and all scripts
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\n"
        f'<link rel="icon" href="data:,">\n<title>{text(title)}</title>\n<style>{_STYLE}</style>\n</head>\n'
        f'<body>\n<main>\n<h1>{text(title)}</h1>\n<p class="summary">{text(summary)}</p>\n'
        + "\n".join(section for section in sections if section)
        + "\n</main>\n</body>\n</html>\n"
    )


def section(heading: str, lead: str, *parts: str) -> str:
    """A section of HTML parts; "" without any. The lead is HTML too."""
    if not any(parts):
        return ""
    lead = f'<p class="lead">{lead}</p>\n' if lead else ""
    return f"<section>\n<h2>{text(heading)}</h2>\n{lead}" + "\n".join(filter(None, parts)) + "\n</section>"


def under(heading: str, lead: str, body: str) -> str:
    """A part of a section with its own small heading; "" without a body."""
    lead = f'<p class="lead">{lead}</p>' if lead and body else ""
    return f"<h3>{text(heading)}</h3>\n{lead}{body}" if body else ""


def more(label: str, body: str) -> str:
    """What is seen after a click."""
    return f'<details class="more"><summary>{text(label)}</summary>\n{body}\n</details>' if body else ""


def grid(kind: str, items: Sequence[str]) -> str:
    """Items side by side as far as the window allows; kind: cards, charts, examples."""
    return f'<div class="{kind}">\n' + "\n".join(items) + "\n</div>" if items else ""


def columns(*parts: str) -> str:
    """Parts beside each other where the window is wide."""
    return '<div class="columns">' + "".join(f"<div>{part}</div>" for part in parts if part) + "</div>"


def row(figures: Sequence[str], about: str) -> str:
    """Figures side by side, whatever the window, and a line of text about them."""
    about = f'<p class="about">{text(about)}</p>' if about else ""
    kind = "row many" if len(figures) > 3 else "row"
    return f'<div><div class="{kind}" style="--columns:{len(figures)}">{"".join(figures)}</div>{about}</div>'


def facts(heading: str, values: dict[str, str]) -> str:
    listed = "".join(f"<dt>{text(name)}</dt><dd>{text(value)}</dd>" for name, value in values.items() if value)
    return f"<div><h3>{text(heading)}</h3>\n<dl>{listed}</dl></div>"


def table(head: Sequence[str], rows: Sequence[Sequence[str]], numbers: int) -> str:
    """Cells are HTML: `cell`, `bar_cell`; the columns from `numbers` on hold numbers."""
    mark = [' class="number"' if n >= numbers else "" for n in range(len(head))]
    top = "".join(f"<th{own}>{text(name)}</th>" for own, name in zip(mark, head))
    body = "".join(f"<tr>{''.join(cells)}</tr>\n" for cells in rows)
    return f'<div class="wide"><table>\n<thead><tr>{top}</tr></thead>\n<tbody>\n{body}</tbody>\n</table></div>'


def cell(value: str, bold: bool = False, number: bool = False) -> str:
    value = f"<b>{text(value)}</b>" if bold else text(value)
    return f'<td class="{"number" if number else "text"}">{value}</td>'


def bar_cell(value: str, share: float, bold: bool = False) -> str:
    """A number over a bar, `share` (0..1) of the cell long."""
    value = f"<b>{text(value)}</b>" if bold else text(value)
    return f'<td class="number bar" style="--share:{100 * min(max(share, 0), 1):.0f}%">{value}</td>'


def items(lines: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{text(line)}</li>" for line in lines) + "</ul>" if lines else ""


def replace_file(path: Path, content: str) -> None:
    """Write a file; one that is there is replaced in one move, so a reader never sees half a page.

    Raises:
        SemiposeError: it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(content, encoding="utf-8")
        os.replace(temporary, path)
    except OSError as error:
        raise write_error(error, path) from error
    finally:
        temporary.unlink(missing_ok=True)
