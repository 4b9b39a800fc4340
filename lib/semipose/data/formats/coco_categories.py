"""The categories of a COCO file: which of them have the keypoints of a skeleton, and which are of persons."""

import logging
from collections import Counter
from collections.abc import Sequence

import numpy as np

from semipose.data.formats.coco_rows import WHOLE_BODY, with_keypoints
from semipose.data.formats.json_rows import NO_INTEGER, Table, describe, load_json
from semipose.data.formats.notices import warn_once
from semipose.errors import ConfigError
from semipose.skeletons import Skeleton

_log = logging.getLogger(__name__)
FITS, RENAMED, OTHER = range(3)
_SHOWN = 9


def categories_of(file: str, document: dict) -> Table:
    """The `categories` of a document; none if it has no such list."""
    categories = document.get("categories")
    return Table(file, "category", [] if categories is None else categories)


def category_names(file: str) -> dict[int, str]:
    """The category of each annotation by annotation id: its name, or its id where the file has no other such name."""
    document = load_json(file)
    names = {row.get("id"): str(row.get("name") or "") for row in categories_of(file, document).rows}
    unique = {kind: name for kind, name in names.items() if list(names.values()).count(name) == 1 and name}
    rows = Table(file, "annotation", document["annotations"])
    kinds = rows.integers("category_id", default=1).tolist()
    return {row.get("id"): "_".join(unique.get(kind, str(kind)).split()) for row, kind in zip(rows.rows, kinds)}


def chosen_categories(kinds: Table, wanted: Sequence[str]) -> np.ndarray:
    """(C,) bool, the categories of these ids or names, or all; raises ConfigError for one that is not in the file."""
    if not wanted:
        return np.ones(len(kinds), bool)
    labels = [{str(row.get("id")), str(row.get("name"))} for row in kinds.rows]
    for name in map(str, wanted):
        if not any(name in label for label in labels):
            known = ", ".join(f"{row.get('id')} {row.get('name')!a}" for row in kinds.rows[:60]) or "none"
            raise ConfigError(f"{kinds.file}: has no category {name!a} (`categories` of the source); it has: {known}")
    return np.array([bool(label & set(map(str, wanted))) for label in labels], bool)


def taken_categories(table: Table, kinds: Table, skeleton: Skeleton, wanted: Sequence[str] = ()) -> np.ndarray:
    """(C,) bool, which categories are read: those that name the keypoints of the skeleton, or name none.

    A category with more names than its annotations have keypoints is believed if the first ones fit, and one with as
    many other names if no category fits better; the log says so. If none is left, each category that names keypoints is
    wrong.

    Args:
        table: annotations.
        wanted: ids or names to choose; empty = all that fit.

    Raises:
        ConfigError: a wanted category is not in the file.
    """
    chosen, named = chosen_categories(kinds, wanted), with_keypoints(kinds)
    fit = np.array([_fit(row, table, skeleton) if row.get("keypoints") else FITS for row in kinds.rows], np.int64)
    best = fit[named & chosen].min(initial=OTHER)
    if (named & chosen).any() and best == OTHER:
        for row in np.flatnonzero(named & chosen).tolist():
            kinds.fault(row, "keypoints", _reason(kinds.rows[row]["keypoints"], skeleton))
        return chosen
    for row in np.flatnonzero([not isinstance(row.get("keypoints") or [], list) for row in kinds.rows]).tolist():
        kinds.fault(row, "keypoints", _reason(kinds.rows[row]["keypoints"], skeleton))
    _say_names(kinds, chosen & named & (fit == best), skeleton)
    return chosen & (~named | (fit == best))


def has_other_keypoints(table: Table, kinds: Table, skeleton: Skeleton, wanted: Sequence[str]) -> bool:
    """Whether no category has the keypoints of the skeleton, and one names another number of them."""
    rows = kinds.where(chosen_categories(kinds, wanted) & with_keypoints(kinds)).rows
    numbers = {len(row["keypoints"]) for row in rows if isinstance(row["keypoints"], list)}
    return bool(numbers - {len(skeleton)}) and all(_fit(row, table, skeleton) == OTHER for row in rows)


def taken_rows(table: Table, kinds: Table, taken: np.ndarray, wanted: Sequence[str] = ()) -> np.ndarray:
    """(N,) bool, which annotations are of a taken category.

    Args:
        taken: (C,) bool, of `taken_categories`.
        wanted: as given there; if there are any, each annotation needs a category.
    """
    if taken.all():
        return np.ones(len(table), bool)
    ids, found = kinds.integers("id"), table.integers("category_id", default=None if wanted else NO_INTEGER)
    return np.isin(found, ids[taken]) if wanted else ~np.isin(found, ids[~taken])


