"""Runs that differ only by their seed are one setting; what settings do differently."""

import re
from dataclasses import dataclass
from statistics import fmean, stdev

from semipose.report.records import Record, lower_is_better, network_scores

# starts of keys that say where and how a run was made, not what was trained
_FREE = (
    "NAME", "OUTPUT_DIR", "SEED", "GPUS", "WORKERS", "TRACKING", "CHECKPOINT", "DATASET.CACHE", "DATASET.LINKS",
    "TRAIN.PRINT_FREQ", "TRAIN.PROFILE",
)  # fmt: skip
_SEED = re.compile(r"seed[_-]?\d+")


@dataclass(frozen=True)
class Setting:
    """Runs that are equal but for the seed, of networks or of the data.

    Attributes:
        keys: what they share: all keys but those of `_FREE`, with `seed*` for the seed in names of files.
    """

    name: str
    runs: tuple[Record, ...]
    keys: dict[str, str]

    @property
    def metric(self) -> str:
        return self.runs[0].metric

    @property
    def networks(self) -> dict[str, dict[str, list[float]]]:
        """network -> metric -> the value of each run in its best epoch."""
        return _gathered([run.networks for run in self.runs])

    @property
    def last(self) -> dict[str, dict[str, list[float]]]:
        """As `networks`, of the last epoch."""
        return _gathered([network_scores(run.last) for run in self.runs])

    @property
    def result(self) -> list[float]:
        """The metric of each run in its best epoch."""
        return [run.best[run.metric] for run in self.runs if run.best]


def fold_seeds(records: list[Record]) -> list[Setting]:
    """Settings in the order of their first runs. A run without a known configuration is a setting of its own."""
    found = {}
    for record in records:
        keys = without_seeds(record.settings)
        found.setdefault(tuple(keys.items()) if keys else record.name, []).append((record, keys))
    parts = [([record for record, _ in group], group[0][1]) for group in found.values()]
    names = [common_name([record.name for record in runs]) for runs, _ in parts]
    names = [name if names.count(name) == 1 else runs[0].name for name, (runs, _) in zip(names, parts)]
    return [Setting(name, tuple(runs), keys) for name, (runs, keys) in zip(names, parts)]


def without_seeds(settings: dict[str, object]) -> dict[str, str]:
    """The settings as text, without what runs of one setting may do differently."""
    kept = {key: value for key, value in settings.items() if not key.startswith(_FREE)}
    return {key: _SEED.sub("seed*", str(value)) if key.startswith("DATASET") else str(value)
            for key, value in sorted(kept.items())}  # fmt: skip


def common_name(names: list[str]) -> str:
    """What the names of several runs have in common at their start, without a number or the word seed at its end."""
    if len(names) == 1:
        return names[0]
    first, last = min(names), max(names)
    length = next((n for n, (a, b) in enumerate(zip(first, last)) if a != b), min(len(first), len(last)))
    return re.sub(r"[/_\-. ]*(seed)?[/_\-. ]*\d*$", "", first[:length]) or names[0]


def differing(settings: list[Setting]) -> dict[str, list[str]]:
    """The keys whose values differ between settings, with the value of each."""
    keys = sorted({key for setting in settings for key in setting.keys})
    rows = {key: [setting.keys.get(key, "") for setting in settings] for key in keys}
    return {key: values for key, values in rows.items() if len(set(values)) > 1}


def mean_and_spread(values: list[float]) -> tuple[float, float | None]:
    """Mean and sample standard deviation; None for one value."""
    return fmean(values), stdev(values) if len(values) > 1 else None


def winner(settings: list[Setting]) -> Setting | None:
    """The setting with the best mean result among those with the metric of the first; None without an evaluation."""
    scored = [setting for setting in settings if setting.result]
    rivals = [setting for setting in scored if setting.metric == scored[0].metric]
    if not rivals:
        return None
    best = min if lower_is_better(rivals[0].metric) else max
    return best(rivals, key=lambda setting: fmean(setting.result))


def _gathered(scores: list[dict[str, dict[str, float]]]) -> dict[str, dict[str, list[float]]]:
    found = {}
    for each in scores:
        for network, metrics in each.items():
            for metric, value in metrics.items():
                found.setdefault(network, {}).setdefault(metric, []).append(value)
    return found
