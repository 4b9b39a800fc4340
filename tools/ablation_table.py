"""The table of an ablation: what the finished runs say, as JSON and as Markdown."""

import json
import statistics

from ablation_plan import Metric, Plan, Row

RANGE, DEVIATION = "range", "sd"


def summarise(plan: Plan, results: dict, failed: list[str]) -> dict:
    """All numbers of the table.

    Args:
        results: (row name, seed) -> {"metrics": {name: value}, "seconds": s, "machine": [[threads, jobs],
            ...]} of the finished runs.
        failed: a line for each run that failed.
    """
    rows = [_summary(plan, row, results) for row in plan.rows if any(name == row.name for name, _ in results)]
    machine = sorted({tuple(pair) for result in results.values() for pair in result["machine"]})
    return {"plan": str(plan.source), "machine": machine, "failed": failed, "rows": rows}


def _summary(plan: Plan, row: Row, results: dict) -> dict:
    own = {seed: result for (name, seed), result in sorted(results.items()) if name == row.name}
    other = {seed: result for (name, seed), result in results.items() if name == row.against}
    return {
        "name": row.name, "title": row.title, "script": row.script, "cfg": row.cfg, "overrides": row.settings,
        "against": row.against or None, "seconds": statistics.fmean(result["seconds"] for result in own.values()),
        "metrics": {metric.name: _statistics(metric, own, other) for metric in plan.metrics},
    }  # fmt: skip


def _statistics(metric: Metric, own: dict, other: dict) -> dict:
    """Mean and spread over the seeds, and the comparison with another row over the seeds that both have."""
    each = {seed: result["metrics"][metric.name] for seed, result in own.items()}
    pairs = [(value, other[seed]["metrics"][metric.name]) for seed, value in each.items() if seed in other]
    spread, kind = spread_of(list(each.values()))
    found = {"mean": statistics.fmean(each.values()), "spread": spread, "spread_is": kind, "each": each}
    if pairs:
        mine, theirs = (statistics.fmean(column) for column in zip(*pairs))
        found[metric.compare] = mine - theirs if metric.compare == "difference" else mine / theirs if theirs else None
    return found


def spread_of(values: list[float]) -> tuple[float | None, str | None]:
    """Largest minus smallest for two values, the sample standard deviation for three or more."""
    if len(values) < 2:
        return None, None
    return (max(values) - min(values), RANGE) if len(values) == 2 else (statistics.stdev(values), DEVIATION)


def to_markdown(plan: Plan, table: dict) -> str:
    seeds = sorted({seed for row in table["rows"] for m in row["metrics"].values() for seed in m["each"]})
    head = ["", *(cell for metric in plan.metrics for cell in _head(metric, seeds)), "to", "seconds"]
    lines = [_line(head), _line(["---"] * len(head))]
    titles = {row["name"]: row["title"] for row in table["rows"]}
    for row in table["rows"]:
        cells = [cell for metric in plan.metrics for cell in _cells(metric, row["metrics"][metric.name], seeds)]
        lines.append(_line([row["title"], *cells, titles.get(row["against"], ""), f"{row['seconds']:.0f}"]))
    return "\n".join(lines + [""] + _notes(table)) + "\n"


def _head(metric: Metric, seeds: list[int]) -> list[str]:
    return [metric.name, "spread", *(f"seed {seed}" for seed in seeds), metric.compare]


def _cells(metric: Metric, found: dict, seeds: list[int]) -> list[str]:
    spread, compared = found["spread"], found.get(metric.compare)
    sign = "+" if metric.compare == "difference" else ""
    digits = metric.digits + (metric.compare == "ratio")
    return [
        f"{found['mean']:.{metric.digits}f}",
        "" if spread is None else f"{spread:.{metric.digits}f} {found['spread_is']}",
        *(f"{found['each'][seed]:.{metric.digits}f}" if seed in found["each"] else "" for seed in seeds),
        "" if compared is None else f"{compared:{sign}.{digits}f}",
    ]


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _notes(table: dict) -> list[str]:
    machine = "; ".join(f"{jobs} at a time with {threads} threads each" for threads, jobs in table["machine"])
    notes = [
        "Spread: range = larger minus smaller of two seeds; sd = sample standard deviation of three or more. "
        "Compared with the row in the column `to`, over the seeds that both have.",
        f"Seconds: wall time of the training script, mean over the seeds; runs: {machine or 'none'}.",
    ]
    return notes + [f"Failed: {line}" for line in table["failed"]]


def to_json(table: dict) -> str:
    return json.dumps(table, indent=2) + "\n"
