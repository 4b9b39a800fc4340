"""Skeletons in the metainfo files of MMPose: `dataset_info = dict(keypoint_info={...}, skeleton_info={...}, ...)`."""

import logging
import reprlib

from semipose.errors import ConfigError
from semipose.skeletons.literals import read_assignment
from semipose.skeletons.skeleton import MAX_KEYPOINTS

STAND_IN_SIGMA = 0.05  # for sets that define none, as in the catalogue

_log = logging.getLogger(__name__)


def read_metainfo(text: str, where: str) -> dict[str, object]:
    """The fields of a `Skeleton`, as lists, out of the source text of a metainfo file, which is never executed.

    `type='upper'` makes the upper body; head and torso are not in such a file and stay empty. Where no keypoint has a
    `swap`, there are no swaps in the result. Many sets (hands, faces, animals) have `sigmas=[]`, as they are not scored
    by OKS: `STAND_IN_SIGMA` is taken then, with a warning.

    Args:
        where: the file, for messages.

    Raises:
        ConfigError: naming file, key and what is wrong. MMPose itself checks none of this.
    """
    try:
        info = read_assignment(text, "dataset_info")
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from error
    if not isinstance(info, dict):
        raise ConfigError(f"{where}: dataset_info: {reprlib.repr(info)} is not allowed; dict(...) expected")
    points = _numbered(info, "keypoint_info", where)
    names = [_text(point, "name", f"{where}: keypoint_info: {k}") for k, point in enumerate(points)]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ConfigError(f"{where}: keypoint_info: {twice[0]!r} is the name of more than one keypoint")
    fields = {
        "keypoints": names,
        "sigmas": _sigmas(info, len(names), where),
        "links": _links(names, _numbered(info, "skeleton_info", where) if "skeleton_info" in info else [], where),
        "upper_body": [name for name, point in zip(names, points) if point.get("type") == "upper"],
    }
    swaps = _swaps(names, points, where)
    if swaps:
        fields["swaps"] = swaps
    if "joint_weights" in info:
        fields["loss_weights"] = _per_keypoint(info, "joint_weights", len(names), where)
    return fields | ({"name": _text(info, "dataset_name", where)} if "dataset_name" in info else {})


def _numbered(info: dict, key: str, where: str) -> list[dict]:
    """The values of `{0: dict(...), 1: dict(...), ...}` by number; an `id` inside is ignored, as in MMPose."""
    entries = info.get(key)
    if not isinstance(entries, dict) or sorted(map(str, entries)) != sorted(map(str, range(len(entries)))):
        raise ConfigError(
            f"{where}: {key}: {{0: dict(...), 1: dict(...), ...}} expected, found {reprlib.repr(entries)}"
        )
    if len(entries) > MAX_KEYPOINTS:
        raise ConfigError(f"{where}: {key}: has {len(entries)} items; at most {MAX_KEYPOINTS} are allowed")
    found = [entries.get(number) for number in range(len(entries))]
    for number, entry in enumerate(found):
        if not isinstance(entry, dict):
            raise ConfigError(f"{where}: {key}: {number}: dict(...) expected, found {reprlib.repr(entry)}")
    return found


def _text(entry: dict, key: str, where: str) -> str:
    value = entry.get(key)
    if not isinstance(value, str):
        raise ConfigError(f"{where}: {key}: {reprlib.repr(value)} is not allowed; text expected")
    return value


def _sigmas(info: dict, count: int, where: str) -> list:
    if info.get("sigmas") == []:
        _log.warning("%s: sigmas: is empty; %s stands in, OKS will not compare with others", where, STAND_IN_SIGMA)
        return [STAND_IN_SIGMA] * count
    return _per_keypoint(info, "sigmas", count, where)


def _per_keypoint(info: dict, key: str, count: int, where: str) -> list:
    values = info.get(key)
    if not isinstance(values, list) or len(values) != count:
        found = f"has {len(values)} values" if isinstance(values, list) else f"is {reprlib.repr(values)}"
        raise ConfigError(f"{where}: {key}: {found}; {count} expected, one for each keypoint")
    for value in values:
        if type(value) not in (int, float) or not 0 < value < float("inf"):
            raise ConfigError(f"{where}: {key}: {reprlib.repr(value)} is not allowed; positive numbers expected")
    return values


def _swaps(names: list[str], points: list[dict], where: str) -> list[list[str]]:
    """Each pair once. If only one of the two names the other, that is an error: mirrored labels would be wrong."""
    partner = {name: point.get("swap") or name for name, point in zip(names, points)}
    for name, other in partner.items():
        if not isinstance(other, str) or partner.get(other) != name:
            shown = reprlib.repr(other)
            raise ConfigError(f"{where}: keypoint_info: {name!r} has swap {shown}, which does not swap back")
    return [[name, other] for name, other in partner.items() if names.index(name) < names.index(other)]


def _links(names: list[str], entries: list[dict], where: str) -> list[list[str]]:
    links = [entry.get("link") for entry in entries]
    for number, link in enumerate(links):
        if not isinstance(link, list) or len(link) != 2 or not all(end in names for end in link):
            raise ConfigError(f"{where}: skeleton_info: {number}: link {reprlib.repr(link)} is not two known keypoints")
    return links
