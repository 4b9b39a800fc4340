"""What the runs of a sweep have found: results.md, results.csv and results.png."""

import csv
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev

from sweep_plan import Metric, Plan, Setting
from sweep_runs import Run

from semipose.evaluation.given_back import share_given_back
from semipose.report.records import lower_is_better
from semipose.visualize.charts import save_chart, spread_chart


@dataclass(frozen=True)
class Result:
    """A run and its numbers; `values` holds the metrics that it has, none where it is not finished."""

    run: Run
    state: str
    values: dict[str, float]
    seconds: float
    fault: str


def result_of(run: Run, metrics: list[Metric], fault: str) -> Result:
    """
    Args:
        fault: why its training has failed, "" if it has not.
    """
    if not run.finished():
        return Result(run, "failed" if fault else "not finished", {}, run.state()["seconds"], fault)
    epochs = run.epochs()
    found = {metric.name: metric.of(epochs) for metric in metrics}
    missing = [name for name, value in found.items() if value is None]
    if missing and not fault:
        known = sorted({name for epoch in epochs for name in epoch} - {"epoch", "step"})
        fault = f"recorded no {', '.join(missing)}; it has: {', '.join(known)}"
    values = {name: value for name, value in found.items() if value is not None}
    return Result(run, "failed" if fault else "finished", values, run.state()["seconds"], fault)


def write_results(plan: Plan, results: list[Result], out: Path) -> str:
    """Write the three files; returns the text of results.md. Raises OSError."""
    out.mkdir(parents=True, exist_ok=True)
    text = to_markdown(plan, results)
    (out / "results.md").write_text(text, encoding="utf-8")
    write_csv(plan, results, out / "results.csv")
    values = {
        metric.name: {setting.title: values_of(results, setting, metric) for setting in plan.settings}
        for metric in plan.metrics
    }
    save_chart(spread_chart(values), out / "results.png")
    return text


def values_of(results: list[Result], setting: Setting, metric: Metric) -> list[float]:
    """One for each seed that has it."""
    return [r.values[metric.name] for r in results if r.run.setting is setting and metric.name in r.values]


def to_markdown(plan: Plan, results: list[Result]) -> str:
    shares = [metric for metric in plan.metrics if any(setting.gap for setting in plan.settings)]
    back = [f"% of the gap in {metric.name}" for metric in shares]
    head = ["setting", "n", *(metric.name for metric in plan.metrics), *back, "seconds"]
    lines = [_line(head), _line(["---"] * len(head))]
    for setting in plan.settings:
        own = [result for result in results if result.run.setting is setting]
        done = [result for result in own if result.state == "finished"]
        cells = [mean_and_spread(values_of(results, setting, metric)) for metric in plan.metrics]
        seconds = f"{fmean(result.seconds for result in done):.0f}" if done else "-"
        cells += [given_back(plan, results, setting, metric) for metric in shares]
        lines.append(_line([setting.title, f"{len(done)} of {len(own)}", *cells, seconds]))
    notes = ["n: finished runs, one for each seed; mean ± sample standard deviation over them."]
    if shares:
        notes += [
            "% of the gap: (own - supervised) / (all labels - supervised) of the means over the seeds of all three."
        ]
    notes += [f"Failed: {result.run}: {result.fault}" for result in results if result.fault]
    notes += [f"Warned in {', '.join(runs)}: {text}" for text, runs in warned_of(results).items()]
    return "\n\n".join(["\n".join(lines), *notes]) + "\n"


def given_back(plan: Plan, results: list[Result], setting: Setting, metric: Metric) -> str:
    """The share of a setting's gap that it gives back in percent, from the seeds that all three have; `-` where there
    are none, or all labels are no better than few."""
    if not setting.gap:
        return "-"
    by_name = {other.name: other for other in plan.settings}
    three = setting, by_name[setting.gap["supervised"]], by_name[setting.gap["all_labels"]]
    found = [
        {r.run.seed: r.values[metric.name] for r in results if r.run.setting is one and metric.name in r.values}
        for one in three
    ]
    seeds = set.intersection(*map(set, found))
    means = [fmean(values[seed] for seed in seeds) for values in found] if seeds else []
    share = share_given_back(*means, lower_is_better(metric.keys[0])) if means else None
    return "-" if share is None else f"{share:.0f}"


def warned_of(results: list[Result]) -> dict[str, list[str]]:
    """The finished runs that each warning is of."""
    found: dict[str, list[str]] = {}
    for result in results:
        for text in result.run.warnings() if result.state == "finished" else ():
            found.setdefault(text, []).append(str(result.run))
    return found


def mean_and_spread(values: list[float]) -> str:
    """`26.35 ± 0.49`; only the mean of a single value, and `-` of none."""
    if not values:
        return "-"
    return f"{fmean(values):#.4g}" + (f" ± {stdev(values):#.2g}" if len(values) > 1 else "")


def write_csv(plan: Plan, results: list[Result], path: Path) -> None:
    """One row for each run."""
    metrics = [metric.name for metric in plan.metrics]
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["setting", "seed", "state", *metrics, "seconds", "folder", "fault"])
        for result in results:
            run, numbers = result.run, [result.values.get(name, "") for name in metrics]
            seconds = round(result.seconds, 1)
            writer.writerow([run.setting.name, run.seed, result.state, *numbers, seconds, run.folder, result.fault])


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |"
