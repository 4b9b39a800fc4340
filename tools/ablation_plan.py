"""An ablation as a YAML file: which configurations are trained, with which seeds, and what is reported.

    output: output/ablation/demo            folder of runs and tables
    seeds: [0, 2]                           "{seed}" in any text below stands for the seed
    prepare:                                commands that make the data of a seed; "{data}" is the option --data, and
                                            "{seeds}" all seeds, in one command for all of them
      - [tools/make_demo_data.py, --out, "data/demo/seed{seed}", --seed, "{seed}"]
    common: {TRAIN.END_EPOCH: 8}            keys of the configuration for all rows
    metrics:                                keys: the first pattern that fits metrics; the mean of those it fits
      - {name: AP, keys: [AP], scale: 100, digits: 1, compare: difference}      or compare: ratio
    rows:
      - {name: supervised, title: 40 labels, script: train, cfg: experiments/demo/supervised.yaml}
      - {name: longer, base: supervised, overrides: {TRAIN.END_EPOCH: 16}}

A row takes script, cfg and overrides from its `base`, and is compared with it, or with `against`.
"""

import dataclasses
import json
import re
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

import yaml
from run_script import ROOT
from yacs.config import CfgNode

from semipose.config import load_config
from semipose.errors import ConfigError

SCRIPTS = ("train", "cotrain", "cotrain1", "train_2p")
FIXED_ALGORITHM = SCRIPTS[1:]  # these scripts say what ALGORITHM is
COMPARE = ("difference", "ratio")


@dataclass(frozen=True)
class Metric:
    """A column of the table: the mean of what the first fitting pattern of `keys` finds, times `scale`."""

    name: str
    keys: list
    scale: float = 1.0
    digits: int = 1
    compare: str = "difference"

    def of(self, epoch: dict) -> float | None:
        """Its value in the metrics of an epoch; None if they do not have it."""
        for pattern in self.keys:
            found = [v for key, v in epoch.items() if fnmatchcase(key, pattern) and isinstance(v, (int, float))]
            if found:
                return self.scale * sum(found) / len(found)
        return None


@dataclass(frozen=True)
class Row:
    """One configuration. `overrides` are its own keys; `settings` those of its bases as well."""

    name: str
    title: str = ""
    script: str = ""
    cfg: str = ""
    base: str = ""
    against: str = ""
    overrides: dict = field(default_factory=dict)
    settings: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    source: Path
    output: str
    seeds: list
    rows: list
    metrics: list
    common: dict = field(default_factory=dict)
    prepare: list = field(default_factory=list)

    def needs_data(self) -> bool:
        return any("{data}" in str(text) for command in self.prepare for text in command)


def read_plan(path: Path) -> Plan:
    """The plan in a file, with every row's configuration checked.

    Raises:
        ConfigError: one line that names the file, the row and the key.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read: {' '.join(str(error).split())}") from error
    content = _checked(content, Plan, str(path), ("source",))
    metrics = [Metric(**_checked(entry, Metric, f"{path}: metrics")) for entry in content["metrics"]]
    wrong = [metric for metric in metrics if metric.compare not in COMPARE]
    if wrong:
        raise ConfigError(f"{path}: {wrong[0].name}: compare: {wrong[0].compare!r}; allowed: {', '.join(COMPARE)}")
    rows = _resolved([Row(**_checked(row, Row, f"{path}: rows", ("settings",))) for row in content["rows"]], path)
    plan = Plan(path, **content | {"metrics": metrics, "rows": rows})
    if not plan.seeds or not all(type(seed) is int for seed in plan.seeds):
        raise ConfigError(f"{path}: seeds: {plan.seeds!r} is not allowed; whole numbers expected")
    for row in rows:
        row_config(plan, row, plan.seeds[0])
    return plan


def row_config(plan: Plan, row: Row, seed: int) -> CfgNode:
    """The configuration that the row's script makes; raises ConfigError naming the row."""
    fixed = {"ALGORITHM": row.script} if row.script in FIXED_ALGORITHM else {}
    try:
        return load_config(ROOT / row.cfg, fixed | {"SEED": seed}, row_pairs(plan, row, seed))
    except ConfigError as error:
        raise ConfigError(f"{plan.source}: row {row.name}: {error}") from error


def row_pairs(plan: Plan, row: Row, seed: int) -> list[str]:
    """KEY VALUE pairs for the command line of the row's script."""
    pairs = (plan.common | row.settings).items()
    return [filled(text, seed) for key, value in pairs for text in (key, value)]


def filled(value: object, seed: int, data: str | None = None) -> str:
    """A value of the plan as text for a command line."""
    text = value if isinstance(value, str) else json.dumps(value)
    return text.replace("{seed}", str(seed)).replace("{data}", data or "{data}")


def _checked(content: object, kind: type, where: str, hidden: tuple = ()) -> dict:
    """`content`, if it has the fields of the dataclass `kind` in their types."""
    if not isinstance(content, dict):
        raise ConfigError(f"{where}: {content!r} is not allowed; KEY: value lines expected")
    fields = {f.name: f for f in dataclasses.fields(kind) if f.name not in hidden}
    where = f"{where}: {content['name']}" if "name" in content else where
    for key, value in content.items():
        if key not in fields:
            raise ConfigError(f"{where}: unknown key {key!r}; known here: {', '.join(fields)}")
        wanted = (int, float) if fields[key].type is float else fields[key].type
        if not isinstance(value, wanted):
            raise ConfigError(f"{where}: {key}: {value!r} is not allowed; {fields[key].type.__name__} expected")
    for name, item in fields.items():
        if name not in content and item.default is item.default_factory is dataclasses.MISSING:
            raise ConfigError(f"{where}: {name} is missing")
    return content


def _resolved(rows: list[Row], path: Path) -> list[Row]:
    """The rows with everything that they take from their bases, which stand above them."""
    done = {}
    for row in rows:
        where = f"{path}: row {row.name}"
        if not re.fullmatch(r"[\w+-]+", row.name) or row.name in done:
            raise ConfigError(f"{where}: a name is used once, and made of letters, digits and _ + -")
        if row.base and row.base not in done:
            raise ConfigError(f"{where}: base: there is no row {row.base!r} above it")
        base = done[row.base] if row.base else Row("")
        row = dataclasses.replace(
            row, title=row.title or row.name, script=row.script or base.script, cfg=row.cfg or base.cfg,
            against=row.against or row.base, settings=base.settings | row.overrides,
        )  # fmt: skip
        if row.script not in SCRIPTS:
            raise ConfigError(f"{where}: script: {row.script!r} is not allowed; one of {', '.join(SCRIPTS)} expected")
        done[row.name] = row
    missing = [row for row in done.values() if row.against and row.against not in done]
    if missing:
        raise ConfigError(f"{path}: row {missing[0].name}: against: there is no row {missing[0].against!r}")
    return list(done.values())
