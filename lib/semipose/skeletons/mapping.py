"""From the keypoints of one skeleton to those of another: by name, by pairs, or as the mean of two."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from semipose.errors import ConfigError
from semipose.skeletons.skeleton import Skeleton


@dataclass(frozen=True)
class KeypointConverter:
    """Fills `target_count` keypoints from `source_count` others; targets that no pair names stay zero (not labelled).

    Args:
        source_count: Ks.
        target_count: Kt.
        pairs: (source, target) or ((a, b), target), all indices; the latter puts the target in the middle of a and b,
            visible only if both are. A source may serve several targets, a target is named once.

    Raises:
        ConfigError: naming the pair and what is allowed.
    """

    source_count: int
    target_count: int
    pairs: tuple

    def __post_init__(self):
        pairs = tuple(_split(pair) for pair in self.pairs)
        if not pairs:
            raise ConfigError("no pair of keypoints is given")
        for sources, target in pairs:
            for source in sources:
                _check_index(source, self.source_count, "source")
            _check_index(target, self.target_count, "target")
        twice = [target for target, count in Counter(target for _, target in pairs).items() if count > 1]
        if twice:
            raise ConfigError(f"target {twice[0]} is given more than once")
        object.__setattr__(self, "pairs", tuple((s[0] if len(s) == 1 else s, target) for s, target in pairs))

    @property
    def mapped(self) -> np.ndarray:
        """(Kt,) bool, whether a pair fills the target."""
        return np.isin(np.arange(self.target_count), self._indices[2])

    @property
    def is_identity(self) -> bool:
        """Whether every keypoint stays as it is, so that nothing has to be converted."""
        same = {(k, k) for k in range(self.target_count)}
        return self.source_count == self.target_count and set(self.pairs) == same

    def convert(self, keypoints: np.ndarray) -> np.ndarray:
        """Labels: (N, Ks, 3), x, y and visibility (0 = not labelled) -> (N, Kt, 3).

        The mean of two has the lower visibility of the two; where that is 0, its x and y are 0.
        """
        keypoints = np.asarray(keypoints)
        _check_shape(keypoints, (self.source_count, 3))
        points, visible = self.convert_predictions(keypoints[..., :2], keypoints[..., 2])
        hidden_means = self._is_mean & (visible <= 0)
        return np.concatenate([np.where(hidden_means[..., None], 0, points), visible[..., None]], axis=-1)

    def convert_predictions(self, points: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Predictions: (N, Ks, 2) and their scores (N, Ks) -> (N, Kt, 2), (N, Kt).

        The mean of two has the lower score of the two; a target without a source is at (0, 0) with score 0.
        """
        points, scores = np.asarray(points), np.asarray(scores)
        _check_shape(points, (self.source_count, 2))
        _check_shape(scores, (self.source_count,))
        first, second, targets = self._indices
        new_points = np.zeros((len(points), self.target_count, 2), np.result_type(points, 0.5))
        new_scores = np.zeros((len(scores), self.target_count), scores.dtype)
        new_points[:, targets] = (points[:, first] + points[:, second]) / 2
        new_scores[:, targets] = np.minimum(scores[:, first], scores[:, second])
        return new_points, new_scores

    @cached_property
    def _indices(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The two sources (twice the same one for a plain pair) and the target of each pair."""
        both = [source if isinstance(source, tuple) else (source, source) for source, _ in self.pairs]
        first, second = np.array(both).T
        return first, second, np.array([target for _, target in self.pairs])

    @property
    def _is_mean(self) -> np.ndarray:
        first, second, targets = self._indices
        return np.isin(np.arange(self.target_count), targets[first != second])


def converter_between(source: Skeleton, target: Skeleton, pairs: Iterable | None = None) -> KeypointConverter:
    """The converter from one skeleton to another.

    Args:
        pairs: (source, target) or ((a, b), target), each by name or index; None = the keypoints of equal names.

    Raises:
        ConfigError: naming both skeletons, the pair and what is wrong.
    """
    if pairs is None:
        pairs = [(name, name) for name in source.keypoints if name in target.keypoints]
        if not pairs:
            names = f"{source.name!r} to {target.name!r}"
            raise ConfigError(f"keypoints of {names}: no keypoint has the same name in both; give pairs of keypoints")
    try:
        indices = [_indexed(pair, source, target) for pair in pairs]
        return KeypointConverter(len(source), len(target), tuple(indices))
    except ConfigError as error:
        raise ConfigError(f"keypoints of {source.name!r} to {target.name!r}: {error}") from error


def _indexed(pair: object, source: Skeleton, target: Skeleton) -> tuple:
    sources, end = _split(pair)
    return tuple(_index(s, source) for s in sources), _index(end, target)


def _index(keypoint: object, skeleton: Skeleton) -> object:
    return skeleton.index(keypoint) if isinstance(keypoint, str) else keypoint


def _split(pair: object) -> tuple[tuple, object]:
    """((a,), target) or ((a, b), target); raises ConfigError for anything else."""
    if isinstance(pair, (list, tuple)) and len(pair) == 2:
        source, target = pair
        sources = tuple(source) if isinstance(source, (list, tuple)) else (source,)
        if len(sources) in (1, 2) and len(set(map(str, sources))) == len(sources):
            return sources, target
    raise ConfigError(f"pair {pair!r} is not (source, target) or ((a, b), target) with two different sources")


def _check_index(index: object, count: int, side: str) -> None:
    whole = isinstance(index, (int, np.integer)) and not isinstance(index, bool)
    if not (whole and 0 <= index < count):
        raise ConfigError(f"{side} {index!r} is not a keypoint; 0 to {count - 1} are")


def _check_shape(array: np.ndarray, tail: tuple[int, ...]) -> None:
    if array.ndim != len(tail) + 1 or array.shape[1:] != tail:
        raise ValueError(f"an array of shape {array.shape} was given; (N, {', '.join(map(str, tail))}) is needed")
