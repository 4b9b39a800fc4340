"""Values of the configuration in the type of their default."""

import ast

from yacs.config import CfgNode

from semipose.config.key import MAX_NUMBER
from semipose.errors import ConfigError
from semipose.plain_yaml import parse_yaml

FIXED_LENGTH = ("SIZE", "MASK_JOINTS", "AREA")  # ends of keys whose lists must be as long as the default


def convert(default: object, value: object, full: str, where: str) -> object:
    """`value` in the type of `default`: text is read as that type, an int may stand for a float, 0 and 1 for a bool."""
    wanted = type(default)
    if isinstance(value, str) and wanted is not str:
        value = items(value) if wanted is list else parse(value)
    if wanted is float and type(value) is int:
        value = float(value)
    if wanted is int and type(value) is float and value.is_integer():
        value = int(value)
    if wanted is bool and type(value) is int and value in (0, 1):
        value = bool(value)
    if wanted is str and type(value) in (int, float):
        value = str(value)
    if type(value) is not wanted or isinstance(default, CfgNode):
        raise ConfigError(f"{where}: {full}: {value!r} is not allowed; {_wanted(default)} expected")
    if wanted is list:
        if full.endswith(FIXED_LENGTH) and len(value) != len(default):
            raise ConfigError(f"{where}: {full}: {value!r} needs {len(default)} numbers, as in {default!r}")
        value = [convert(default[0] if default else "", item, full, where) for item in value]
    return value


def _wanted(default: object) -> str:
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "text", list: "a list"}
    example = "KEY: value lines" if isinstance(default, CfgNode) else f"(default {default!r})"
    return f"{names.get(type(default), 'a section with')} {example}"


def parse(text: str) -> object:
    """The number or truth value that a text shows; the text itself if it shows none."""
    if text.lower() in ("true", "false"):
        return text.lower() == "true"
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text
    return value if isinstance(value, (int, float)) and abs(value) < MAX_NUMBER else text


def items(text: str) -> list:
    """The items of `[a, b]`, each as text; any other text is the only item, "" has no items."""
    try:
        content = parse_yaml(text, text) if text.startswith("[") else [text] if text else []
    except ConfigError:
        return [text]
    return content if isinstance(content, list) else [text]
