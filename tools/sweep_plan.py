"""The plan of a sweep: a YAML file with settings, seeds and the metrics to report.

    seeds: [0, 1, 2]                      "{seed}" in any text below stands for the seed
    base:                                 what all settings share
      script: train                       train, cotrain, cotrain1 or train_2p
      cfg: experiments/demo/supervised.yaml          or a list of files
      flags: {workers: 2}                 --workers 2
      overrides: {TRAIN.END_EPOCH: 8}     keys of the configuration
      gap: {supervised: supervised, all_labels: all}   settings: the table has the share of their gap that is given back
    settings:                             each says what it does otherwise
      supervised: {title: 40 labels}
      longer: {overrides: {TRAIN.END_EPOCH: 16}}
      cotrain: {script: cotrain1, cfg: experiments/demo/cotrain.yaml, flags: {ema: 1}}
    metrics:                              or only their names, shares in percent: [AP, EPE]
      AP (%): {keys: [AP], scale: 100}    keys: patterns; the first that fits counts, as the mean of all it fits
    prepare:                              commands that come first, for each seed
      - [tools/make_demo_data.py, --out, "data/demo/seed{seed}", --seed, "{seed}"]

Paths are relative to the folder in which the sweep is started, as on a command line.
"""

import json
import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from yacs.config import CfgNode

from semipose.cli import FLAG_KEYS
from semipose.config import load_config
from semipose.errors import ConfigError
from semipose.evaluation import is_share, with_unit
from semipose.plain_yaml import check_keys, parse_yaml

SCRIPTS = ("train", "cotrain", "cotrain1", "train_2p")
FIXED_ALGORITHM = SCRIPTS[1:]  # these scripts say what ALGORITHM is
GAP = ("supervised", "all_labels")
FLAGS = tuple(flag for flag in FLAG_KEYS if flag not in ("name", "output_dir", "seed", "flip_test"))


@dataclass(frozen=True)
class Metric:
    """A column of the table: the mean of what the first fitting pattern of `keys` finds, times `scale`."""

    name: str
    keys: list[str]
    scale: float = 1.0

    def of(self, epochs: list[dict]) -> float | None:
        """Its newest value in what a run recorded of its epochs; None if they do not have it."""
        for pattern in self.keys:
            for epoch in reversed(epochs):
                found = [v for key, v in epoch.items() if fnmatchcase(key, pattern) and isinstance(v, int | float)]
                if found:
                    return self.scale * sum(found) / len(found)
        return None


@dataclass(frozen=True)
class Setting:
    """What is trained with each seed.

    Attributes:
        gap: the names of the settings `supervised` (the same few labels, no pool) and `all_labels`; {} = none.
    """

    name: str
    title: str
    script: str
    files: list[str]
    flags: dict[str, str]
    overrides: dict[str, str]
    gap: dict[str, str]

    def pairs(self, seed: int) -> list[str]:
        """KEY VALUE pairs for the command line."""
        return [filled(text, seed) for pair in self.overrides.items() for text in pair]


@dataclass(frozen=True)
class Plan:
    seeds: list[int]
    settings: list[Setting]
    metrics: list[Metric]
    prepare: list[list[str]]


def read_plan(path: Path) -> Plan:
    """The plan in a file, with the configuration of each setting checked.

    Raises:
        ConfigError: one line that names the file and the key.
    """
    try:
        content = parse_yaml(path.read_bytes(), str(path))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    content = _mapping(content, str(path), ("seeds", "base", "settings", "metrics", "prepare"))
    for key in ("seeds", "settings", "metrics"):
        if not content.get(key):
            raise ConfigError(f"{path}: {key} is missing or empty")
    seeds = [_number(int, seed, f"{path}: seeds") for seed in _texts(content["seeds"], f"{path}: seeds")]
    base = _differences(content.get("base", {}), f"{path}: base")
    named = _mapping(content["settings"], f"{path}: settings")
    settings = [_setting(name, base, own or {}, f"{path}: settings: {name}") for name, own in named.items()]
    for setting in settings:
        _check(setting, seeds[0], f"{path}: settings: {setting.name}")
        _check_gap(setting, list(named), f"{path}: settings: {setting.name}")
    commands = [_texts(command, f"{path}: prepare") for command in content.get("prepare", [])]
    return Plan(seeds, settings, _metrics(content["metrics"], f"{path}: metrics"), commands)


