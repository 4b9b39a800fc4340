"""A round of labelling: look at all pictures, weigh what is said of them, choose."""

from dataclasses import dataclass

import numpy as np

from semipose.data.archives import real_path
from semipose.data.exclude import fitting_images
from semipose.predict.instances import Instances
from semipose.predict.next_to_label.choice import (
    CANDIDATES,
    beside,
    best_apart,
    k_centres,
    known_pictures,
    neighbours,
    numbered_names,
)
from semipose.predict.next_to_label.committee import Committee
from semipose.predict.next_to_label.scores import UNCERTAIN, Criterion, Uncertainty, criteria, reasons, uncertainty
from semipose.predict.next_to_label.shots import Seen, Shot
from semipose.pseudo_labels import Multiview


@dataclass(frozen=True)
class Known:
    """What a run knows already.

    Attributes:
        files: labelled and held-out pictures, which are not chosen, links followed.
        thumbnails: (n, 32, 32) uint8 of them, by which copies and frames of videos are known.
        features: (P, F) of the labelled persons.
        labelled: (K,) share of them in which each joint is labelled.
        multiview: fitted to the labels; None where a picture shows nothing twice.
        root: folder of the data, which text files of names are relative to.
        held_names: patterns of names that belong to validation; such a picture would not be learned.
    """

    files: frozenset[str]
    thumbnails: np.ndarray
    features: np.ndarray
    labelled: np.ndarray
    multiview: Multiview | None = None
    root: str = ""
    held_names: tuple[str, ...] = ()

    def shows(self, seen: Seen) -> np.ndarray:
        """(I,) bool, which pictures are among them."""
        same = [shot.frame < 0 and real_path(shot.file) in self.files for shot in seen.shots]
        return np.array(same) | known_pictures(seen.thumbnails, self.thumbnails)

    def holds_out(self, seen: Seen) -> np.ndarray:
        """(I,) bool, which pictures have the name of a held-out one, or lie in a held-out folder or film."""
        names, places = ([getattr(shot, key) for shot in seen.shots] for key in ("name", "place"))
        return fitting_images(names, self.held_names, self.root) | fitting_images(places, self.held_names, self.root)


@dataclass(frozen=True)
class Chosen:
    """One picture to label.

    Attributes:
        size: (width, height).
        score: 1 is usual.
        reasons: in words, the strongest first.
        instances: what the networks say.
        uncertain: (N, K) bool, joints to look at closely.
    """

    shot: Shot
    size: tuple[int, int]
    score: float
    reasons: tuple[str, ...]
    instances: Instances
    uncertain: np.ndarray


@dataclass(frozen=True)
class Weighed:
    """The uncertainty of all pictures.

    Attributes:
        criteria, uncertainty: of the persons.
        worst: (I,) the row of the most uncertain person of each picture.
        places: film and number of each picture, None for a loose one.
    """

    criteria: list[Criterion]
    uncertainty: Uncertainty
    worst: np.ndarray
    places: list[tuple[str, int] | None]

    @property
    def scores(self) -> np.ndarray:
        """(I,) of the pictures."""
        return self.uncertainty.persons[self.worst]


def weigh(seen: Seen, committee: Committee, known: Known, gap: int) -> Weighed:
    """What is said of each picture in numbers; `gap` as in `choose`, for how far neighbours in time may be."""
    places = _places(seen)
    codec = committee.predictor.networks[0].codec
    found = criteria(seen.answers, neighbours(places, max(gap, 1)), known.multiview, codec.has_scores)
    sure = uncertainty(found, known.labelled)
    order = np.lexsort((-sure.persons, seen.answers.picture))
    _, first = np.unique(seen.answers.picture[order], return_index=True)
    return Weighed(found, sure, order[first], places)


def choose(seen: Seen, weighed: Weighed, known: Known, count: int, gap: int) -> list[int]:
    """At most `count` pictures, the most uncertain one first, then those that differ most from all before.

    Args:
        gap: of two frames of a film with at most this distance one is chosen; and none so near to a known one.
    """
    taken = beside(weighed.places, known.shows(seen), gap) | known.holds_out(seen)
    best = best_apart(np.where(taken, np.nan, weighed.scores), weighed.places, gap, CANDIDATES * count)
    features = seen.answers.features[weighed.worst]
    return best[k_centres(features[best], weighed.scores[best], known.features, count)].tolist()


def describe(seen: Seen, weighed: Weighed, picture: int, names: tuple[str, ...]) -> Chosen:
    """A picture with all that its files say."""
    answers, rows = seen.answers, np.flatnonzero(seen.answers.picture == picture)
    found = Instances(
        answers.points[rows].astype(np.float64), answers.scores[rows].astype(np.float64),
        answers.boxes[rows].astype(np.float64), np.ones(len(rows)), names,
    )  # fmt: skip
    worst = weighed.worst[picture]
    words = tuple(reasons(weighed.criteria, worst, names))
    uncertain = weighed.uncertainty.joints[rows] >= UNCERTAIN
    size = tuple(seen.sizes[picture].tolist())
    return Chosen(seen.shots[picture], size, float(weighed.scores[picture]), words, found, uncertain)


def _places(seen: Seen) -> list[tuple[str, int] | None]:
    """Film and number of each picture."""
    files = [shot.file if shot.frame < 0 else "" for shot in seen.shots]
    places = numbered_names(files, seen.thumbnails)
    return [(shot.film, shot.frame) if shot.frame >= 0 else place for shot, place in zip(seen.shots, places)]
