"""Which labelme files a person has corrected, of those that were written with predictions filled in.

Such a file has at top level `"flags": {"semipose_predicted": true}` and `"semipose": {"sha1": shapes_digest(shapes)}`.
Labelme and X-AnyLabeling keep both when they save it. It counts as corrected when a shape is different, or when the
flag has been switched off, which says that the predictions are right as they are.
"""

import hashlib
import json

FLAG = "semipose_predicted"
RECORD = "semipose"


def shapes_digest(shapes: list) -> str:
    """SHA-1 of what a person edits: label, place, group, type and description of the shapes, in any order.

    Fields that a tool adds when it saves a file, and less than a thousandth of a pixel, do not count.
    """
    rows = sorted(json.dumps(_edited(shape), sort_keys=True) for shape in shapes)
    return hashlib.sha1("\n".join(rows).encode()).hexdigest()


def as_predicted(document: dict) -> dict:
    """The document of a labelme file, which now says that nobody has corrected it yet."""
    return document | {"flags": {FLAG: True}, RECORD: {"sha1": shapes_digest(document["shapes"])}}


def is_corrected(document: dict) -> bool:
    """Whether the shapes of a labelme file are a person's: never predicted, changed since, or its flag is off."""
    record, flags, shapes = (document.get(key) for key in (RECORD, "flags", "shapes"))
    digest = record.get("sha1") if isinstance(record, dict) else None
    if digest is None or not isinstance(shapes, list):
        return True
    return (isinstance(flags, dict) and flags.get(FLAG) is False) or shapes_digest(shapes) != digest


def _edited(shape: object) -> object:
    if not isinstance(shape, dict):
        return shape
    words = {key: shape.get(key) or "" for key in ("label", "shape_type", "description")}
    return words | {"group_id": shape.get("group_id"), "points": _rounded(shape.get("points"))}


def _rounded(points: object) -> object:
    if isinstance(points, list):
        return [_rounded(point) for point in points]
    if type(points) is float or (type(points) is int and abs(points) < 2**53):
        return round(float(points), 3) + 0.0  # -0.0 is 0.0
    return points
