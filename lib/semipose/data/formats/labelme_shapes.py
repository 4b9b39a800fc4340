"""The shapes of one labelme file as persons; labelme.py says what they mean."""

import re
from collections import defaultdict
from functools import lru_cache

import numpy as np

from semipose.data.formats.json_rows import Table
from semipose.skeletons import Skeleton

_VISIBILITY = {"": 2, "0": 0, "1": 1, "2": 2}
_LARGEST = 1e9  # pixels
NO_GROUP = -1


def people_of(table: Table, skeleton: Skeleton) -> list[tuple[int, np.ndarray, np.ndarray | None]]:
    """Group, (K, 3) x, y, v and the box's (2, 2) corners or None, of each person in a file."""
    labels, boxes = table.texts("label"), defaultdict(list)
    points = defaultdict(lambda: np.full((len(skeleton), 3), np.nan))
    for row, shape in enumerate(table.rows):
        if shape.get("shape_type") == "point":
            person = points[_group(table, row)]
            joint = _joint(labels[row], skeleton.keypoints)
            if joint is None:
                known = f"skeleton {skeleton.name!r}: {', '.join(skeleton.keypoints)}"
                table.fault(row, "label", f"{labels[row]!a} is not one of the keypoints of {known}")
                continue
            if not np.isnan(person[joint, 0]):
                again = f"{labels[row]!a} is there twice with group_id {shape.get('group_id')}"
                table.fault(row, "label", f"{again}; each person needs its own")
            person[joint] = (*_corners(table, row, 1)[0], _visibility(table, row))
        elif shape.get("shape_type") == "rectangle":
            corners = _corners(table, row, 2)
            boxes[_group(table, row)].append((row, np.stack([corners.min(axis=0), corners.max(axis=0)])))
    return _joined(table, points, boxes, len(skeleton))


def _joint(label: str, names: tuple[str, ...]) -> int | None:
    """The keypoint of exactly this name, or else the only one of this plain name."""
    return names.index(label) if label in names else _plain_numbers(names).get(_plain(label))


@lru_cache
def _plain_numbers(names: tuple[str, ...]) -> dict[str, int]:
    plain = [_plain(name) for name in names]
    return {name: number for number, name in enumerate(plain) if plain.count(name) == 1}


def _plain(label: str) -> str:
    return re.sub(r"[\s_-]+", "_", label.strip()).casefold()


def _joined(table: Table, points: dict, boxes: dict, count: int) -> list[tuple[int, np.ndarray, np.ndarray | None]]:
    people = []
    for group in dict.fromkeys([*points, *boxes]):
        found = boxes.get(group, [])
        if len(found) > 1 and (group != NO_GROUP or group in points):
            table.fault(found[1][0], "group_id", "its person has a rectangle already; each person needs its own")
        keypoints = np.nan_to_num(points.get(group, np.zeros((count, 3))))
        # rectangles without keypoints and without a group_id are a person each
        people += [(group, keypoints, box) for _, box in found] or [(group, keypoints, None)]
    return people


def _group(table: Table, row: int) -> int:
    group = table.rows[row].get("group_id")
    if group is None:
        return NO_GROUP
    if type(group) is not int or not 0 <= group < 2**63:
        table.refuse(np.arange(len(table)) == row, "group_id", "must be a whole number, 0 or more, found {}")
        return NO_GROUP
    return group


def _visibility(table: Table, row: int) -> int:
    text = table.rows[row].get("description")
    visibility = _VISIBILITY.get("" if text is None else str(text).strip())
    if visibility is None:
        reason = "must be 0 (not labelled), 1 (hidden), 2 (visible) or empty, found {}"
        table.refuse(np.arange(len(table)) == row, "description", reason)
        return 0
    return visibility


def _corners(table: Table, row: int, least: int) -> np.ndarray:
    """(P, 2) float64 finite, P at least `least`; a point has one."""
    pairs = table.rows[row].get("points")
    pairs = pairs if isinstance(pairs, list) else []
    numbers = [n for pair in pairs if isinstance(pair, list) and len(pair) == 2 for n in pair]
    valid = all(type(n) in (int, float) and abs(n) <= _LARGEST for n in numbers)
    if not valid or len(numbers) != 2 * len(pairs) or len(pairs) < least or (least == 1 and len(pairs) > 1):
        what = "one pair" if least == 1 else "two pairs"
        table.refuse(np.arange(len(table)) == row, "points", f"must be {what} of finite numbers x, y, found {{}}")
        return np.zeros((2, 2))
    return np.array(numbers, np.float64).reshape(-1, 2)
