"""Annotations of a COCO file as arrays, also where tools write them in another way; for reading and for scoring."""

import numpy as np

from semipose.data.formats.json_rows import Table

# fields of COCO-WholeBody (Jin et al., ECCV 2020) in the order of its 133 keypoints, and how many each of them has
WHOLE_BODY = {"keypoints": 17, "foot_kpts": 6, "face_kpts": 68, "lefthand_kpts": 21, "righthand_kpts": 21}
_FLAGS = {True: 2, False: 0}


def with_keypoints(table: Table) -> np.ndarray:
    """(N,) bool, whether a row has a list of keypoints."""
    return np.array([bool(row.get("keypoints")) for row in table.rows], bool)


def crowds(table: Table) -> np.ndarray:
    """(N,) bool; `iscrowd` may be true or false in place of 1 or 0."""
    return table.integers("iscrowd", default=0, mend=lambda value: int(value) if type(value) is bool else value) != 0


def keypoints(table: Table, count: int, meaning: str) -> np.ndarray:
    """(N, count, 3) float64 x, y, v; zero for rows without keypoints. A v may be true or false in place of 2 or 0."""
    given, found = with_keypoints(table), np.zeros((len(table), count, 3))
    rows = table.where(given).vectors("keypoints", 3 * count, meaning, mend=_with_plain_flags)
    found[given] = rows.reshape(-1, count, 3)
    return found


def file_boxes(table: Table) -> np.ndarray:
    """(N, 4) float64 x, y, width, height; zero for rows without a box."""
    return table.vectors(
        "bbox", 4, "x, y, width, height", default=[0] * 4, mend=lambda box: [0] * 4 if box == [] else box
    )


def join_whole_body(table: Table, count: int) -> int:
    """The five fields of COCO-WholeBody as one list of 133 keypoints, in the rows of the table.

    A part whose `*_valid` flag is false is not labelled. `num_keypoints`, which counts the body, is left to be counted.

    Args:
        count: keypoints of the skeleton; nothing is done unless they are 133.

    Returns:
        Number of rows that were joined.
    """
    joined = 0
    for row, entry in enumerate(table.rows if count == sum(WHOLE_BODY.values()) else ()):
        if any(field in entry for field in list(WHOLE_BODY)[1:]) and not _is_joined(entry):
            parts = [_part(table, row, field, number) for field, number in WHOLE_BODY.items()]
            table.rows[row] = entry | {"keypoints": sum(parts, []), "num_keypoints": None}
            joined += 1
    return joined


def _is_joined(entry: dict) -> bool:
    values = entry.get("keypoints")
    return isinstance(values, list) and len(values) == 3 * sum(WHOLE_BODY.values())


def _part(table: Table, row: int, field: str, number: int) -> list:
    values = table.rows[row].get(field)
    valid = table.rows[row].get(f"{field.removesuffix('_kpts')}_valid", True)
    if not values or not valid:
        return [0] * (3 * number)
    if not isinstance(values, list) or len(values) != 3 * number:
        found = len(values) if isinstance(values, list) else values
        table.fault(row, field, f"must be {3 * number} numbers, x, y, v of {number} keypoints, found {found!a:.60}")
        return [0] * (3 * number)
    return values


def _with_plain_flags(values: object) -> object:
    if not isinstance(values, list):
        return values
    return [_FLAGS[v] if type(v) is bool and place % 3 == 2 else v for place, v in enumerate(values)]
