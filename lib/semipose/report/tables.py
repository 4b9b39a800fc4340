"""Tables: what was trained on what, the networks, keypoints, and settings that differ."""

import numpy as np

from semipose.evaluation.validation import EACH
from semipose.report.errors import distances, mean_of_found, relative_errors, share_right
from semipose.report.looking import Seen
from semipose.report.page import bar_cell, cell, facts, table
from semipose.report.records import RESULT, Record, in_pixels, lower_is_better, shown, with_unit
from semipose.report.settings import Setting, differing, mean_and_spread
from semipose.tracking.score_text import ScoreText

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
    main = next((setting.metric for setting in settings if setting.result), "").rpartition("/")[2]
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
    names = [_titled(metric, settings) for metric in [*metrics, main]]
    head = (["run"] if several else []) + ["network", *names[:-1], f"{names[-1]}, last epoch"]
    return table(head, body, 1 + several) if body else ""


def _titled(metric: str, settings: list[Setting]) -> str:
    """`within 20 px (%)`, as runs say it themselves, where all runs have the same threshold."""
    texts = {
        ScoreText(run.settings["TEST.PCK_THRESHOLD"], run.settings["TEST.PIXELS"]).name(metric)
        for setting in settings for run in setting.runs if run.settings
    }  # fmt: skip
    return with_unit(metric).replace(metric, texts.pop(), 1) if len(texts) == 1 else with_unit(metric)


def keypoint_table(seen: dict[str, Seen], in_px: bool) -> str:
    """HTML: a row for each keypoint; for each column of networks the share that is right, or the mean error in pixels.

    Args:
        seen: by the name of a run; of a single run all networks are shown, else the result of each.
    """
    alone = len(seen) == 1
    pairs = [(name, one, network) for name, one in seen.items() for network in (one.points if alone else [one.main])]
    values = np.array([keypoint_values(one, network, in_px) for _, one, network in pairs]).round(1)
    best = (np.nanmin if in_px else np.nanmax)(values[:, :-1], axis=0, initial=np.inf if in_px else -1)
    longest = max(np.nanmax(values, initial=0), 1e-9) if in_px else 100
    rows = []
    for k, keypoint in enumerate(next(iter(seen.values())).skeleton.keypoints):
        own = values[:, k]
        if not np.isnan(own).all():
            cells = [bar_cell(_plain(v), np.nan_to_num(v) / longest, len(own) > 1 and v == best[k]) for v in own]
            rows.append([cell(keypoint), *cells])
    if not rows:  # boxes of a detector, which have no labels
        return ""
    rows.append([cell("all", bold=True), *(cell(_plain(v), bold=True, number=True) for v in values[:, -1])])
    return table(["keypoint", *(network if alone else name for name, _, network in pairs)], rows, 1)


def keypoint_values(one: Seen, network: str, in_px: bool) -> np.ndarray:
    """(K + 1,) for each keypoint and for all of them, as EPE and PCK count them: the mean error of what was found in
    pixels, or the percentage that is right."""
    points, labels = one.points[network], one.persons.keypoints
    if in_px:
        away = distances(points, labels)
        return np.append(mean_of_found(away), mean_of_found(away.reshape(-1, 1)))
    right = 100 * share_right(relative_errors(points, labels, one.allowed))
    return np.append(right, mean_of_found(right.reshape(-1, 1)))


def settings_table(settings: list[Setting]) -> str:
    """HTML of the keys whose values differ; whatever is fewer, keys or settings, stands side by side."""
    names, found = [setting.name for setting in settings], differing(settings)
    if not found:
        return ""
    if len(names) <= len(found):
        rows = [[key, *values] for key, values in found.items()]
        return table(["key", *names], [[cell(_short(value)) for value in own] for own in rows], 1 + len(names))
    rows = [[name, *values] for name, values in zip(names, zip(*found.values()))]
    return table(["run", *found], [[cell(_short(value)) for value in own] for own in rows], 1 + len(found))


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
