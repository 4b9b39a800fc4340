"""What the demos share: train some settings one after another, compare them, write summary.json and report.html."""

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

EXPERIMENTS = Path(__file__).resolve().parents[3] / "experiments"
SUPERVISED, COTRAIN, ALL_LABELS = "supervised", "cotrain", "all_labels"
METRICS = ("AP", "PCK")
NETWORKS = {
    "first": "first network", "second": "second network", "ema_first": "EMA of the first",
    "ema_second": "EMA of the second", "ensemble": "ensemble",
}  # fmt: skip


class Training(NamedTuple):
    """A run of a demo.

    Attributes:
        name: of its folder: SUPERVISED, COTRAIN or ALL_LABELS.
        title: of its row in the table.
        job: `train` or `cotrain1`.
        cfg: settings file below `experiments/`.
        pairs: KEY VALUE words.
    """

    name: str
    title: str
    job: str
    cfg: str
    pairs: Sequence[str] = ()


class Row(NamedTuple):
    """A row of the table: AP and PCK of a network in percent, by METRICS."""

    run: str
    network: str
    title: str
    scores: dict[str, float]


def run_demo(demo: Callable[[argparse.Namespace], int], args: argparse.Namespace) -> int:
    """The exit code of a demo, which says what is wrong in one line, and how long it took."""
    from semipose.errors import SemiposeError

    start = time.monotonic()
    try:
        code = demo(args)
    except SemiposeError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    if not code:
        print(f"demo finished in {(time.monotonic() - start) / 60:.1f} min")
    return code


def train_all(trainings: Sequence[Training], folder: Path, seed: int) -> int:
    """Train what is not finished, each in a process of its own; returns the first exit code that is not 0.

    Raises:
        ConfigError: the settings files are not there.
    """
    from semipose.errors import ConfigError
    from semipose.runtime.processes import run

    for training in trainings:
        cfg = EXPERIMENTS / training.cfg
        if not cfg.is_file():
            raise ConfigError(f"{cfg}: is not there; demos run in a checkout of the repository, with its experiments/")
        print(f"\n== {training.name}: semipose {training.job} --cfg experiments/{training.cfg}", flush=True)
        where = ["--name", training.name, "--output-dir", folder, "--seed", seed, "--resume", "auto"]
        if code := run(["-m", "semipose", training.job, "--cfg", cfg, *where, *training.pairs]):
            return code
    return 0


def compare(trainings: Sequence[Training], folder: Path, out: Path, facts: dict, pck: str) -> int:
    """Print the table of finished runs; write summary.json and report.html into `out`. Returns the exit code.

    Args:
        folder: of the runs.
        facts: what else the summary says.
        pck: heading of the PCK column.

    Raises:
        SemiposeError: a file cannot be written.
    """
    from semipose.errors import write_error
    from semipose.jobs import report

    last = {training.name: last_scores(folder / training.name) for training in trainings}
    rows = [row for training in trainings for row in rows_of(training, last[training.name])]
    back = given_back(rows)
    print("\n" + table(rows, back, pck) + "\n")
    summary = {name: _shares(scores) for name, scores in last.items()}
    if back:
        summary["given_back"] = next(share for row, share in zip(rows, back) if row.network == "ensemble")
    summary |= {"steps": last[COTRAIN]["step"]} | facts
    try:
        (out / "summary.json").write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise write_error(error, out / "summary.json") from error
    print(out / "summary.json")
    return report.main([*(str(folder / training.name) for training in trainings), "--out", str(out / "report.html")])


def last_scores(run: Path) -> dict:
    """The newest evaluated epoch of a run."""
    from semipose.tracking.sinks import read_epochs

    return [row for row in read_epochs(run / "metrics.jsonl") if "AP" in row][-1]


def rows_of(training: Training, scores: dict) -> list[Row]:
    """One row; of co-training one for each network."""
    names = [name for name in NETWORKS if f"AP_{name}" in scores]
    if not names:
        return [Row(training.name, "", training.title, {metric: 100 * scores[metric] for metric in METRICS})]
    titles = [f"{training.title}, {NETWORKS[name]}" for name in names]
    values = [{metric: 100 * scores[f"{metric}_{name}"] for metric in METRICS} for name in names]
    return [Row(training.name, *row) for row in zip(names, titles, values)]


def given_back(rows: Sequence[Row]) -> list[dict[str, float | None]]:
    """By metric, the share of the gap between SUPERVISED and ALL_LABELS that each row gives back, in percent; [] if
    there is no row of all labels."""
    from semipose.evaluation.given_back import share_given_back

    ends = {row.run: row.scores for row in rows}
    if ALL_LABELS not in ends:
        return []
    few, all_labels = ends[SUPERVISED], ends[ALL_LABELS]
    return [{m: share_given_back(row.scores[m], few[m], all_labels[m]) for m in METRICS} for row in rows]


def table(rows: Sequence[Row], back: Sequence[dict], pck: str) -> str:
    """Lines for the terminal."""
    width, head = max(len(row.title) for row in rows) + 2, ["AP", pck]
    cells = [[f"{row.scores[metric]:.1f}" for metric in METRICS] for row in rows]
    if back:
        head += [f"% of the gap: {name}" for name in head]
        shares = [["-" if share[m] is None else f"{share[m]:.0f}" for m in METRICS] for share in back]
        cells = [own + more for own, more in zip(cells, shares)]
    lines = [("", head), *zip((row.title for row in rows), cells)]
    return "\n".join(
        f"{title:{width}}" + "".join(f"{cell:>{max(7, len(name)) + 2}}" for cell, name in zip(line, head))
        for title, line in lines
    )


def _shares(scores: dict) -> dict:
    """AP and PCK of an evaluation, of each network where there are several."""
    names = [f"{metric}_{name}" for metric in METRICS for name in NETWORKS if f"{metric}_{name}" in scores]
    return {name: scores[name] for name in names or METRICS}
