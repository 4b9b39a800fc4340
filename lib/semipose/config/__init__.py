"""Configuration: yacs files, strict keys, one-line errors."""

from semipose.config.defaults import default_config
from semipose.config.load import (
    changed_keys,
    config_of_text,
    flat_keys,
    load_config,
    split_words,
    to_plain,
    to_yaml,
)

__all__ = [
    "changed_keys",
    "config_of_text",
    "default_config",
    "flat_keys",
    "load_config",
    "split_words",
    "to_plain",
    "to_yaml",
]
