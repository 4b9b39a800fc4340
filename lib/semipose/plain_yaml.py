"""YAML of plain text, lists and mappings: nothing in it can run, grow or mean something else than it shows."""

import difflib
import reprlib
from collections import Counter
from collections.abc import Collection, Iterable

import yaml

from semipose.errors import ConfigError

MAX_VALUES = 50_000  # far more than a configuration or a skeleton has; a megabyte of them takes a minute to read


class _PlainLoader(yaml.SafeLoader):
    """Safe YAML without aliases (they can blow up) and tags. Values stay text: `no` and `1e-2` are as written."""

    yaml_implicit_resolvers = {}
    values = 0

    def compose_node(self, parent, index):
        self.values += 1
        if self.values > MAX_VALUES:
            raise yaml.YAMLError(f"more than {MAX_VALUES} values")
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent):
            raise yaml.YAMLError("aliases (*name) are not allowed")
        if getattr(event, "tag", None):
            raise yaml.YAMLError(f"tags (here {reprlib.repr(event.tag)}) are not allowed")
        return super().compose_node(parent, index)

    def construct_mapping(self, node, deep=False):
        keys = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        twice = [key for key, count in keys.items() if count > 1]
        if twice:
            raise yaml.YAMLError(f"key {reprlib.repr(twice[0])} is given twice")
        return super().construct_mapping(node, deep)


def parse_yaml(text: str | bytes, where: str) -> object:
    """What a YAML text holds, as str, list and dict; raises ConfigError, which names `where`."""
    try:
        return yaml.load(text, Loader=_PlainLoader)
    except (yaml.YAMLError, RecursionError, ValueError) as error:  # ValueError: not UTF-8
        raise ConfigError(f"{where}: not valid YAML: {' '.join(str(error).split())}") from error


def check_keys(keys: Iterable, known: Collection[str], where: str) -> None:
    """Raises ConfigError for the first key that is not known, with `where` and the nearest or all known ones."""
    for key in keys:
        if key not in known:
            close = difflib.get_close_matches(str(key), known, n=1)
            hint = f"did you mean {close[0]}?" if close else f"known here: {', '.join(known)}"
            raise ConfigError(f"{where}: unknown key {reprlib.repr(key)}; {hint}")
