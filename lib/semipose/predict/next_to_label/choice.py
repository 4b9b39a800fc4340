"""Which of the uncertain pictures: far from each other, from what is labelled, and not next to it in time."""

import re
from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from semipose.data.thumbnails import find_alike

CANDIDATES = 3  # times as many pictures as asked for are looked at, the most uncertain ones
FEWEST = 8  # numbered pictures that can show whether they are a film
ALIKE = 0.5  # of a film, neighbours differ at most so much of what pictures far apart do
_NUMBERED = re.compile(r"(.*?)(\d{1,15})(\D*)", re.DOTALL)  # the last number of a name


def numbered_names(names: Sequence[str], thumbnails: np.ndarray) -> list[tuple[str, int] | None]:
    """The film and the number of each picture, where their names have numbers and neighbours look alike.

    Args:
        thumbnails: (I, 32, 32) uint8.
    """
    films, places = defaultdict(list), [None] * len(names)
    for row, name in enumerate(names):
        parts = _NUMBERED.fullmatch(name)
        if parts:
            films[parts[1], parts[3]].append((int(parts[2]), row))
    for (start, end), members in films.items():
        numbers, rows = zip(*sorted(members))
        if is_film(thumbnails[list(rows)]):
            for number, row in zip(numbers, rows):
                places[row] = (f"{start}#{end}", number)
    return places


def is_film(thumbnails: np.ndarray) -> bool:
    """Whether pictures (n, 32, 32) in the order of their numbers are frames of a film, and no loose pictures."""
    if len(thumbnails) < FEWEST:
        return False
    pictures, half = thumbnails.astype(np.int16), len(thumbnails) // 2
    steps = np.abs(pictures[1:] - pictures[:-1]).mean(axis=(1, 2))
    far = np.abs(pictures[half:] - pictures[: len(pictures) - half]).mean(axis=(1, 2))
    return bool(np.median(steps) <= ALIKE * np.median(far))


def neighbours(places: Sequence[tuple[str, int] | None], farthest: int) -> np.ndarray:
    """(I, 2) the pictures before and after each one in its film, -1 where none is within `farthest` numbers."""
    near, films = np.full((len(places), 2), -1), defaultdict(list)
    for row, place in enumerate(places):
        if place is not None:
            films[place[0]].append((place[1], row))
    for members in films.values():
        members.sort()
        for (number, row), (later, other) in zip(members, members[1:]):
            if later - number <= farthest:
                near[row, 1], near[other, 0] = other, row
    return near


def beside(places: Sequence[tuple[str, int] | None], marked: np.ndarray, gap: int) -> np.ndarray:
    """(I,) bool: pictures where `marked` (I,), and those of the same film with at most `gap` numbers between."""
    numbers, out = defaultdict(list), marked.copy()
    for row in np.flatnonzero(marked):
        if places[row] is not None:
            numbers[places[row][0]].append(places[row][1])
    numbers = {film: np.array(found) for film, found in numbers.items()}
    for row, place in enumerate(places):
        if place is not None and place[0] in numbers:
            out[row] |= np.abs(numbers[place[0]] - place[1]).min() <= gap
    return out


def known_pictures(thumbnails: np.ndarray, known: np.ndarray) -> np.ndarray:
    """(I,) bool: pictures (I, 32, 32) that are one of `known` (n, 32, 32), also scaled or compressed again."""
    return find_alike(known, thumbnails) >= 0 if len(known) else np.zeros(len(thumbnails), bool)


def best_apart(scores: np.ndarray, places: Sequence[tuple[str, int] | None], gap: int, most: int) -> np.ndarray:
    """At most `most` pictures by falling score (I,), none within `gap` numbers of a better one of its film.

    Pictures with a score of NaN are left out.
    """
    kept, taken = [], defaultdict(list)
    for row in np.argsort(-scores, kind="stable"):
        if len(kept) == most or np.isnan(scores[row]):
            break
        if places[row] is not None:
            film, number = places[row]
            if any(abs(number - other) <= gap for other in taken[film]):
                continue
            taken[film].append(number)
        kept.append(row)
    return np.array(kept, np.int64)


def k_centres(features: np.ndarray, scores: np.ndarray, centres: np.ndarray, count: int) -> list[int]:
    """Greedy k-centre (Gonzalez 1985; as core-set: Sener and Savarese, ICLR 2018), with distances times scores.

    The first one is row 0. Each next one is the farthest from all centres.

    Args:
        features, scores: (C, F) and (C,) of the candidates, the best one first.
        centres: (n, F) that are centres already; n may be 0.

    Returns:
        `count` rows in the order of choice, or all C if they are fewer.
    """
    if not len(features):
        return []
    nearest = np.full(len(features), np.inf)
    for centre in centres:
        nearest = np.minimum(nearest, np.linalg.norm(features - centre, axis=1))
    chosen = [0]
    while len(chosen) < min(count, len(features)):
        nearest = np.minimum(nearest, np.linalg.norm(features - features[chosen[-1]], axis=1))
        gains = nearest * scores
        gains[chosen] = -1
        chosen.append(int(gains.argmax()))
    return chosen