def say_left_out(table: Table, kinds: Table, rows: np.ndarray, wanted: Sequence[str]) -> None:
    """Logs how many annotations of which categories are left out, if any."""
    if rows.all():
        return
    counts = Counter(row.get("category_id") for row in table.where(~rows).rows if _is_id(row.get("category_id")))
    names = {row.get("id"): row.get("name") for row in kinds.rows if _is_id(row.get("id"))}
    text = ", ".join(f"{describe(names.get(kind, kind))} ({count})" for kind, count in counts.most_common(_SHOWN))
    why = "whose category is not in `categories`" if wanted else "of categories with other keypoints"
    warn_once(_log, "%s: left out %d annotations %s: %s", table.file, (~rows).sum(), why, text)


def _is_id(value: object) -> bool:
    return type(value) is int


def person_categories(kinds: Table, taken: np.ndarray, chosen: bool) -> np.ndarray | None:
    """Ids of the categories that are of persons: those that the user chose; else those that name keypoints; else the
    one named 'person'. None: the file does not tell, so all are."""
    named, person = with_keypoints(kinds), np.array([row.get("name") == "person" for row in kinds.rows], bool)
    masks = (taken, np.ones(len(kinds), bool)) if chosen else (taken & named, person)
    found = next((mask for mask in masks if mask.any()), None)
    return None if found is None else kinds.where(found).integers("id")


def _fit(category: dict, table: Table, skeleton: Skeleton) -> int:
    """How well the names of a category's keypoints are those of the skeleton."""
    names, own = category["keypoints"], list(map(_plain, skeleton.keypoints))
    if not isinstance(names, list) or (len(names) > len(own) and not _has_fewer(table, category, len(own))):
        return OTHER
    plain = list(map(_plain, names))
    if _is_body(plain, own) or plain[: len(own)] == own:
        return FITS
    if len(plain) < len(own):
        return OTHER
    others = {name for name, expected in zip(plain, own) if name != expected}
    return OTHER if others & set(own) else RENAMED


def _has_fewer(table: Table, category: dict, count: int) -> bool:
    """Whether all annotations of a category with keypoints have so many."""
    kinds = (None, category.get("id"))
    lists = [row["keypoints"] for row in table.rows if row.get("keypoints") and row.get("category_id") in kinds]
    return bool(lists) and all(isinstance(values, list) and len(values) == 3 * count for values in lists)


def _is_body(plain: list[str], own: list[str]) -> bool:
    """COCO-WholeBody names its body keypoints only."""
    body = WHOLE_BODY["keypoints"]
    return len(own) == sum(WHOLE_BODY.values()) and plain == own[:body]


def _reason(names: object, skeleton: Skeleton) -> str:
    expected = f"the {len(skeleton)} keypoints of skeleton {skeleton.name!r}"
    if not isinstance(names, list) or len(names) < len(skeleton):
        return f"must name {expected}, found {f'{len(names)} names' if isinstance(names, list) else 'no list'}"
    return f"must name {expected} in this order: {', '.join(skeleton.keypoints)}"


def _say_names(kinds: Table, believed: np.ndarray, skeleton: Skeleton) -> None:
    """One line for all categories whose names are not exactly those of the skeleton."""
    rows = [kinds.rows[row]["keypoints"] for row in np.flatnonzero(believed).tolist()]
    longer = [names for names in rows if len(names) > len(skeleton)]
    if longer:
        warn_once(
            _log, "%s: names %d keypoints; annotations have the %d of skeleton %r, taken to be the first ones",
            kinds.file, len(longer[0]), len(skeleton), skeleton.name,
        )  # fmt: skip
    for names in rows:
        other = [(name, own) for name, own in zip(names, skeleton.keypoints) if _plain(name) != _plain(own)]
        if other:
            renamed = ", ".join(f"{str(name)!a} for {own!r}" for name, own in other)
            warn_once(
                _log, "%s: its keypoint names differ from those of skeleton %r: %s", kinds.file, skeleton.name, renamed
            )
            return


def _plain(name: object) -> str:
    """AI Challenger writes 'Right Shoulder', most others 'right_shoulder'."""
    return "_".join(str(name).lower().split())
