"""Read YAML files and command-line pairs into a checked, frozen configuration.

Everything a user can get wrong ends in a ConfigError of one line: where, which key, which value, what is allowed.
"""

import ast
import difflib
import io
from pathlib import Path

import yaml
from yacs.config import CfgNode

from semipose.config.defaults import default_config
from semipose.errors import ConfigError

MAX_BYTES = 1_000_000
MAX_BASES = 10


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
        _set(config, key, _parse(text), "command line")
    config.freeze()
    return config


def to_plain(config: CfgNode) -> dict:
    """The configuration as nested plain dicts."""
    return {k: to_plain(v) if isinstance(v, CfgNode) else v for k, v in config.items()}


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


class _Loader(yaml.SafeLoader):
    """Safe YAML without aliases (they can blow up) in which `1e-3` is a number."""

    def compose_node(self, parent, index):
        if self.check_event(yaml.events.AliasEvent):
            raise yaml.YAMLError("aliases (*name) are not allowed")
        return super().compose_node(parent, index)

    def construct_mapping(self, node, deep=False):
        keys = [key.value for key, _ in node.value]
        twice = {key for key in keys if keys.count(key) > 1}
        if twice:
            raise yaml.YAMLError(f"key {sorted(twice)[0]!r} is given twice")
        return super().construct_mapping(node, deep)


def _read_yaml(path: Path) -> dict:
    if path.suffix not in (".yaml", ".yml"):
        raise ConfigError(f"{path}: a configuration is a .yaml file")
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{path}: larger than {MAX_BYTES} bytes")
    try:
        content = yaml.load(io.BytesIO(data), Loader=_Loader)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise ConfigError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: KEY: value lines expected, found {type(content).__name__}")
    return content


def _merge(config: CfgNode, content: dict, where: str, prefix: str) -> None:
    for key, value in content.items():
        full = f"{prefix}{key}"
        node = config.get(key) if isinstance(key, str) else None
        if isinstance(node, CfgNode) and isinstance(value, dict):
            _merge(node, value, where, full + ".")
        else:
            _set_in(config, str(key), full, value, where)


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
    node[key] = _converted(node[key], value, full, where)


def _unknown(known: CfgNode, full: str, where: str) -> ConfigError:
    names = _all_keys(default_config())
    close = difflib.get_close_matches(full, names, n=1, cutoff=0.6)
    hint = f"did you mean {close[0]}?" if close else f"known here: {', '.join(sorted(known))}"
    return ConfigError(f"{where}: unknown key {full}; {hint}")


def _all_keys(node: CfgNode, prefix: str = "") -> list[str]:
    keys = []
    for key, value in node.items():
        keys += _all_keys(value, f"{prefix}{key}.") if isinstance(value, CfgNode) else [prefix + key]
    return keys


def _converted(default: object, value: object, full: str, where: str) -> object:
    """`value` in the type of `default`: an int may stand for a float, `1e-3` is a number, a tuple is a list."""
    wanted = type(default)
    if isinstance(value, str) and wanted in (int, float):
        value = _parse(value)
    if wanted is float and type(value) is int:
        value = float(value)
    if wanted is int and type(value) is float and value.is_integer():
        value = int(value)
    if wanted is bool and type(value) is int and value in (0, 1):
        value = bool(value)
    if wanted is str and type(value) in (int, float):
        value = str(value)
    if wanted is list and isinstance(value, tuple):
        value = list(value)
    if wanted is list and isinstance(value, str):
        value = [value]
    if wanted is list and isinstance(value, list) and default and isinstance(default[0], (int, float)):
        if len(value) != len(default) and full.endswith("SIZE"):
            raise ConfigError(f"{where}: {full}: {value!r} needs {len(default)} numbers, as in {default!r}")
        value = [_converted(default[0], item, full, where) for item in value]
    if type(value) is not wanted or isinstance(default, CfgNode):
        raise ConfigError(f"{where}: {full}: {value!r} is not allowed; {_wanted(default)} expected")
    if wanted is float and value != value:
        raise ConfigError(f"{where}: {full}: nan is not allowed; a number expected")
    return value


def _wanted(default: object) -> str:
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "text", list: "a list"}
    example = "KEY: value lines" if isinstance(default, CfgNode) else f"(default {default!r})"
    return f"{names.get(type(default), 'a section with')} {example}"


def _parse(text: str) -> object:
    """A command-line value: true/false, a Python literal, or the text itself."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
    return value if isinstance(value, (int, float, str, list, tuple, bool)) else text
