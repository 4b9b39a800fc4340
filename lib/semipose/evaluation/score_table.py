"""Metrics as aligned text: shares in percent, errors in pixels."""

from collections.abc import Mapping
from math import isnan

from semipose.evaluation.ground_truth import NO_GROUP
from semipose.evaluation.metrics import METRICS
from semipose.evaluation.picture_metrics import FOUND

PIXELS, MILLIMETRES = "EPE", "MPJPE"
# starts of names of values in 0..1
SHARES = (
    "easy_share",
    "health_kept",
    "pseudo_PCK",
    "agreement_within",
    "acc_pose",
    "AP",
    "PCK",
    "3DPCK",
    "3DAUC",
    FOUND,
) + tuple(key for metric in METRICS.values() for key in metric.keys if key != PIXELS)


def is_share(name: str) -> bool:
    """Whether it names a value in 0..1, which people read in percent; also `<set>/AP` and `health_kept/nose`."""
    return any(part.startswith(SHARES) for part in (name, name.rpartition("/")[2]))


def with_unit(name: str) -> str:
    """`AP (%)`, `EPE (px)`, `MPJPE (mm)`; a name without a unit as it is."""
    if MILLIMETRES in name:
        return f"{name} (mm)"
    unit = " (px)" if name.rpartition("/")[2].startswith(PIXELS) else " (%)" if is_share(name) else ""
    return f"{name}{unit}"


def format_rows(title: str, rows: Mapping[str, Mapping[str, float]]) -> str:
    """A title, a line of metric names, and a line of values for each row (a predictor, a group, a set).

    Shares (0..1) are in percent, which the title says, mean pixel errors (EPE) in px, those of 3D (MPJPE) in mm. A
    metric that is -1 or that a row does not have is shown as "-".
    """
    names = list(dict.fromkeys(name for metrics in rows.values() for name in metrics))
    lines = [["", *names]]
    lines += [[row, *(_text(name, metrics.get(name, -1)) for name in names)] for row, metrics in rows.items()]
    widths = [max(map(len, column)) for column in zip(*lines)]
    padded = [[line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])] for line in lines]
    percent = " (in %)" if any(map(is_share, names)) else ""
    return "\n".join([title + percent, *("  ".join(line[0 if widths[0] else 1 :]).rstrip() for line in padded)])


def format_groups(title: str, groups: Mapping[int | str, Mapping[str, float]]) -> str:
    """The result of `evaluate_groups` as text, one line for each group or category."""
    return format_rows(title, {_group(name): metrics for name, metrics in groups.items()})


def _group(name: int | str) -> str:
    return "no group" if name == NO_GROUP else f"group {name}" if isinstance(name, int) else name


def _text(name: str, value: float) -> str:
    if value == -1 or isnan(value):
        return "-" if value == -1 else "nan"
    if MILLIMETRES in name:
        return f"{value:.1f} mm"
    return f"{value:.2f} px" if name.split("_")[0] == PIXELS else f"{100 * value:.1f}"
