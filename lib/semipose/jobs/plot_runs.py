"""Overlay runs: one metric of each, from their metrics.jsonl, in one chart.

    semipose plot output/supervised output/cotrain --metric AP --out ap.png

The chart is a PNG, or an SVG if the name ends so. Shares (AP, PCK, ...) are in percent. Metrics of an evaluation are
drawn over epochs, numbers of training steps (loss_pose, lr, ...) over steps. Exit code 0; 2 if a folder has no
record or a run no such metric.
"""

import argparse
import os
import sys
from pathlib import Path

from semipose.errors import ConfigError, SemiposeError, write_error
from semipose.writable import check_file


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="RUN_DIR", help="run folder, with its metrics.jsonl")
    parser.add_argument("--metric", help="AP, AP_ema_first, val/PCK, loss_pose, ...; default: main metric of the first")
    parser.add_argument("--out", default="runs.png", help=".png or .svg; default: runs.png")
    args = parser.parse_args(arguments)
    try:
        check_file(args.out, "--out")
        runs = [Path(run) for run in args.runs]
        draw_runs(runs, args.metric or _main_metric(runs[0]), Path(args.out))
    except SemiposeError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def draw_runs(runs: list[Path], metric: str, out: Path) -> None:
    """Write the chart and print the best and the last value of each run."""
    if out.suffix not in (".png", ".svg"):
        raise ConfigError(f"--out {out}: the name must end with .png or .svg")
    found = [read_metric(run, metric) for run in runs]
    axes = {axis for axis, _ in found}
    if len(axes) > 1:
        raise ConfigError(f"--metric {metric}: some runs have it for steps, others for epochs")
    from semipose.evaluation import with_unit
    from semipose.visualize.learning_curve import in_percent

    curves = dict(zip(short_names(runs), (in_percent(metric, curve) for _, curve in found)))
    try:
        write_chart(curves, metric, axes.pop(), out)
    except OSError as error:
        raise write_error(error, out) from error
    for name, curve in curves.items():
        (_, last), values = curve[-1], [y for _, y in curve]
        told = f"smallest {min(values):.4g}, largest {max(values):.4g}, last {last:.4g}"
        print(f"{name}: {with_unit(metric)}: {len(curve)} values, {told}")
    print(out)


def _main_metric(run: Path) -> str:
    """AP, or EPE for a set whose boxes are whole frames, ...; AP for a run without an evaluation."""
    from semipose.tracking.sinks import read_rows
    from semipose.visualize.learning_curve import main_metric

    return main_metric(list(read_rows(run / "metrics.jsonl"))) or "AP"


def read_metric(run: Path, metric: str) -> tuple[str, list[tuple[float, float]]]:
    """("epoch" or "step", its values); what is null or -1 (not defined) is left out."""
    from semipose.tracking.sinks import read_rows

    rows = list(read_rows(run / "metrics.jsonl"))
    if not rows:
        raise ConfigError(f"{run}: holds no metrics.jsonl with any row")
    having = [row for row in rows if isinstance(row.get(metric), int | float) and row[metric] != -1]
    if not having:
        known = sorted({name for row in rows for name in row} - {"epoch", "step", "split"})
        raise ConfigError(f"{run}: no metric {metric!r}; it has: {', '.join(known)}")
    axis = "epoch" if "epoch" in having[0] else "step"
    return axis, [(row[axis], row[metric]) for row in having if axis in row]


def short_names(runs: list[Path]) -> list[str]:
    """The folders without what all of them begin with."""
    paths = [run.resolve() for run in runs]
    common = Path(os.path.commonpath([path.parent for path in paths]))
    names = [str(path.relative_to(common)) for path in paths]
    return [name if names.count(name) == 1 else f"{name} ({n + 1})" for n, name in enumerate(names)]


def write_chart(curves: dict[str, list], metric: str, axis: str, out: Path) -> None:
    from semipose.evaluation import with_unit
    from semipose.visualize.charts import line_chart, save_chart

    save_chart(line_chart(curves, "", axis, with_unit(metric), 960, 600), out)
