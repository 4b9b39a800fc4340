"""Notes about annotations that can be read but look wrong, each with the ids it is about."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from semipose.prepare.findings import Finding, note
from semipose.skeletons import Skeleton
from semipose.structures import Persons

_FAR = 0.5  # of the longer side of a box
_NAMED, _NAMED_POINTS = 5, 20  # categories and keypoints that a note lists
_MANY = 0.2  # share of boxes that shows a mistake of the whole file


def person_notes(where: str, persons: Persons, sizes: np.ndarray, skeleton: Skeleton) -> list[Finding]:
    """Keypoints and boxes of persons in any format.

    Args:
        where: file or source, for the text.
        sizes: (I, 2) width and height of the images; NaN where not known.
        skeleton: of the keypoints.
    """
    points, seen = persons.keypoints[..., :2].astype(np.float64), persons.keypoints[..., 2] > 0
    low, limit = persons.boxes[:, None, :2], sizes[persons.image_index][:, None]
    high, side = low + persons.boxes[:, None, 2:], persons.boxes[:, 2:].max(axis=1, initial=0)
    origin = (points == 0).all(-1)
    # off by one pixel is a matter of counting from 0 or 1
    outside = ((points < -1) | (points > limit)).any(-1)
    empty = (persons.boxes[:, 2:] <= 0).any(1)
    far = np.maximum(low - points, points - high).max(-1, initial=0) > _FAR * side[:, None]
    far &= ~outside & ~origin & ~empty[:, None]
    away = ((persons.boxes[:, :2] >= limit[:, 0]) | (high[:, 0] <= 0)).any(1) & ~empty
    checks = {
        "persons with labelled keypoints at (0, 0)": (origin & seen).any(1),
        "persons with labelled keypoints outside their image": (outside & seen).any(1),
        "persons with labelled keypoints far outside their box": (far & seen).any(1),
        "persons whose box has no area": empty,
        "persons whose box lies outside their image": away,
        "persons with the same keypoints as another one in their image": _repeated(persons),
    }
    found = [finding for what, rows in checks.items() for finding in note(where, what, persons.ids[rows])]
    return found + _whole_set(where, points, seen, limit[:, 0], skeleton)


def document_notes(where: str, document: dict, persons: Persons) -> list[Finding]:
    """What only a COCO document shows: ids, categories, areas, counts, and who is left out.

    Args:
        document: sound rows, as the reader takes them.
        persons: what the reader made of them.
    """
    rows = document.get("annotations") or []
    ids = np.array([row["id"] for row in rows], np.int64)
    crowd = np.array([bool(row.get("iscrowd")) for row in rows], bool)
    visible = np.array([_visible(row) for row in rows], np.int64)
    counted = np.array([_number(row, "num_keypoints", known) for row, known in zip(rows, visible.tolist())])
    read = np.isin(ids, persons.ids)
    # a file without areas (AI Challenger, CrowdPose) is as it should be
    given = np.array([row.get("area") is not None for row in rows], bool)
    areas = np.array([_number(row, "area", 1) for row in rows])
    boxed = np.array([_has_box(row) for row in rows], bool)
    checks = {
        "annotations with id 0, which other tools count as not matched (here ids are counted anew)": ids == 0,
        "crowds, left out": crowd & ~read,
        "persons without a labelled keypoint, left out": ~crowd & (visible == 0) & ~read,
        "persons whose box and keypoints lie outside the image, left out": ~crowd & (visible > 0) & ~read,
        "persons without area (taken from the box in training; 0.53 w h in OKS)": read & ~given & (read & given).any(),
        "persons with area 0: OKS gives 0 unless a prediction is exact": read & given & (areas == 0) & boxed,
        "persons whose num_keypoints is 0 though keypoints are labelled: they do not count in AP": read
        & (counted == 0) & (visible > 0),
        "persons whose num_keypoints is not the number of labelled keypoints": read
        & (counted != visible) & (counted > 0) & (visible > 0),
    }  # fmt: skip
    found = [finding for what, chosen in checks.items() for finding in note(where, what, ids[chosen])]
    sound = [row for row, kept in zip(rows, (read & boxed).tolist()) if kept]
    found += _boxes(where, "boxes", sound, document["images"]) + _areas(where, ids, areas, read & given, persons)
    return found + _categories(where, document, rows, visible > 0) + _files(where, document["images"])


def detection_notes(
    where: str, rows: list[dict], images: list[dict], threshold: float, persons: Sequence[int] = (1,)
) -> list[Finding]:
    """Scores, image ids and the format of boxes of a detector; ids are image ids.

    Args:
        rows: sound detections.
        images: sound image rows of the annotation.
        threshold: smallest score that is used.
        persons: ids of the categories that are used.
    """
    known = {row["id"] for row in images}
    table = [(row["image_id"], row["score"], row.get("category_id") in persons) for row in rows]
    strange = sorted({image for image, _, _ in table} - known)
    asked = ", ".join(map(str, persons[:_NAMED])) + (", ..." if len(persons) > _NAMED else "")
    used = {image for image, score, person in table if person and score >= threshold}
    checks = {
        "images with detections that the annotation does not list": strange,
        "images with scores outside 0..1": sorted({image for image, score, _ in table if not 0 <= score <= 1}),
        f"images with detections of other categories than {asked}": sorted({i for i, _, p in table if not p}),
        f"images of the annotation without a person detected (score from {threshold:g})": sorted(known - used),
    }
    found = [finding for what, ids in checks.items() for finding in note(where, what, ids)]
    return found + _boxes(where, "boxes", [row for row in rows if row["image_id"] in known], images)


def _whole_set(where: str, points: np.ndarray, seen: np.ndarray, limit: np.ndarray, skeleton: Skeleton) -> list:
    if not seen.any():
        return []
    found, never = [], [name for name, known in zip(skeleton.keypoints, seen.any(0).tolist()) if not known]
    if never:
        more = f" and {len(never) - _NAMED_POINTS} more" if len(never) > _NAMED_POINTS else ""
        found.append(Finding(f"{where}: keypoints that nobody has: {', '.join(never[:_NAMED_POINTS])}{more}"))
    if points[seen].max() <= 2 < np.nanmax(limit, initial=0):
        found.append(Finding(f"{where}: keypoints are in 0..{points[seen].max():g}; pixels are expected", True))
    return found


def _repeated(persons: Persons) -> np.ndarray:
    """(N,) bool, whether an earlier person of the same image has the same labelled keypoints."""
    seen, again = set(), np.zeros(len(persons), bool)
    labelled = persons.keypoints * persons.keypoints[..., 2:]
    for row in np.flatnonzero(persons.keypoints[..., 2].any(1)).tolist():
        key = (int(persons.image_index[row]), labelled[row].tobytes())
        again[row] = key in seen
        seen.add(key)
    return again


def _visible(row: dict) -> int:
    values = row.get("keypoints")
    return sum(type(v) in (int, float, bool) and v > 0 for v in values[2::3]) if isinstance(values, list) else 0


def _has_box(row: dict) -> bool:
    box = row.get("bbox")
    return isinstance(box, list) and len(box) == 4 and box[2] > 0 and box[3] > 0


def _number(row: dict, field: str, default: float) -> float:
    value = row.get(field)
    return value if type(value) in (int, float) else default


def _boxes(where: str, what: str, rows: list[dict], images: list[dict]) -> list[Finding]:
    """Whether boxes are corners x1, y1, x2, y2 instead of x, y, width, height."""
    sizes = {row["id"]: size for row in images if (size := image_size_of(row))}
    rows = [row for row in rows if row["image_id"] in sizes]
    if len(rows) < 3:
        return []
    boxes = np.array([row["bbox"] for row in rows], np.float64)
    limit = np.array([sizes[row["image_id"]] for row in rows], np.float64)
    corners = (boxes[:, 2:] > boxes[:, :2]).all(1) & (boxes[:, 2:] <= limit + 1).all(1)
    beyond = (boxes[:, :2] + boxes[:, 2:] > 1.02 * limit + 1).any(1)
    if corners.mean() < 0.95 or beyond.mean() < _MANY:
        return []
    text = f"{what} look like x1, y1, x2, y2; x, y, width, height are expected"
    return [Finding(f"{where}: {text}: {beyond.sum()} of {len(rows)} reach out of their image", True)]


def image_size_of(row: dict) -> tuple[int, int] | None:
    """The width and height that an image has in its annotation, if any."""
    width, height = row.get("width") or 0, row.get("height") or 0
    return (width, height) if min(width, height) >= 1 else None


def _areas(where: str, ids: np.ndarray, areas: np.ndarray, given: np.ndarray, persons: Persons) -> list[Finding]:
    """Whether there are areas, in square pixels."""
    if len(ids) and not given.any():
        return [Finding(f"{where}: has no areas: 0.53 w h of the box is taken")]
    boxes = dict(zip(persons.ids.tolist(), (persons.boxes[:, 2] * persons.boxes[:, 3]).tolist()))
    pairs = zip(ids[given].tolist(), areas[given].tolist())
    shares = [area / boxes[number] for number, area in pairs if area > 0 and boxes[number]]
    middle = float(np.median(shares)) if shares else 1
    if 1e-3 < middle < 5:
        return []
    text = f"areas are {middle:.2g} of the box area in the median; square pixels are expected"
    return [Finding(f"{where}: {text}: OKS would be wrong", True)]


def _categories(where: str, document: dict, rows: list[dict], posed: np.ndarray) -> list[Finding]:
    listed = [row for row in document.get("categories") or [] if isinstance(row, dict)]
    categories = {row["id"]: row for row in listed if type(row.get("id")) is int}
    kinds = [row.get("category_id") for row in rows]
    strange = [row["id"] for row, kind in zip(rows, kinds) if kind is not None and _known(kind, categories) is None]
    found = note(where, "annotations whose category_id is not in 'categories'", strange) if categories else []
    used = Counter(repr(kind) for kind, has_pose in zip(kinds, posed.tolist()) if has_pose)
    if len(used) > 1:
        text = ", ".join(f"{kind} ({count} annotations)" for kind, count in used.most_common())
        found.append(Finding(f"{where}: several categories have keypoints: {text}"))
    if used and not any(isinstance(row.get("keypoints"), list) for row in listed):
        found.append(Finding(f"{where}: no category names its keypoints: they are taken to be those of the skeleton"))
    return found


def _known(kind: object, categories: dict) -> dict | None:
    return categories.get(kind) if type(kind) is int else None


def _files(where: str, images: list[dict]) -> list[Finding]:
    first: dict[str, int] = {}
    again = [row["id"] for row in images if first.setdefault(row["file_name"], row["id"]) != row["id"]]
    return note(where, "images whose file has another image id too", again)
