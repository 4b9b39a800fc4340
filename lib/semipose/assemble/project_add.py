"""One more labelled source in a configuration file, whose other lines and comments stay."""

import os
import re

from yacs.config import CfgNode

from semipose.assemble.set_rows import bottom_up
from semipose.assemble.sources_and_sets import build_source, source_entries
from semipose.config.load import config_of_text, load_config, to_plain
from semipose.data.exclude import named_images
from semipose.data.sources import read_labeled
from semipose.errors import ConfigError, DataError
from semipose.prepare.project.corrected import pictures_folder
from semipose.prepare.project.sides import fitting
from semipose.prepare.project.text import quoted
from semipose.skeletons import get_skeleton

_KEY = re.compile(r"^(\s+)TRAIN_SET:\s*(.*?)\s*(\s#.*)?$")


def corrected_source(config: CfgNode, folder: str, pictures: list[str]) -> dict | None:
    """The entry of TRAIN_SET for a labelme folder; None if it is there already.

    It is seen as whole frames where the labelled sources are, and goes without the pictures whose names validation has
    chosen.

    Args:
        pictures: of the corrected files.

    Raises:
        DataError: all of them are for validation, a picture is not there, a file cannot be read as labels of the
            project's keypoints, or the project's data are not there.
    """
    entries, root = source_entries(config, "TRAIN_SET"), config.DATASET.ROOT
    if not os.path.isdir(root):
        raise DataError(f"DATASET.ROOT {root} is not in this folder; go to where the configuration was written from")
    if any(os.path.realpath(os.path.join(root, each["annotation"])) == os.path.realpath(folder) for each in entries):
        return None
    frames = any(each["format"] == "lightning_pose" and config.DATASET.BOX_PADDING == 1 for each in entries)
    whole = not bottom_up(config) and (frames or any(each["whole_frames"] for each in entries))
    name = os.path.relpath(folder, root).replace(os.sep, "/")
    images = pictures_folder(folder, pictures, root)
    entry = {"annotation": name, "format": "labelme"} | ({"images": images} if images else {})
    entry |= {"whole_frames": True} if whole else {}
    held = [pattern for each in source_entries(config, "TEST_SET") for pattern in each["only"]]
    kept_out = fitting(held, pictures)
    if kept_out and named_images(pictures, kept_out["exclude"], "", "").all():
        raise DataError(f"{folder}: all {len(pictures)} corrected pictures are named as those held out for validation")
    _read(config, entry | kept_out)
    return entry | kept_out


def _read(config: CfgNode, entry: dict) -> None:
    """Raises DataError where the run could not read it, so that it is not written first and found out then."""
    config = config.clone()
    config.defrost()
    config.DATASET.TRAIN_SET = [entry]
    source = build_source(config, source_entries(config, "TRAIN_SET")[0])
    persons = read_labeled(source, get_skeleton(config.DATASET.SKELETON))
    lost = next((path for path in persons.image_paths.tolist() if not os.path.isfile(path)), None)
    if lost:
        raise DataError(f"{source.path(source.annotation)}: picture {lost} is not there")


def with_source(file: str, entry: dict) -> str:
    """The text of a configuration file with one more source in TRAIN_SET.

    Raises:
        ConfigError: TRAIN_SET is not in this file in a form that can be added to; the message has the line.
    """
    with open(file, encoding="utf-8") as stream:
        lines = stream.read().splitlines()
    before, wanted = to_plain(load_config(file)), f"{file}: add this to DATASET.TRAIN_SET: {quoted(entry)}"
    old = before["DATASET"]["TRAIN_SET"]
    before["DATASET"]["TRAIN_SET"] = [*(old if isinstance(old, list) else [old]), entry]
    text = "\n".join(_with_entry(lines, quoted(entry), isinstance(old, list) and len(old) == 1)) + "\n"
    bases = [line for line in lines if line.startswith("_BASE_")]
    try:
        same = not bases and to_plain(config_of_text(text, file)) == before
    except ConfigError:
        same = False
    if not same:
        raise ConfigError(wanted)
    return text


def _with_entry(lines: list[str], entry: str, single: bool) -> list[str]:
    """Lines with the entry at the end of the list of TRAIN_SET; as they are if there is no such key.

    Args:
        single: the list has one entry, so that both get a line of their own.
    """
    for row, line in enumerate(lines):
        found = _KEY.match(line)
        if not found:
            continue
        space, value, reason = found[1], found[2], found[3] or ""
        if value.startswith("[") and value.endswith("]") and single:
            items = [f"{space}  - {item}" for item in (value[1:-1].strip(), entry)]
            return [*lines[:row], f"{space}TRAIN_SET:{reason}", *items, *lines[row + 1 :]]
        if value.startswith("[") and value.endswith("]"):
            value = f"{value[:-1]}, {entry}]" if value[1:-1].strip() else f"[{entry}]"
            return [*lines[:row], f"{space}TRAIN_SET: {value}{reason}", *lines[row + 1 :]]
        if value:
            return [*lines[:row], f"{space}TRAIN_SET: [{value}, {entry}]{reason}", *lines[row + 1 :]]
        end = row + 1
        while end < len(lines) and re.match(rf"{space}(\s+|- )\S", lines[end]):
            end += 1
        dash = re.match(r"\s*", lines[row + 1])[0] if end > row + 1 else f"{space}  "
        return [*lines[:end], f"{dash}- {entry}", *lines[end:]]
    return lines
