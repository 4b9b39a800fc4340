"""Read YAML files and command-line pairs into a checked, frozen configuration.

Everything a user can get wrong ends in a ConfigError of one line: where, which key, which value, what is allowed.
"""

import difflib
import os
from pathlib import Path

import yaml
from yacs.config import CfgNode

from semipose.config.convert import check_limits, convert
from semipose.config.defaults import default_config
from semipose.config.source_keys import SOURCE_KEYS, convert_sources
from semipose.errors import ConfigError
from semipose.plain_yaml import parse_yaml

MAX_BYTES = 1_000_000
MAX_BASES = 10
SKELETON_FILES = (".yaml", ".yml", ".py")
DEFAULTS = default_config()


def load_config(path: str | Path, flags: dict[str, object] | None = None, pairs: list[str] = ()) -> CfgNode:
    """The defaults, then the file's `_BASE_` chain, then the file, then flags, then `KEY VALUE` pairs; frozen.

    Args:
        path: a `.yaml` file. `_BASE_: other.yaml` in it names the file (relative to it) that it builds on.
        flags: full key -> value, from named flags.
        pairs: `["TRAIN.LR", "0.0005", ...]`.

    Raises:
        ConfigError: naming file or command line, key, value, and what is allowed.
    """
    config = default_config()
    for file, content in _chain(Path(path)):
        _merge(config, content, str(file), "")
    for key, value in (flags or {}).items():
        _set(config, key, value, "command line")
    if len(pairs) % 2:
        raise ConfigError(f"command line: KEY VALUE pairs expected, {pairs[-1]!r} has no value")
    for key, text in zip(pairs[::2], pairs[1::2]):
        _set(config, key, text, "command line")
    config.DATASET.SKELETON = skeleton_file(config.DATASET.ROOT, config.DATASET.SKELETON)
    config.freeze()
    return config


def skeleton_file(root: str, name: str) -> str:
    """A skeleton's file as given, or else below the root of the data; other names as they are."""
    below = os.path.join(root, name)
    return below if name.endswith(SKELETON_FILES) and not os.path.isfile(name) and os.path.isfile(below) else name


def to_plain(config: CfgNode) -> dict:
    """The configuration as nested plain dicts."""
    return {k: to_plain(v) if isinstance(v, CfgNode) else v for k, v in config.items()}


def flat_keys(tree: dict, prefix: str = "") -> dict:
    """A nested configuration by full key: {"TRAIN.LR": 0.001, ...}."""
    flat = {}
    for key, value in tree.items():
        flat |= flat_keys(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat


def to_yaml(config: CfgNode) -> str:
    """The configuration as a YAML file that `load_config` takes again."""
    return yaml.safe_dump(to_plain(config), sort_keys=False)


def _chain(path: Path) -> list[tuple[Path, dict]]:
    files = []
    while path is not None:
        if len(files) >= MAX_BASES:
            raise ConfigError(f"{path}: _BASE_: more than {MAX_BASES} files build on each other; is there a circle?")
        content = _read_yaml(path)
        base = content.pop("_BASE_", None)
        if base is not None and not isinstance(base, str):
            raise ConfigError(f"{path}: _BASE_: {base!r} is not the name of a file")
        files.append((path, content))
        path = path.parent / base if base else None
    return files[::-1]


def _read_yaml(path: Path) -> dict:
    if path.suffix not in (".yaml", ".yml"):
        raise ConfigError(f"{path}: a configuration is a .yaml file")
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: a name that no file system can hold
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"{_shown(str(path))}: cannot be read: {reason}") from error
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{path}: larger than {MAX_BYTES} bytes")
    content = parse_yaml(data, str(path))
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: KEY: value lines expected, found {type(content).__name__}")
    return content


def _merge(config: CfgNode, content: dict, where: str, prefix: str) -> None:
    for key, value in content.items():
        full = f"{prefix}{key}"
        node = config.get(key)
        if isinstance(node, CfgNode) and isinstance(value, dict):
            _merge(node, value, where, full + ".")
        else:
            _set_in(config, key, full, value, where)


def _set(config: CfgNode, full: str, value: object, where: str) -> None:
    node, parts = config, full.split(".")
    for part in parts[:-1]:
        node = node.get(part) if isinstance(node, CfgNode) else None
    if not isinstance(node, CfgNode):
        raise _unknown(config, full, where)
    _set_in(node, parts[-1], full, value, where, config)


def _set_in(node: CfgNode, key: str, full: str, value: object, where: str, root: CfgNode | None = None) -> None:
    if key not in node:
        raise _unknown(root or node, full, where)
    default = DEFAULTS
    for part in full.split("."):
        default = default[part]
    if full in SOURCE_KEYS:
        node[key] = convert_sources(value, full, where)
        return
    node[key] = convert(default, value, full, where)
    check_limits(node[key], full, where)


def _unknown(known: CfgNode, full: str, where: str) -> ConfigError:
    names, wanted = _all_keys(DEFAULTS), full.upper()
    close = difflib.get_close_matches(wanted, names, n=1, cutoff=0.8) or [n for n in names if n.endswith("." + wanted)]
    hint = f"did you mean {close[0]}?" if close else f"known here: {', '.join(sorted(known))}"
    if full in names:
        hint = f"in a file write it as {full.replace('.', ': {')}: ...{'}' * full.count('.')}"
    return ConfigError(f"{where}: unknown key {_shown(full)}; {hint}")


def _shown(text: str) -> str:
    """The text, so written that it stays on one line."""
    return text if text.isprintable() else ascii(text)


def _all_keys(node: CfgNode, prefix: str = "") -> list[str]:
    keys = []
    for key, value in node.items():
        keys += [prefix + key] + (_all_keys(value, f"{prefix}{key}.") if isinstance(value, CfgNode) else [])
    return keys
