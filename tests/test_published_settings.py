"""The settings of papers and of our results can still be reached, and have the values they had."""

import re
from pathlib import Path

import yaml

from semipose.config import flat_keys, load_config, to_plain

HERE = Path(__file__).resolve().parent
EXPERIMENTS = HERE.parent / "experiments"


def load(command: str) -> dict:
    """The configuration of a row such as `data/coco_1k method/cotrain network/res18_256x192 KEY VALUE ...`."""
    words = command.split()
    files = [EXPERIMENTS / f"{word}.yaml" for word in words if "/" in word]
    return flat_keys(to_plain(load_config(files, pairs=[word for word in words if "/" not in word])))


def wanted(table: dict, setting: str) -> dict:
    values = flat_keys(table["everywhere"])
    for pattern, some in table["values"]:
        values |= flat_keys(some) if re.fullmatch(pattern, setting) else {}
    return values


def test_every_setting_is_reached_and_has_its_values():
    table = yaml.safe_load((HERE / "published_settings.yaml").read_text(encoding="utf-8"))
    families, methods = table["families"].items(), table["methods"].items()
    commands = {f"{family} {name}": f"{pieces} {piece}" for family, pieces in families for name, piece in methods}
    commands |= table["reached_by"]
    assert len(commands) == 100
    for setting, command in commands.items():
        config, values = load(command), wanted(table, setting)
        different = {key: (config[key], value) for key, value in values.items() if config[key] != value}
        assert not different, f"{setting}: (found, published): {different}"
