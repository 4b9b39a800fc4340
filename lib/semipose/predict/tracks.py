"""Persons of a video keep their number."""

from dataclasses import dataclass

import numpy as np

from semipose.evaluation.oks import oks_matrix

_TRUSTED = 0.3  # of a person's best score: a keypoint below this share says nothing about where the person is
_LEAST_SIGMA = 0.05  # some sets have far smaller ones, made for exact labels; from frame to frame people move
_TURNED_BACK = 0.5  # how a person counts that is where it was last seen, and not where it was going
_UNSEEN = 0.8  # a track that was not there in the last frame must fit better than one that was
_OKS_SHARE = 0.8  # of the similarity; boxes say less about who is who where people overlap
_NEW_SPREAD = 4  # how much larger the variance of the place is as long as the velocity is not known
_GAIN = 0.3  # how much of what the prediction missed goes into the velocity


class Tracker:
    """Gives the persons of each frame the numbers of the persons before them.

    A person is expected where its track goes at constant velocity. It is compared with each track by OKS and, with
    a smaller weight, by the overlap (IoU) of the boxes. The pairs are those with the largest sum (Hungarian
    method), as in SORT (Bewley et al., ICIP 2016). Memory holds only the tracks that have not ended.

    Args:
        sigmas: (K,) OKS constants of the skeleton.
        max_gap: a track ends when it is unseen for more frames than this.
        min_similarity: in 0..1; a person that is less similar to each track is a new one.

    Raises:
        ValueError: max_gap is below 0.
    """

    def __init__(self, sigmas, max_gap: int = 15, min_similarity: float = 0.1):
        if max_gap < 0:
            raise ValueError(f"max_gap is {max_gap}; 0 or more expected")
        self.sigmas = np.maximum(np.asarray(sigmas, np.float64), _LEAST_SIGMA)
        self.max_gap, self.min_similarity = max_gap, min_similarity
        self._tracks: list[_Track] = []
        self._last_id, self._frame = 0, None

    def update(self, keypoints, scores, boxes, frame: int) -> np.ndarray:
        """The numbers of the persons of the next frame; frames without persons may be left out.

        Args:
            keypoints: (N, K, 2) pixels; NaN where a keypoint is missing.
            scores: (N, K).
            boxes: (N, 4) x, y, width, height in pixels.
            frame: number of the frame in the video, larger than before.

        Returns:
            (N,) int64, all different; they count from 1.

        Raises:
            ValueError: the frame is not after the one before.
        """
        if self._frame is not None and frame <= self._frame:
            raise ValueError(f"frame {frame} comes after frame {self._frame}")
        self._frame = frame
        self._tracks = [track for track in self._tracks if frame - track.frame - 1 <= self.max_gap]
        persons = [_Person(*values) for values in zip(*_as_arrays(keypoints, scores, boxes, len(self.sigmas)))]
        owners = self._owners(persons)
        for person, track in zip(persons, owners):
            track.follow(person, frame)
        self._tracks += [track for track in owners if track not in self._tracks]
        return np.array([track.id for track in owners], np.int64)

    def _owners(self, persons: list["_Person"]) -> list["_Track"]:
        """For each person its track, which is a new one where no other fits."""
        from scipy.optimize import linear_sum_assignment

        similarity = self._similarity(persons)
        rows, columns = linear_sum_assignment(similarity, maximize=True)
        found = {r: self._tracks[c] for r, c in zip(rows, columns) if similarity[r, c] > 0}
        return [found.get(n) or self._new_track(person) for n, person in enumerate(persons)]

    def _new_track(self, person: "_Person") -> "_Track":
        self._last_id += 1
        return _Track(self._last_id, person, self._frame)

    def _similarity(self, persons: list["_Person"]) -> np.ndarray:
        """(N, M) of persons and tracks; 0 for pairs that do not go together."""
        if not persons or not self._tracks:
            return np.zeros((len(persons), len(self._tracks)))
        gaps = np.array([self._frame - track.frame for track in self._tracks])
        # where a person may be grows with the time it is unseen, its variance as fast as in a random walk
        spreads = gaps * np.where([track.velocity is None for track in self._tracks], _NEW_SPREAD, 1)
        expected = self._compare(persons, [track.expected(gap) for track, gap in zip(self._tracks, gaps)], spreads)
        returned = self._compare(persons, [track.person for track in self._tracks], spreads)
        similarity = np.maximum(expected, _TURNED_BACK * returned) * np.where(gaps > 1, _UNSEEN, 1)
        return np.where(similarity < self.min_similarity, 0, similarity)

    def _compare(self, persons: list["_Person"], others: list["_Person"], spreads: np.ndarray) -> np.ndarray:
        """(N, M) of OKS and overlap, of the overlap alone where no keypoint is known on both sides."""
        boxes, other_boxes = (np.stack([person.box for person in group]) for group in (persons, others))
        common = np.stack([p.known for p in persons])[:, None] & np.stack([p.known for p in others])
        areas = np.maximum(other_boxes[:, 2] * other_boxes[:, 3], 1) * spreads
        points, other_points = ([person.keypoints for person in group] for group in (persons, others))
        similarity = oks_matrix(points, other_points, areas, self.sigmas, common)
        overlap = _box_overlap(boxes, other_boxes)
        return np.where(common.any(-1), _OKS_SHARE * similarity + (1 - _OKS_SHARE) * overlap, overlap)


