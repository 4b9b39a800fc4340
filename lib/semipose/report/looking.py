"""Networks on data with labels: where each of them sees the keypoints of each person."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import nn
from yacs.config import CfgNode

from semipose import assemble
from semipose.assemble.set_rows import bottom_up
from semipose.assemble.validator import build_metric_options
from semipose.data.loaders import evaluation_loader
from semipose.errors import ConfigError
from semipose.evaluation import LabelledSet, MetricOptions, boxes_are_frames, person_norm, sized_by_keypoints
from semipose.evaluation.pck import box_norm
from semipose.evaluation.picture_metrics import match_persons
from semipose.evaluation.validation import ValidationSet, Validator, of_set
from semipose.skeletons import Skeleton, get_skeleton
from semipose.structures import Persons


@dataclass(frozen=True)
class Seen:
    """N persons with labels, and what each network says of them.

    Attributes:
        persons: with labels in the keypoints of `skeleton`.
        points: network -> (N, K, 2) image pixels, NaN = not found; the main result is the last one.
        scores: network -> (N, K).
        allowed: (N,) pixels, the distance from which on a keypoint is wrong; 0 = not known.
        rule: that distance in words.
        total: persons of the set, of which N were looked at.
    """

    persons: Persons
    skeleton: Skeleton
    points: dict[str, np.ndarray]
    scores: dict[str, np.ndarray]
    allowed: np.ndarray
    rule: str
    total: int

    @property
    def sizes(self) -> np.ndarray:
        """(N,) longer side of each box in pixels."""
        return box_norm(self.persons.boxes)

    @property
    def main(self) -> str:
        return list(self.points)[-1]

    @property
    def key(self) -> tuple:
        """Equal where the same persons were looked at."""
        paths = self.persons.image_paths[self.persons.image_index]
        return tuple(paths.tolist()), tuple(self.persons.ids.tolist()), self.skeleton.keypoints


def look_at_validation(
    config: CfgNode, networks: dict[str, nn.Module], main: tuple[str, ...], most: int, on_faults: Callable
) -> Seen:
    """The networks on the first validation set, on at most `most` persons (or pictures).

    Raises:
        SemiposeError: the set cannot be read.
    """
    name, persons = next(iter(assemble.read_validation(config).items()))
    part = sampled(config, persons, most)
    validator = assemble.build_validator(config, {name: part}, on_faults)
    return _look(validator, validator.sets[name], networks, main, len(persons))


def look_at_labels(
    config: CfgNode, labeled: Persons, networks: dict[str, nn.Module], main: tuple[str, ...], most: int,
    on_faults: Callable,
) -> Seen:  # fmt: skip
    """The networks on the labelled persons that they have learned."""
    part = sampled(config, labeled, most)
    dataset = assemble.build_dataset(config, part, "omit")
    skeleton = get_skeleton(config.DATASET.SKELETON)
    framed = boxes_are_frames(part)
    labels = LabelledSet("labelled", None, sized_by_keypoints(part) if framed else part, skeleton, framed)
    entry = ValidationSet(evaluation_loader(dataset, config.TEST.BATCH_SIZE), dataset, labels, ())
    options = build_metric_options(config)
    size = tuple(config.MODEL.IMAGE_SIZE)
    validator = Validator({"labelled": entry}, skeleton, size, config.TEST.FLIP_TEST, options, on_faults=on_faults)
    return _look(validator, entry, networks, main, len(labeled))


def sampled(config: CfgNode, persons: Persons, most: int) -> Persons:
    """At most `most` persons, or bottom-up those of at most `most` pictures, drawn at random but always the same."""
    count, draw = len(persons.image_paths) if bottom_up(config) else len(persons), np.random.default_rng(0)
    if count <= most:
        return persons
    rows = np.sort(draw.choice(count, most, replace=False))
    return persons.take_images(np.isin(np.arange(count), rows)) if bottom_up(config) else persons.take(rows)


def allowed_distances(persons: Persons, skeleton: Skeleton, options: MetricOptions) -> tuple[np.ndarray, str]:
    """(N,) pixels and the rule in words: TEST.PIXELS, or TEST.PCK_THRESHOLD of the size of the person."""
    if options.pixels > 0:
        return np.full(len(persons), options.pixels), f"{options.pixels:g} pixels"
    norm = options.pck_norm
    try:
        sizes = person_norm(persons, skeleton, norm)
    except ConfigError:
        norm, sizes = "box", person_norm(persons, skeleton, "box")
    name = {"box": "the longer side of the box"}.get(
        norm, f"the {norm}" if isinstance(norm, str) else " to ".join(norm)
    )
    return options.pck_threshold * sizes, f"{options.pck_threshold:g} of {name}"


def _look(
    validator: Validator, entry: ValidationSet, networks: dict[str, nn.Module], main: tuple[str, ...], total: int
) -> Seen:
    found = validator.predict(entry, networks, main)
    persons, skeleton = entry.labels.persons, entry.labels.skeleton
    points, scores, rows = {}, {}, np.arange(len(persons))
    for name, (own, people) in found.items():
        people = of_set(entry, people)
        owned = match_persons(persons, people) if entry.whole else places_of(own, len(persons))
        known = owned >= 0
        points[name] = np.full((len(persons), *people.keypoints.shape[1:]), np.nan)
        scores[name] = np.zeros(points[name].shape[:2])
        points[name][known], scores[name][known] = people.keypoints[owned[known]], people.keypoint_scores[owned[known]]
        if not entry.whole:  # pictures that could not be read are missing
            rows = np.sort(own)
    persons = persons.take(rows)
    allowed, rule = allowed_distances(persons, skeleton, validator.options)
    points, scores = ({n: values[rows] for n, values in each.items()} for each in (points, scores))
    return Seen(persons, skeleton, points, scores, allowed, rule, total)


def places_of(rows: np.ndarray, count: int) -> np.ndarray:
    """(count,) where each row stands in `rows`; -1 = nowhere."""
    places = np.full(count, -1)
    places[rows] = np.arange(len(rows))
    return places


def joined(seen: list[Seen]) -> tuple[np.ndarray, np.ndarray]:
    """(P, N, K, 2) points and (P, N, K) scores of all networks that looked at the same persons."""
    points = [own for each in seen for own in each.points.values()]
    return np.stack(points), np.stack([own for each in seen for own in each.scores.values()])