def filled(value: object, seed: int) -> str:
    """A value of the plan as text for a command line."""
    return (value if isinstance(value, str) else json.dumps(value)).replace("{seed}", str(seed))


def _differences(content: object, where: str) -> dict:
    content = _mapping(content, where, ("title", "script", "cfg", "flags", "overrides", "gap"))
    _mapping(content.get("gap", {}), f"{where}: gap", GAP)
    _mapping(content.get("flags", {}), f"{where}: flags", FLAGS)
    _mapping(content.get("overrides", {}), f"{where}: overrides")
    return content


def _setting(name: str, base: dict, own: object, where: str) -> Setting:
    own = _differences(own, where)
    if not re.fullmatch(r"[\w+-]+", name):
        raise ConfigError(f"{where}: a name is made of letters, digits and _ + -")
    script, files = (own.get(key) or base.get(key, "") for key in ("script", "cfg"))
    if script not in SCRIPTS:
        raise ConfigError(f"{where}: script: {script!r} is not allowed; allowed: {', '.join(SCRIPTS)}")
    if not files:
        raise ConfigError(f"{where}: cfg is missing")
    files = _texts(files if isinstance(files, list) else [files], f"{where}: cfg")
    (title,) = _texts([own.get("title", name)], f"{where}: title")
    flags, overrides = (base.get(key, {}) | own.get(key, {}) for key in ("flags", "overrides"))
    return Setting(name, title, script, files, flags, overrides, base.get("gap", {}) | own.get("gap", {}))


def configuration(setting: Setting, seed: int) -> CfgNode:
    """What a setting trains with, but for name and folder. Raises ConfigError."""
    fixed = {"ALGORITHM": setting.script} if setting.script in FIXED_ALGORITHM else {}
    flags = {FLAG_KEYS[name]: filled(value, seed) for name, value in setting.flags.items()}
    files = setting.files if len(setting.files) > 1 else setting.files[0]
    return load_config(files, fixed | {"SEED": seed} | flags, setting.pairs(seed))


def _check(setting: Setting, seed: int, where: str) -> None:
    """Raises ConfigError if no configuration can be made of a setting."""
    try:
        configuration(setting, seed)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error


def _check_gap(setting: Setting, names: list[str], where: str) -> None:
    if setting.gap and setting.gap.keys() != set(GAP):
        raise ConfigError(f"{where}: gap names {', '.join(setting.gap)}; it needs {' and '.join(GAP)}")
    for end, name in setting.gap.items():
        if name not in names:
            raise ConfigError(f"{where}: gap: {end}: there is no setting {name!r}; there are: {', '.join(names)}")


def _metrics(content: object, where: str) -> list[Metric]:
    if isinstance(content, list):
        return [Metric(with_unit(name), [name], 100 if is_share(name) else 1) for name in _texts(content, where)]
    metrics = []
    for name, given in _mapping(content, where).items():
        given = _mapping(given or {}, f"{where}: {name}", ("keys", "scale"))
        keys = _texts(given.get("keys", [name]), f"{where}: {name}: keys")
        metrics.append(Metric(name, keys, _number(float, given.get("scale", "1"), f"{where}: {name}: scale")))
    return metrics


def _mapping(value: object, where: str, known: tuple[str, ...] = ()) -> dict:
    if not isinstance(value, dict):
        raise ConfigError(f"{where}: {value!r} is not allowed; KEY: value lines expected")
    if known:
        check_keys(value, known, where)
    return value


def _texts(value: object, where: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise ConfigError(f"{where}: {value!r} is not allowed; a list expected")
    return value


def _number(kind: type, text: object, where: str) -> int | float:
    try:
        return kind(text)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{where}: {text!r} is not allowed; a number expected") from error
