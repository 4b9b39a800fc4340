"""Line charts as inline SVG text, without a plotting library (as pictures: chart_pictures.py)."""

import math
from collections.abc import Sequence
from html import escape

Curve = Sequence[tuple[float, float]]

# Okabe and Ito (2008), without yellow, which is lost on white
COLORS = ("#0072b2", "#d55e00", "#009e73", "#aa4499", "#333333", "#56b4e9", "#e69f00")
_DASHES = ("", "7 4", "2 3")
_FONT = 13
_LEGEND_ROW = 20


def line_chart_svg(
    curves: dict[str, Curve], title: str, x_label: str, y_label: str, width: int = 480, height: int = 340
) -> str:
    """A line chart: axes with ticks at round numbers, a legend, one colour per curve.

    Args:
        curves: name -> points (x, y) in drawing order; a point that is not finite is left out.
        title: line above the chart; empty for none.
        x_label: below the x axis.
        y_label: along the y axis.
        width: of the view box; the drawing scales with the page.
        height: of the view box.

    Returns:
        One `<svg>` element, with all text escaped.
    """
    curves = {n: [(x, y) for x, y in c if math.isfinite(x) and math.isfinite(y)] for n, c in curves.items()}
    legend, legend_height = _legend(list(curves), left=56, right=width - 14, top=36 if title else 14)
    box = (56, (36 if title else 14) + legend_height, width - 26, height - 48)
    xs = [x for c in curves.values() for x, _ in c]
    ys = [y for c in curves.values() for _, y in c]
    x_low, x_high, x_ticks = x_axis(xs)
    y_low, y_high, y_ticks = y_axis(ys)

    def place(x: float, y: float) -> tuple[float, float]:
        across, up = (x - x_low) / (x_high - x_low), (y - y_low) / (y_high - y_low)
        return box[0] + across * (box[2] - box[0]), box[3] - up * (box[3] - box[1])

    parts = [
        f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(title or y_label)}" '
        f'font-family="system-ui, sans-serif" font-size="{_FONT}" fill="#222">',
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
    ]
    if title:
        parts.append(_text(box[0], 20, title, 'font-weight="600"'))
    parts += legend
    parts += _grid(box, [(place(x, y_low)[0], x) for x in x_ticks], [(place(x_low, y)[1], y) for y in y_ticks])
    parts.append(_text((box[0] + box[2]) / 2, height - 8, x_label, 'text-anchor="middle" fill="#555"'))
    middle = (box[1] + box[3]) / 2
    parts.append(_text(16, middle, y_label, f'text-anchor="middle" fill="#555" transform="rotate(-90 16 {middle:g})"'))
    for n, (name, curve) in enumerate(curves.items()):
        parts += _curve(n, name, curve, [place(x, y) for x, y in curve])
    return "\n".join([*parts, "</svg>"])


def round_ticks(low: float, high: float, most: int) -> list[float]:
    """At most `most` multiples of 1, 2 or 5 times a power of ten, from the last at or below `low` to at or above
    `high` (finite, low < high)."""
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    for step in (power * f for f in (1, 2, 5, 10, 20, 50)):
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        if last - first < most:
            break
    return [round(i * step, 12) for i in range(first, last + 1)]


def x_axis(values: list[float]) -> tuple[float, float, list[float]]:
    """Ends of the data and the ticks between them."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if low == high:
        low, high = low - 1, high + 1
    return low, high, [t for t in round_ticks(low, high, 8) if low <= t <= high]


def y_axis(values: list[float]) -> tuple[float, float, list[float]]:
    """An axis that ends on ticks; it starts at 0 when no value is below."""
    low, high = (min(0.0, min(values)), max(0.0, max(values))) if values else (0.0, 1.0)
    ticks = round_ticks(low, high if high > low else low + 1, 7)
    return ticks[0], ticks[-1], ticks


def _legend(names: list[str], left: float, right: float, top: float) -> tuple[list[str], float]:
    """Entries in columns as wide as the longest name needs, and the height they take."""
    entry = 40 + 0.54 * _FONT * max(map(len, names), default=0)
    columns = max(1, int((right - left + 14) // entry))
    parts = []
    for n, name in enumerate(names):
        x, y = left + n % columns * entry, top + n // columns * _LEGEND_ROW
        parts.append(f'<line x1="{x:.1f}" y1="{y:.1f}" x2="{x + 20:.1f}" y2="{y:.1f}" {_stroke(n)}/>')
        parts.append(_text(x + 26, y + 4.5, name))
    return parts, -(-len(names) // columns) * _LEGEND_ROW


def _grid(box: tuple, across: list[tuple[float, float]], up: list[tuple[float, float]]) -> list[str]:
    """Grid lines and tick labels; `across` and `up` pair a position in the drawing with the number shown there."""
    left, top, right, bottom = box
    parts = []
    for (y, _), label in zip(up, tick_labels([v for _, v in up])):
        parts.append(f'<line x1="{left}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}" stroke="#e4e4e4"/>')
        parts.append(_text(left - 8, y + 4.5, label, 'text-anchor="end" fill="#555"'))
    for (x, _), label in zip(across, tick_labels([v for _, v in across])):
        parts.append(f'<line x1="{x:.1f}" y1="{bottom}" x2="{x:.1f}" y2="{bottom + 5}" stroke="#777"/>')
        parts.append(_text(x, bottom + 20, label, 'text-anchor="middle" fill="#555"'))
    return [*parts, f'<path d="M{left} {top}V{bottom}H{right}" fill="none" stroke="#777"/>']


def tick_labels(values: list[float]) -> list[str]:
    """All with as many decimals as the one that needs most."""
    decimals = max((len(f"{v:.10f}".rstrip("0").split(".")[1]) for v in values), default=0)
    return [f"{v:,.{decimals}f}" for v in values]


def _curve(n: int, name: str, curve: Curve, placed: list[tuple[float, float]]) -> list[str]:
    """The line, and a dot for each value that names it when pointed at."""
    color = COLORS[n % len(COLORS)]
    points = " ".join(f"{x:.2f},{y:.2f}" for x, y in placed)
    dots = [
        f'<circle cx="{left:.2f}" cy="{top:.2f}" r="3" fill="{color}">'
        f"<title>{escape(name)}: {x:g}, {y:.4g}</title></circle>"
        for (x, y), (left, top) in zip(curve, placed)
    ]
    return [f'<polyline points="{points}" fill="none" stroke-linejoin="round" {_stroke(n)}/>', *dots]


def _stroke(n: int) -> str:
    """Colour of curve n; after the last colour they start again with another dash pattern."""
    dash = _DASHES[n // len(COLORS) % len(_DASHES)]
    return f'stroke="{COLORS[n % len(COLORS)]}" stroke-width="2.2"' + (f' stroke-dasharray="{dash}"' if dash else "")


def _text(x: float, y: float, text: str, attributes: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" {attributes}>{escape(text)}</text>'
