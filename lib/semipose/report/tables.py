"""Tables: what was trained on what, the networks, keypoints, and settings that differ."""

import numpy as np

from semipose.evaluation.validation import EACH
from semipose.report.errors import distances, mean_of_found, relative_errors, share_right
from semipose.report.looking import Seen
from semipose.report.page import bar_cell, cell, facts, table
from semipose.report.records import RESULT, Record, in_pixels, lower_is_better, shown, with_unit
from semipose.report.settings import Setting, differing, mean_and_spread

ENSEMBLE = "ensemble"
LONGEST = 60  # characters of a value in a table


def facts_of(setting: Setting) -> str:
    """HTML of what was trained on what."""
    run = setting.runs[0]
    keys, get = run.settings, lambda key: str(run.settings.get(key, ""))
    values = {}
    if keys:
        size = "x".join(str(side) for side in keys["MODEL.IMAGE_SIZE"])
        values = {
            "method": get("ALGORITHM")
            + (", EMA teachers" if keys["USE_EMA"] and "cotrain" in get("ALGORITHM") else ""),
            "network": f"{get('MODEL.BACKBONE')}, codec {get('MODEL.CODEC')}, input {size}",
            "data": f"{get('DATASET.ROOT')}: {get('DATASET.TRAIN_SET')}",
        }
    values |= run.counts
    if keys:
        pool = f" + {get('TRAIN.BATCH_SIZE_UNSUP')} unlabelled" if "unlabelled" in run.counts else ""
        values |= {"batch": f"{get('TRAIN.BATCH_SIZE')} labelled{pool}"}
    values |= {"length": _length(run), "best epoch": ", ".join(_best(own) for own in setting.runs)}
    if len(setting.runs) > 1:
        values["runs"] = ", ".join(f"{own.name} (seed {own.settings.get('SEED', '?')})" for own in setting.runs)
    return facts(setting.name, values | {"folder": ", ".join(str(own.folder) for own in setting.runs)})


def result_network(setting: Setting) -> str:
    """The name of the network whose metrics are the result."""
    names = list(setting.networks)
    return ENSEMBLE if ENSEMBLE in names else names[-1] if names else RESULT


def network_table(settings: list[Setting], all_networks: bool) -> str:
    """HTML: a row for each network of each setting, its best epoch, mean and standard deviation over seeds; the best
    number of each column in bold."""
    rows = [
        (setting, name)
        for setting in settings
        for name in (setting.networks if all_networks else {result_network(setting): 0})
        if setting.networks
    ]
    metrics = [metric for metric in EACH if any(metric in s.networks[name] for s, name in rows)]
    main = settings[0].metric.rpartition("/")[2]
    metrics.sort(key=lambda metric: metric != main)
    columns = [(metric, lambda s: s.networks) for metric in metrics] + [(main, lambda s: s.last)]
    values = [[read(s).get(name, {}).get(metric, []) for metric, read in columns] for s, name in rows]
    best = [_best_row([row[n] for row in values], metric) for n, (metric, _) in enumerate(columns)]
    several = len(settings) > 1
    body = []
    for number, (setting, name) in enumerate(rows):
        cells = [cell(setting.name)] if several else []
        cells.append(cell(name, bold=number == best[0]))
        for n, (metric, _) in enumerate(columns):
            cells.append(cell(_number(values[number][n], metric), bold=number == best[n], number=True))
        body.append(cells)
    head = (["run"] if several else []) + ["network", *map(with_unit, metrics), f"{with_unit(main)}, last epoch"]
    return table(head, body, 1 + several) if body else ""


def keypoint_table(seen: dict[str, Seen], in_px: bool) -> str:
    """HTML: a row for each keypoint; for each column of networks the share that is right, or the mean error in pixels.

    Args:
        seen: by the name of a run; of a single run all networks are shown, else the result of each.
    """
    columns = {}
    for name, one in seen.items():
        for network in one.points if len(seen) == 1 else [one.main]:
            columns[network if len(seen) == 1 else name] = keypoint_values(one, network, in_px)
    first = next(iter(seen.values()))
    highest = max(np.nanmax(values, initial=0) for values in columns.values()) if in_px else 100
    rows = []
    for k, keypoint in enumerate(first.skeleton.keypoints):
        own = [values[k] for values in columns.values()]
        if np.isnan(own).all():
            continue
        best = (np.nanargmin if in_px else np.nanargmax)(own) if len(own) > 1 else -1
        cells = [bar_cell(_plain(v), v / max(highest, 1e-9) if v == v else 0, n == best) for n, v in enumerate(own)]
        rows.append([cell(keypoint), *cells])
    means = [np.nanmean(values) if np.isfinite(values).any() else np.nan for values in columns.values()]
    rows.append([cell("mean", bold=True), *(cell(_plain(value), bold=True, number=True) for value in means)])
    return table(["keypoint", *columns], rows, 1)


def keypoint_values(one: Seen, network: str, in_px: bool) -> np.ndarray:
    """(K,) mean error of what was found, in pixels, or percent that is right."""
    if in_px:
        return mean_of_found(distances(one.points[network], one.persons.keypoints))
    return 100 * share_right(relative_errors(one.points[network], one.persons.keypoints, one.allowed))


def settings_table(settings: list[Setting]) -> str:
    """HTML of the keys whose values differ."""
    rows = [[cell(key), *(cell(_short(value)) for value in values)] for key, values in differing(settings).items()]
    return table(["key", *(setting.name for setting in settings)], rows, 1 + len(settings)) if rows else ""


def _length(run: Record) -> str:
    if not run.epochs:
        return ""
    planned, done = run.settings.get("TRAIN.END_EPOCH"), run.epochs[-1]
    of = f" of {planned}" if planned and planned != done["epoch"] else ""
    return f"{done['epoch']}{of} epochs, {done['step']:,} steps"


def _best(run: Record) -> str:
    if not run.best:
        return "–"
    unit = "px" if in_pixels(run.metric) else "%"
    return f"{run.best['epoch']} ({run.metric} {_number([run.best[run.metric]], run.metric)} {unit})"


def _number(values: list[float], metric: str) -> str:
    if not values:
        return "–"
    mean, spread = mean_and_spread([shown(metric, value) for value in values])
    return f"{mean:.1f}" + ("" if spread is None else f" ± {spread:.1f}")


def _best_row(values: list[list[float]], metric: str) -> int:
    """The row with the best mean; -1 where there is only one."""
    known = {number: np.mean(own) for number, own in enumerate(values) if own}
    return (min if lower_is_better(metric) else max)(known, key=known.get) if len(known) > 1 else -1


def _plain(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.1f}"


def _short(value: str) -> str:
    return value if len(value) <= LONGEST else value[: LONGEST - 3] + "..."
