"""Metrics as aligned text."""

from collections.abc import Mapping
from math import isnan

from semipose.evaluation.ground_truth import NO_GROUP


def format_rows(title: str, rows: Mapping[str, Mapping[str, float]]) -> str:
    """A title, a line of metric names, and a line of values for each row (a predictor, a group, a set).

    Shares (0..1) are shown in percent, mean pixel errors (EPE) in px, those of 3D (MPJPE) in mm. A metric that is -1 or
    that a row does not have is shown as "-".
    """
    names = list(dict.fromkeys(name for metrics in rows.values() for name in metrics))
    lines = [["", *names]]
    lines += [[row, *(_text(name, metrics.get(name, -1)) for name in names)] for row, metrics in rows.items()]
    widths = [max(map(len, column)) for column in zip(*lines)]
    padded = [[line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])] for line in lines]
    return "\n".join([title, *("  ".join(line[0 if widths[0] else 1 :]).rstrip() for line in padded)])


def format_groups(title: str, groups: Mapping[int | str, Mapping[str, float]]) -> str:
    """The result of `evaluate_groups` as text, one line for each group or category."""
    return format_rows(title, {_group(name): metrics for name, metrics in groups.items()})


def _group(name: int | str) -> str:
    return "no group" if name == NO_GROUP else f"group {name}" if isinstance(name, int) else name


def _text(name: str, value: float) -> str:
    if value == -1 or isnan(value):
        return "-" if value == -1 else "nan"
    if "MPJPE" in name:
        return f"{value:.1f} mm"
    return f"{value:.2f} px" if name.split("_")[0] == "EPE" else f"{100 * value:.1f}"