@dataclass(frozen=True)
class _Person:
    """Keypoints (K, 2), which of them are known (K,), and box (4,) in one frame."""

    keypoints: np.ndarray
    known: np.ndarray
    box: np.ndarray

    def moved(self, offset: np.ndarray) -> "_Person":
        return _Person(self.keypoints + offset, self.known, self.box + [*offset, 0, 0])

    def distance(self, other: "_Person") -> np.ndarray:
        """(2,) from the other to this one: the median over the keypoints, so that a wrong one does no harm."""
        common = self.known & other.known
        if common.any():
            return np.median(self.keypoints[common] - other.keypoints[common], axis=0)
        return self.box[:2] + self.box[2:] / 2 - other.box[:2] - other.box[2:] / 2


@dataclass(eq=False)
class _Track:
    """A number, the person when it was last seen, the frame of that, and the velocity in pixels per frame."""

    id: int
    person: _Person
    frame: int
    velocity: np.ndarray | None = None

    def expected(self, gap: int) -> _Person:
        """The person `gap` frames later."""
        return self.person if self.velocity is None else self.person.moved(self.velocity * gap)

    def follow(self, person: _Person, frame: int) -> None:
        gap = frame - self.frame
        if gap and self.velocity is None:
            self.velocity = person.distance(self.person) / gap
        elif gap:
            self.velocity = self.velocity + _GAIN * person.distance(self.expected(gap)) / gap
        self.person, self.frame = person, frame


def _box_overlap(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(N, M) IoU of boxes (N, 4) and (M, 4): x, y, width, height."""
    starts = np.maximum(boxes[:, None, :2], others[:, :2])
    ends = np.minimum(boxes[:, None, :2] + boxes[:, None, 2:], others[:, :2] + others[:, 2:])
    common = np.maximum(ends - starts, 0).prod(-1)
    union = boxes[:, None, 2:].prod(-1) + others[:, 2:].prod(-1) - common
    return common / np.maximum(union, 1e-9)


def _as_arrays(keypoints, scores, boxes, joints: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Keypoints (N, K, 2), which are known (N, K), and boxes (N, 4), all finite."""
    keypoints = np.asarray(keypoints, np.float64).reshape(-1, joints, 2)
    scores = np.nan_to_num(np.asarray(scores, np.float64).reshape(-1, joints))
    known = np.isfinite(keypoints).all(-1) & (scores >= _TRUSTED * scores.max(-1, keepdims=True, initial=0))
    boxes = np.nan_to_num(np.asarray(boxes, np.float64).reshape(-1, 4))
    return np.where(known[..., None], keypoints, 0), known, boxes
