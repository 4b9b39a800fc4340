"""What a run folder says by itself: its numbers, its configuration, the epochs that count."""

import contextlib
import json
import re
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from semipose.config import default_config, flat_keys, load_config, to_plain
from semipose.errors import ConfigError, SemiposeError
from semipose.evaluation import LOWER_IS_BETTER, METRICS
from semipose.evaluation.validation import EACH
from semipose.tracking.sinks import read_rows
from semipose.visualize.learning_curve import main_metric

_KEYS = {key for metric in METRICS.values() for key in metric.keys}
_COUNTS = re.compile(r"^(labelled|unlabelled|validation) +(\S.*)$", re.MULTILINE)
RESULT = "result"  # the network of a run whose record names none


@dataclass(frozen=True)
class Record:
    """One run.

    Attributes:
        folder: with metrics.jsonl.
        name: short, different for each run of a report.
        settings: all keys of its configuration, by full key; {} where config.yaml is not there.
        steps: rows of training steps.
        epochs: one row for each epoch, oldest first.
        counts: what "labelled", "unlabelled" and "validation" are, in words.
        missing: what is not there, a line each.
    """

    folder: Path
    name: str
    settings: dict[str, object]
    steps: list[dict]
    epochs: list[dict]
    counts: dict[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()

    @property
    def metric(self) -> str:
        """What the best epoch is chosen by; "" without an evaluation."""
        wanted = str(self.settings.get("TEST.BEST") or "")
        return wanted if any(_is_number(row.get(wanted)) for row in self.epochs) else main_metric(self.epochs)

    @property
    def evaluated(self) -> list[dict]:
        """The epochs that have a value of the metric."""
        return [row for row in self.epochs if _is_number(row.get(self.metric)) and row[self.metric] != -1]

    @property
    def best(self) -> dict:
        """The row of the best epoch, the earliest of equal ones; {} without an evaluation."""
        rows, metric = self.evaluated, self.metric
        return (min if lower_is_better(metric) else max)(rows, key=lambda row: row[metric]) if rows else {}

    @property
    def last(self) -> dict:
        return self.evaluated[-1] if self.evaluated else {}

    @property
    def networks(self) -> dict[str, dict[str, float]]:
        """By name the metrics of each network in the best epoch."""
        return network_scores(self.best)


def read_record(folder: Path, name: str) -> Record:
    """Everything in a run folder but its networks. Raises ConfigError where there is no metrics.jsonl with a row."""
    if not folder.is_dir():
        raise ConfigError(f"{folder}: does not exist; a run folder expected")
    rows = list(read_rows(folder / "metrics.jsonl"))
    if not rows:
        raise ConfigError(
            f"{folder}: nothing is measured yet (no metrics.jsonl with a row); the folder of a run expected"
        )
    settings, missing = _read_settings(folder / "config.yaml")
    epochs = {}
    for row in rows:
        if "epoch" in row:
            epochs.setdefault(row["epoch"], {}).update(row)
    epochs = [epochs[number] for number in sorted(epochs)]
    if not epochs:
        missing.append("no epoch has ended yet")
    elif not main_metric(epochs):
        missing.append("no evaluation: there is no validation set, or no epoch with one yet")
    steps = [row for row in rows if "epoch" not in row and "split" not in row]
    return Record(folder, name, settings, steps, epochs, _read_counts(folder), tuple(missing))


def network_scores(row: dict) -> dict[str, dict[str, float]]:
    """By name the metrics of each network in the row of an epoch; of `RESULT` where no network is named."""
    found = {}
    for key, value in row.items():
        metric, network = split_key(key)
        if network and _is_number(value) and value != -1:
            found.setdefault(network, {})[metric] = value
    result = {metric: row[metric] for metric in EACH if _is_number(row.get(metric)) and row[metric] != -1}
    return found or ({RESULT: result} if result else {})


def split_key(key: str) -> tuple[str, str]:
    """The metric and the network of a number: ("PCK_px", "first") of PCK_px_first; ("", "") of any other."""
    if key in _KEYS or "_group_" in key or "_category_" in key or "/" in key:
        return "", ""
    for metric in sorted(EACH, key=len, reverse=True):
        if key.startswith(f"{metric}_"):
            return metric, key[len(metric) + 1 :]
    return "", ""


def lower_is_better(metric: str) -> bool:
    return metric.rpartition("/")[2].startswith(LOWER_IS_BETTER)


def in_pixels(metric: str) -> bool:
    """Whether a metric is in pixels; all others are shares."""
    return metric.rpartition("/")[2].startswith("EPE")


def shown(metric: str, value: float) -> float:
    """As it is written: pixels, or percent."""
    return value if in_pixels(metric) else 100 * value


def with_unit(metric: str) -> str:
    return f"{metric} ({'px' if in_pixels(metric) else '%'})"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _read_settings(path: Path) -> tuple[dict[str, object], list[str]]:
    """A file of another version is taken as it is, with defaults for what it does not have."""
    if not path.is_file():
        return {}, [f"{path.name}: settings are not known"]
    try:
        return flat_keys(to_plain(load_config(path))), []
    except SemiposeError as error:
        try:
            tree = yaml.safe_load(path.read_bytes())
        except yaml.YAMLError:
            tree = {}
        own = flat_keys(tree) if isinstance(tree, dict) else {}
        return flat_keys(to_plain(default_config())) | own, [f"configuration: {error}"]


def _read_counts(folder: Path) -> dict[str, str]:
    """From the log what the run said of its data; from labeled.json at least the number of labels."""
    log, file = folder / "run.log", folder / "labeled.json"
    text = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
    counts = dict(_COUNTS.findall(text))
    if "labelled" not in counts and file.is_file():
        with contextlib.suppress(ValueError, KeyError, TypeError):
            counts = {"labelled": f"{len(json.loads(file.read_text())['annotation_ids'])} persons"} | counts
    return counts
