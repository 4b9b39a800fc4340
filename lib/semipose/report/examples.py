"""Rows of pictures: validation persons as labelled and as predicted, and labels that look wrong."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from semipose.errors import DataError
from semipose.report.album import Album
from semipose.report.errors import person_errors, relative_errors, worst_first
from semipose.report.looking import Seen, joined
from semipose.report.page import row
from semipose.report.panels import Cut, cut_person, labels_of, name_of
from semipose.report.suspects import Suspect, belongs_to, find_suspects, judge_sides, suspicion

NAMED = 6  # keypoints that a line of text names


def worst_and_random(seen: dict[str, Seen], main: str, count: int) -> tuple[list[int], list[int]]:
    """Rows of the persons with the largest errors of the result of `main`, and of a random sample of the others."""
    own = seen[main]
    order = worst_first(relative_errors(own.points[own.main], own.persons.keypoints, own.allowed)).tolist()
    worst, others = order[:count], sorted(order[count:])
    drawn = np.random.default_rng(0).permutation(len(others))[:count]
    return worst, [others[place] for place in drawn]


def validation_rows(album: Album, seen: dict[str, Seen], main: str, rows: Iterable[int]) -> list[str]:
    """HTML of a row of pictures for each person: its labels, then the result of each run, wrong keypoints marked.

    Args:
        seen: by the name of a run, all on the same persons.
        main: the run that the line of text is about.
    """
    wrong = {name: _wrong(one) for name, one in seen.items()}
    own = seen[main]
    mean = person_errors(relative_errors(own.points[own.main], own.persons.keypoints, own.allowed))
    found = []
    for n in rows:
        cut = _cut(own, n, [one.points[one.main][n] for one in seen.values()])
        if cut is None:
            continue
        truth, nothing = labels_of(own.persons, n), np.zeros(len(own.skeleton), bool)
        figures = [album.figure(cut.draw(truth, own.skeleton, nothing), "labels", name_of(own.persons, n))]
        for name, one in seen.items():
            picture = cut.draw(one.points[one.main][n], own.skeleton, wrong[name][n], truth)
            said = f"{wrong[name][n].sum()} wrong" if _is_found(one, n) else "not found"
            caption = f"{_titled(name, one, seen)}: {said}"
            figures.append(album.figure(picture, caption, f"{name_of(own.persons, n)}, {name}"))
        found.append(row(figures, f"{name_of(own.persons, n)}. {_told(own, n, wrong[main][n], mean[n])}"))
    return found


class SuspectRows(NamedTuple):
    """HTML of the most suspicious persons, how many there are in all, and whether left and right were judged."""

    html: list[str]
    count: int
    sides: bool


def suspect_rows(album: Album, seen: list[Seen], most: int) -> SuspectRows:
    """The persons with suspicious labels, at most `most` of them as pictures.

    Args:
        seen: labelled persons, the same in all.
    """
    own, (points, scores), partners = seen[0], joined(seen), np.array(seen[0].skeleton.flip_order)
    labels = own.persons.keypoints
    sides = judge_sides(points, labels, own.sizes, partners)
    suspects = find_suspects(suspicion(points, scores, labels, own.sizes, partners))
    rows = [_suspect(album, own, suspect, points.mean(0)) for suspect in suspects[:most]]
    return SuspectRows([row for row in rows if row], len(suspects), sides)


def _suspect(album: Album, own: Seen, suspect: Suspect, middle: np.ndarray) -> str:
    """Middle: (N, K, 2) mean of all networks."""
    n, marked = suspect.row, np.isin(np.arange(len(own.skeleton)), suspect.keypoints)
    cut = _cut(own, n, [middle[n]])
    if cut is None:
        return ""
    name = name_of(own.persons, n)
    truth = labels_of(own.persons, n)
    figures = [
        album.figure(cut.draw(truth, own.skeleton, marked), "labels", f"{name}, labels"),
        album.figure(cut.draw(middle[n], own.skeleton, marked, truth), "what the networks say", f"{name}, networks"),
    ]
    return row(figures, f"{name}. Suspicious: {_listed(_with_owners(own, suspect, truth, middle[n]))}.")


def _with_owners(own: Seen, suspect: Suspect, truth: np.ndarray, predicted: np.ndarray) -> list[str]:
    names, told = own.skeleton.keypoints, []
    for k in suspect.keypoints:
        other = belongs_to(truth[k], k, predicted, own.sizes[suspect.row])
        told.append(names[k] + (f" (the label is at {names[other]})" if other is not None else ""))
    return told


def _wrong(one: Seen) -> np.ndarray:
    """(N, K) bool."""
    relative = relative_errors(one.points[one.main], one.persons.keypoints, one.allowed)
    return ~np.isnan(relative) & ~(relative < 1)


def _told(own: Seen, n: int, wrong: np.ndarray, mean: float) -> str:
    names = [own.skeleton.keypoints[k] for k in np.flatnonzero(wrong)]
    if not _is_found(own, n):
        return "Not found."
    return f"Mean error {mean:.1f} times what is allowed; " + (f"wrong: {_listed(names)}." if names else "none wrong.")


def _is_found(one: Seen, n: int) -> bool:
    return bool(np.isfinite(one.points[one.main][n]).any())


def _listed(names: list[str]) -> str:
    rest = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {rest} more" if rest > 0 else "")


def _titled(name: str, one: Seen, seen: dict[str, Seen]) -> str:
    return name if len(seen) > 1 else one.main


def _cut(own: Seen, n: int, predictions: list[np.ndarray]) -> Cut | None:
    """None where the picture cannot be read any more."""
    try:
        return cut_person(own.persons, n, np.concatenate(predictions))
    except DataError:
        return None
