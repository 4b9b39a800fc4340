"""Skeletons that users bring: a YAML file, or a metainfo file of MMPose (see metainfo.py).

How to write one: the keys are the fields of `Skeleton`, keypoints are named, never numbered. `keypoints` and `sigmas`
are needed, the rest may be left out. Without `swaps` they are taken from left and right in the names (see sides.py);
where those are not clear no picture is mirrored. `swaps: []` says that nothing changes places::

    name: heron                      # left out: the name of the file
    keypoints: [bill, left_knee, right_knee, left_foot, right_foot]   # in the order of the annotation
    sigmas: 0.05                     # of OKS: one number for all, or one for each keypoint
    swaps: [[left_knee, right_knee], [left_foot, right_foot]]         # change places in a mirrored image
    links: [[left_knee, left_foot], [right_knee, right_foot]]         # lines in pictures
    upper_body: [bill]               # for half-body augmentation
    loss_weights: [1, 1, 1, 1.5, 1.5]
    head: [left_knee, bill]          # the two ends of the norm of PCKh
    torso: [left_knee, right_knee]   # the two ends of the norm of PCK by torso

Name the file where a skeleton is asked for (`DATASET.SKELETON: heron.yaml`). Use the names of the catalogue for the
same keypoints; then data sets can be mixed without more settings.
"""

import logging
import reprlib
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

from semipose.errors import ConfigError
from semipose.plain_yaml import check_keys, parse_yaml
from semipose.skeletons.metainfo import read_metainfo
from semipose.skeletons.sides import find_sides
from semipose.skeletons.skeleton import MAX_KEYPOINTS, Skeleton

ENDINGS = (".yaml", ".yml", ".py")
MAX_BYTES = 1_000_000
MAX_NAME = 100
KEYS = tuple(field.name for field in fields(Skeleton) if field.name != "mirrors")

_log = logging.getLogger(__name__)


def load_skeleton(path: str | Path) -> Skeleton:
    """The skeleton in a file: `.yaml`, `.yml`, or `.py` for MMPose metainfo, which is parsed and never executed.

    Raises:
        ConfigError: naming the file, the key and what is wrong.
    """
    where = str(path) if str(path).isprintable() else ascii(str(path))
    ending = Path(path).suffix.lower()
    if ending not in ENDINGS:
        raise ConfigError(f"{where}: a skeleton is a file that ends in {', '.join(ENDINGS)}")
    text = _read_text(path, where)
    content = read_metainfo(text, where) if ending == ".py" else parse_yaml(text, where)
    return _loaded(content, where, Path(path).stem)


def skeleton_of_text(text: str, where: str = "DATASET.SKELETON") -> Skeleton:
    """The skeleton in a text that is one mapping of such a file, `{keypoints: [...], sigmas: 0.05}`.

    Raises:
        ConfigError: naming `where`, the key and what is wrong.
    """
    return _loaded(parse_yaml(text, where), where, "own")


def _loaded(content: object, where: str, stem: str) -> Skeleton:
    skeleton = _skeleton(content, where, stem)
    for line in side_notes(skeleton, where, "swaps" in content):
        _log.warning("%s", line)
    return skeleton


def side_notes(skeleton: Skeleton, where: str, swaps_given: bool) -> list[str]:
    """What was made of left and right in the names of a skeleton; nothing where its swaps have them all."""
    sides, swapped = find_sides(skeleton.keypoints), {name for pair in skeleton.swaps for name in pair}
    if swaps_given:
        left_out = [name for pair in sides.pairs for name in pair if name not in swapped]
        text = f"{where}: swaps leaves out {', '.join(left_out)}: they keep their places in a mirrored picture"
        return [text] if left_out else []
    if not skeleton.mirrors:
        return [
            f"{where}: no picture is mirrored (no flips, no flip test), as swaps is missing and these names have no "
            f"clear partner: {', '.join(sides.unclear)}; give swaps: [[left, right], ...], or [] for no pairs"
        ]
    pairs = ", ".join(" - ".join(pair) for pair in sides.pairs)
    return [f"{where}: swaps is missing; {len(sides.pairs)} from the names: {pairs}"] if pairs else []


def _read_text(path: str | Path, where: str) -> str:
    try:
        with open(path, "rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise ConfigError(f"{where}: larger than {MAX_BYTES} bytes")
        return data.decode("utf-8-sig")
    except (OSError, ValueError) as error:  # ValueError: not UTF-8, or a name that no file system can hold
        raise ConfigError(f"{where}: cannot be read: {getattr(error, 'strerror', None) or error}") from error


def _skeleton(content: object, where: str, stem: str) -> Skeleton:
    """The skeleton of plain text and lists; each field in its type, `Skeleton` then checks them against each other."""
    if not isinstance(content, dict):
        raise ConfigError(f"{where}: KEY: value lines expected, found {reprlib.repr(content)}")
    check_keys(content, KEYS, where)
    for key in ("keypoints", "sigmas"):
        if key not in content:
            raise ConfigError(f"{where}: {key}: is missing")
    content = {"name": stem} | content
    values = {key: READERS[key](value, f"{where}: {key}") for key, value in content.items()}
    if not isinstance(content["sigmas"], list):
        values["sigmas"] = values["sigmas"] * len(values["keypoints"])
    if "swaps" not in content:
        sides = find_sides(values["keypoints"])
        values |= {"mirrors": False} if sides.unclear else {"swaps": sides.pairs}
    try:
        return Skeleton(**values)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error


def _name(value: object, where: str) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME or not value.isprintable() or value.isspace():
        raise ConfigError(f"{where}: {reprlib.repr(value)} is not allowed; a name expected")
    return value


def _number(value: object, where: str) -> float:
    try:
        return float(value) if isinstance(value, str) else float(_real(value))
    except (TypeError, ValueError, OverflowError):
        raise ConfigError(f"{where}: {reprlib.repr(value)} is not allowed; a number expected") from None


def _real(value: object) -> int | float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError
    return value


def _list(value: object, where: str, item: Callable) -> tuple:
    if not isinstance(value, list):
        raise ConfigError(f"{where}: {reprlib.repr(value)} is not allowed; a list [a, b, ...] expected")
    if len(value) > MAX_KEYPOINTS:
        raise ConfigError(f"{where}: has {len(value)} items; at most {MAX_KEYPOINTS} are allowed")
    return tuple(item(entry, where) for entry in value)


def _names(value: object, where: str) -> tuple[str, ...]:
    return _list(value, where, _name)


def _pairs(value: object, where: str) -> tuple[tuple[str, ...], ...]:
    return _list(value, where, _names)


def _numbers(value: object, where: str) -> tuple[float, ...]:
    return _list(value, where, _number)


def _one_or_numbers(value: object, where: str) -> tuple[float, ...]:
    return _numbers(value, where) if isinstance(value, list) else (_number(value, where),)


READERS = {
    "name": _name,
    "keypoints": _names,
    "sigmas": _one_or_numbers,
    "swaps": _pairs,
    "links": _pairs,
    "upper_body": _names,
    "loss_weights": _numbers,
    "head": _names,
    "torso": _names,
}
