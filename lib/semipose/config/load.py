"""Read YAML files and command-line pairs into a checked, frozen configuration.

Everything a user can get wrong ends in a ConfigError of one line: where, which key, which value, what is allowed.
"""

import difflib
import os
from collections.abc import Sequence
from pathlib import Path

import yaml
from yacs.config import CfgNode

from semipose.config.convert import convert
from semipose.config.defaults import KEYS, default_config
from semipose.config.key import check_allowed
from semipose.config.paths import expand_paths
from semipose.config.source_keys import SOURCE_KEYS, convert_sources
from semipose.errors import ConfigError
from semipose.plain_yaml import parse_yaml

MAX_BYTES = 1_000_000
MAX_FILES = 50  # joined into one configuration: lists of bases in bases multiply
SKELETON_FILES = (".yaml", ".yml", ".py")
DEFAULTS = default_config()


def load_config(
    files: str | Path | list[str | Path], flags: dict[str, object] | None = None, pairs: list[str] = ()
) -> CfgNode:
    """The defaults, then each file after what it builds on, then flags, then `KEY VALUE` pairs; frozen.

    Args:
        files: one `.yaml` file, or several that are joined left to right: where two set a key, the right one counts.
            `_BASE_: other.yaml` or `_BASE_: [one.yaml, two.yaml]` in a file is what it builds on, relative to it.
        flags: full key -> value, from named flags.
        pairs: `["TRAIN.LR", "0.0005", ...]`.

    Raises:
        ConfigError: naming file or command line, key, value, and what is allowed.
    """
    config = default_config()
    found = []
    for file in files if isinstance(files, list) else [files]:
        _add_with_bases(Path(file), (), found)
    for path, content in found:
        _merge(config, content, str(path), "")
    return _finished(config, flags or {}, pairs)


def config_of_text(
    text: str, where: str, flags: dict[str, object] | None = None, pairs: list[str] = ()
) -> CfgNode:  # fmt: skip
    """As `load_config`, from the text that `to_yaml` made; `where` it was found is for messages."""
    content = parse_yaml(text.encode(), where)
    if not isinstance(content, dict):
        raise ConfigError(f"{where}: KEY: value lines expected, found {type(content).__name__}")
    config = default_config()
    _merge(config, content, where, "")
    return _finished(config, flags or {}, pairs)


def _finished(config: CfgNode, flags: dict[str, object], pairs: list[str]) -> CfgNode:
    for key, value in flags.items():
        _set(config, key, value, "command line")
    if len(pairs) % 2:
        raise ConfigError(f"command line: KEY VALUE pairs expected, {pairs[-1]!r} has no value")
    for key, text in zip(pairs[::2], pairs[1::2]):
        _set(config, key, text, "command line")
    expand_paths(config)
    config.DATASET.SKELETON = skeleton_file(config.DATASET.ROOT, config.DATASET.SKELETON)
    config.freeze()
    return config


def split_words(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """The files that `words` begin with, by their endings (the first is one in any case), and the pairs after them."""
    end = next((k for k, word in enumerate(words) if k and not word.endswith((".yaml", ".yml"))), len(words))
    return list(words[:end]), list(words[end:])


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


def changed_keys(config: CfgNode) -> dict[str, tuple[object, object]]:
    """Value and default of each key that is not as in the defaults."""
    defaults = flat_keys(to_plain(DEFAULTS))
    return {key: (v, defaults[key]) for key, v in flat_keys(to_plain(config)).items() if v != defaults[key]}


def to_yaml(config: CfgNode) -> str:
    """The configuration as a YAML file that `load_config` takes again."""
    return yaml.safe_dump(to_plain(config), sort_keys=False)


def _add_with_bases(path: Path, above: tuple[Path, ...], found: list[tuple[Path, dict]]) -> None:
    """Add the files that `path` builds on to `found`, left to right, then `path`. The files `above` build on it."""
    if len(above) + len(found) >= MAX_FILES:
        raise ConfigError(f"{path}: more than {MAX_FILES} files are joined")
    content = _read_yaml(path)
    if any(os.path.realpath(path) == os.path.realpath(file) for file in above):
        raise ConfigError(f"{above[-1]}: _BASE_: {path} builds on this file; that is a circle")
    bases = content.pop("_BASE_", [])
    bases = [bases] if isinstance(bases, str) else bases
    if not isinstance(bases, list) or not all(base and isinstance(base, str) for base in bases):
        raise ConfigError(f"{path}: _BASE_: {bases!r} is not the name of a file, or a list of names")
    for base in bases:
        _add_with_bases(path.parent / base, (*above, path), found)
    found.append((path, content))


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
    if full == "DATASET.SKELETON" and isinstance(value, dict):  # a skeleton itself; it stays in one text
        value = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=2**31).strip()
    if full in SOURCE_KEYS:
        node[key] = convert_sources(value, full, where)
        return
    node[key] = convert(default, value, full, where)
    check_allowed(KEYS[full], node[key], full, where)


def _unknown(known: CfgNode, full: str, where: str) -> ConfigError:
    names, wanted = _all_keys(DEFAULTS), full.upper()
    close = difflib.get_close_matches(wanted, names, n=1, cutoff=0.8) or [n for n in names if n.endswith("." + wanted)]
    hint = f"did you mean {close[0]}?" if close else f"known here: {', '.join(sorted(known))}"
    if full in names:
        hint = f"in a file write it as {full.replace('.', ': {')}: ...{'}' * full.count('.')}"
    return ConfigError(f"{where}: unknown key {_shown(full)}; {hint}")


def _shown(text: str) -> str:
    """The text in printable characters, on one line."""
    return text if text.isprintable() else ascii(text)


def _all_keys(node: CfgNode, prefix: str = "") -> list[str]:
    keys = []
    for key, value in node.items():
        keys += [prefix + key] + (_all_keys(value, f"{prefix}{key}.") if isinstance(value, CfgNode) else [])
    return keys
