"""The shapes of one labelme file as persons; labelme.py says what they mean."""

import re
from collections import Counter
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from semipose.data.formats.json_rows import Table
from semipose.skeletons import Skeleton

UNCERTAIN = "uncertain"  # the note of `semipose label` at a joint to look at closely
_VISIBILITY = {"": 2, "0": 0, "1": 1, "2": 2}
_LARGEST = 1e9  # pixels
NO_GROUP = -1


class _Point(NamedTuple):
    """A point shape: its row, group_id, keypoint, and x, y, v."""

    row: int
    group: int
    joint: int
    value: tuple[float, float, int]


class _Rectangle(NamedTuple):
    """A rectangle shape: its row, group_id, and (2, 2) corners, low and high."""

    row: int
    group: int
    corners: np.ndarray

    @property
    def person(self) -> tuple[int, int]:
        """What tells its person apart: the group_id, or its row if there is none."""
        return self.group, self.row if self.group == NO_GROUP else -1

    def holds(self, point: _Point) -> bool:
        return bool(((self.corners[0] <= point.value[:2]) & (point.value[:2] <= self.corners[1])).all())


def people_of(
    table: Table, skeleton: Skeleton, ignore_unknown: bool, counts: Counter
) -> list[tuple[int, np.ndarray, np.ndarray | None]]:
    """Group, (K, 3) x, y, v and the box's (2, 2) corners or None, of each person in a file.

    `counts` takes what is to be told: `notes` (descriptions that are no visibility), `placed` (points that belong to
    the only rectangle they are in), under ("unknown", label) the points of labels that are ignored, and under ("shape",
    type) the shapes that are neither points nor rectangles.
    """
    points, rectangles = _points(table, skeleton, ignore_unknown, counts), _rectangles(table)
    persons = _persons(table, points, rectangles, counts)
    keypoints = {person: np.full((len(skeleton), 3), np.nan) for person in persons.values()}
    for point in (point for point in points if point.row in persons):
        joints = keypoints[persons[point.row]]
        if not np.isnan(joints[point.joint, 0]):
            label, group = table.rows[point.row]["label"], table.rows[point.row].get("group_id")
            again = f"{label!a} is there twice with group_id {group}"
            table.fault(point.row, "label", f"{again}; each person needs its own")
        joints[point.joint] = point.value
    return _joined(table, keypoints, rectangles, len(skeleton))


def _points(table: Table, skeleton: Skeleton, ignore_unknown: bool, counts: Counter) -> list[_Point]:
    labels, found = table.texts("label"), []
    for row, shape in enumerate(table.rows):
        kind = shape.get("shape_type")
        if kind != "point":
            counts["shape", str(kind)] += kind != "rectangle"
            continue
        joint = keypoint_number(labels[row], skeleton.keypoints)
        if joint is None and ignore_unknown:
            counts["unknown", labels[row]] += 1
            continue
        if joint is None:
            known = f"skeleton {skeleton.name!r}: {', '.join(skeleton.keypoints)}"
            advice = "'ignore_unknown: true' in the source leaves such points out"
            table.fault(row, "label", f"{labels[row]!a} is not one of the keypoints of {known}; {advice}")
            continue
        x, y = _corners(table, row, 1)[0]
        found.append(_Point(row, _group(table, row), joint, (x, y, _visibility(shape, counts))))
    return found


def _rectangles(table: Table) -> list[_Rectangle]:
    rows = [row for row, shape in enumerate(table.rows) if shape.get("shape_type") == "rectangle"]
    corners = [_corners(table, row, 2) for row in rows]
    sorted_corners = [np.stack([c.min(axis=0), c.max(axis=0)]) for c in corners]
    return [_Rectangle(row, _group(table, row), corners) for row, corners in zip(rows, sorted_corners)]


def keypoint_number(label: str, names: tuple[str, ...]) -> int | None:
    """The keypoint of exactly this name, or else the only one of this plain name."""
    return names.index(label) if label in names else _plain_numbers(names).get(_plain(label))


@lru_cache
def _plain_numbers(names: tuple[str, ...]) -> dict[str, int]:
    plain = [_plain(name) for name in names]
    return {name: number for number, name in enumerate(plain) if plain.count(name) == 1}


def _plain(label: str) -> str:
    return re.sub(r"[\s_-]+", "_", label.strip()).casefold()


def _persons(
    table: Table, points: list[_Point], rectangles: list[_Rectangle], counts: Counter
) -> dict[int, tuple[int, int]]:
    """The person of each point, by row: that of its group_id, else of its rectangle; none for points of nobody.

    A rectangle takes points without a group_id if it has none itself, or if no point has its group_id. If only one of
    the first kind is there, it takes all of them if it is around any; of several, the only one around a point takes it.
    """
    persons = {point.row: (point.group, -1) for point in points}
    loose = [point for point in points if point.group == NO_GROUP]
    posed = {point.group for point in points} - {NO_GROUP}
    free = [rectangle for rectangle in rectangles if rectangle.group not in posed]
    around = {point.row: [rectangle for rectangle in free if rectangle.holds(point)] for point in loose}
    nameless = any(rectangle.group == NO_GROUP for rectangle in free)
    if not any(around.values()) and (len(free) == 1 or not nameless):
        return persons
    if len(free) == 1 and nameless:
        return persons | dict.fromkeys(around, free[0].person)
    for point in loose:
        found = around[point.row]
        if len(found) == 1:
            persons[point.row] = found[0].person
            counts["placed"] += 1
            continue
        del persons[point.row]
        if point.value[2]:
            where = f"in {len(found) or 'no'} rectangle{'s' * bool(found)}"
            advice = "give each rectangle and its points a group_id of their own"
            table.fault(point.row, "group_id", f"is not given, and the point lies {where}; {advice}")
    return persons


def _joined(
    table: Table, keypoints: dict[tuple[int, int], np.ndarray], rectangles: list[_Rectangle], count: int
) -> list[tuple[int, np.ndarray, np.ndarray | None]]:
    """Persons with points come first, then those that only have a rectangle."""
    people = {person: (person[0], np.nan_to_num(joints), None) for person, joints in keypoints.items()}
    for rectangle in rectangles:
        group, joints, corners = people.get(rectangle.person, (rectangle.group, np.zeros((count, 3)), None))
        if corners is not None:
            table.fault(rectangle.row, "group_id", "its person has a rectangle already; each person needs its own")
        people[rectangle.person] = group, joints, rectangle.corners
    return list(people.values())


def _group(table: Table, row: int) -> int:
    group = table.rows[row].get("group_id")
    if group is None:
        return NO_GROUP
    if type(group) is not int or not 0 <= group < 2**63:
        table.refuse(np.arange(len(table)) == row, "group_id", "must be a whole number, 0 or more, found {}")
        return NO_GROUP
    return group


def _visibility(shape: dict, counts: Counter) -> int:
    """COCO's v in the description; any other text there is a note, and the point is visible."""
    text = shape.get("description")
    text = "" if text is None else str(text).strip()
    counts["notes"] += text not in _VISIBILITY and text != UNCERTAIN
    return _VISIBILITY.get(text, 2)


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
