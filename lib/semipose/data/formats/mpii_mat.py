"""The original annotation of MPII Human Pose, `mpii_human_pose_v1_u12_1.mat`, as rows of the JSON that is made from it.

Its variable is the struct RELEASE: `annolist(i).image.name` and `annolist(i).annorect(j)`, a person, with the head box
`x1, y1, x2, y2`, `scale`, `objpos.x, .y` and `annopoints.point(k).x, .y, .id`; `img_train(i)` is 1 for an image with
labels. Where there is nothing, MATLAB leaves a field empty or leaves it out. A list of one entry is not a list there.
"""

import logging

import numpy as np

from semipose.data.formats.mat_file import load_mat
from semipose.errors import DataError

_log = logging.getLogger(__name__)
_NUM_JOINTS = 16


def release_rows(file: str, release: object = None) -> list[dict]:
    """The persons on training images that have joints, a position and a scale.

    A joint is labelled if it is in the list; `is_visible` is about occlusion and often empty, so it is not read.

    Args:
        file: the .mat file.
        release: its variable RELEASE, if it has been read already.

    Returns:
        Rows `{id, image, center, scale, joints, joints_vis, head}`: as in the JSON, still counted from 1; `id` is for
        messages, `head` is the head box x1, y1, x2, y2 or None.

    Raises:
        DataError: naming the file, the image, the number of the person on it (from 1) and the reason.
    """
    release = load_mat(file, "RELEASE")["RELEASE"] if release is None else release
    images, train = _list(_field(release, "annolist")), np.atleast_1d(_field(release, "img_train"))
    if not images or train.shape != (len(images),):
        raise DataError(f"{file}: RELEASE must have annolist and img_train of one length, found {len(images)} images")
    persons = [row for image, flag in zip(images, train.tolist()) if flag == 1 for row in _persons(file, image)]
    complete = [row for row in persons if None not in (row["joints"], row["center"], row["scale"])]
    _log.info(
        "%s: %d persons with joints; left out: %d without joints, position or scale",
        file, len(complete), len(persons) - len(complete),
    )  # fmt: skip
    return complete


def _persons(file: str, image: object) -> list[dict]:
    name = _field(image, "image", "name")
    name = name if isinstance(name, str) else None
    return [
        _person(file, name, f"{name}, person {number}", person)
        for number, person in enumerate(_list(_field(image, "annorect")), 1)
    ]


def _person(file: str, image: str | None, label: str, person: object) -> dict:
    center = [_number(_field(person, "objpos", side)) for side in "xy"]
    head = [_number(_field(person, corner)) for corner in ("x1", "y1", "x2", "y2")]
    points = _list(_field(person, "annopoints", "point"))
    joints, labeled = _joints(f"{file}: person id {label!a}", points) if points else (None, None)
    return {
        "id": label,
        "image": image,
        "center": None if None in center else center,
        "scale": _number(_field(person, "scale")),
        "joints": joints,
        "joints_vis": labeled,
        "head": None if None in head else head,
    }


def _joints(label: str, points: list) -> tuple[list, list]:
    joints, labeled = [[0, 0] for _ in range(_NUM_JOINTS)], [0] * _NUM_JOINTS
    for point in points:
        joint = _number(_field(point, "id"))
        if joint not in range(_NUM_JOINTS):
            raise DataError(f"{label}: annopoints: joint id must be 0 to {_NUM_JOINTS - 1}, found {joint}")
        joints[int(joint)] = [_number(_field(point, side)) for side in "xy"]
        labeled[int(joint)] = 1
    return joints, labeled


def _field(struct: object, *names: str) -> object:
    """A field of a struct in a struct; None where a struct or a field is missing."""
    for name in names:
        struct = getattr(struct, name, None) if hasattr(struct, "_fieldnames") else None
    return struct


def _list(value: object) -> list:
    """A struct array as a list of its structs."""
    values = value.ravel().tolist() if isinstance(value, np.ndarray) else [value]
    return [entry for entry in values if hasattr(entry, "_fieldnames")]


def _number(value: object) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):  # empty, a text or a list
        return None
