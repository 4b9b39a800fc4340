"""What is found in one picture."""

from dataclasses import dataclass, replace

import numpy as np

from semipose.evaluation.oks import person_scores

MARGIN = 0.1  # of a box around what was found, in parts of its longer side


@dataclass(frozen=True)
class Instances:
    """N persons or animals in one picture, in the order of their boxes; bottom-up the best first.

    Attributes:
        keypoints: (N, K, 2) float64, x, y in pixels of the picture; the middle of the first pixel is (0, 0). NaN where
            the box cannot be used: not finite, without area, or wholly outside the picture.
        scores: (N, K) float64, how sure the network is of each keypoint: the height of its peak, 0 to about 1.
        boxes: (N, 4) float64, x, y, width, height of the boxes that were looked at; bottom-up those around what was
            found, with a tenth of the longer side as margin.
        box_scores: (N,) float64, the detector's scores; 1 where there was none; bottom-up the instances' own.
        names: K names of the keypoints.
        track_ids: (N,) int64, the number that each keeps over a video; None where nothing was tracked.
        bottom_up: the network found them in the whole picture, without boxes.
    """

    keypoints: np.ndarray
    scores: np.ndarray
    boxes: np.ndarray
    box_scores: np.ndarray
    names: tuple[str, ...]
    track_ids: np.ndarray | None = None
    bottom_up: bool = False

    def __len__(self) -> int:
        return len(self.keypoints)

    @property
    def person_scores(self) -> np.ndarray:
        """(N,) float64, one score for each, as the evaluation has it: box score times the mean of the keypoints' above
        0.2; bottom-up the mean of all keypoints'."""
        return self.box_scores if self.bottom_up else person_scores(self.box_scores, self.scores)

    def take(self, rows) -> "Instances":
        """Those in `rows` (indices or a boolean mask), in that order."""
        ids = None if self.track_ids is None else self.track_ids[rows]
        return replace(
            self, keypoints=self.keypoints[rows], scores=self.scores[rows], boxes=self.boxes[rows],
            box_scores=self.box_scores[rows], track_ids=ids,
        )  # fmt: skip

    def with_ids(self, track_ids: np.ndarray) -> "Instances":
        """The same with `track_ids` (N,)."""
        return replace(self, track_ids=np.asarray(track_ids, np.int64))


def found_in_picture(
    keypoints: np.ndarray, scores: np.ndarray, names: tuple[str, ...], size: tuple[int, int], least: float
) -> Instances:
    """What a network found in a whole picture of (width, height) `size`.

    Args:
        keypoints, scores: (N, K, 2) pixels and (N, K), as a codec of instances decodes them.
        least: smallest score of an instance, the mean of its keypoints'.
    """
    own = scores.mean(axis=1)
    real = (own > 0) & (own >= least)
    boxes = _clipped(found_boxes(keypoints[real]), size)
    return Instances(keypoints[real], scores[real], boxes, own[real], names, bottom_up=True)


def found_boxes(keypoints: np.ndarray) -> np.ndarray:
    """Boxes (N, 4) x, y, width, height around all keypoints (N, K, 2), grown at each edge by `MARGIN` of the longer
    side, and by a pixel at least."""
    low, high = keypoints.min(axis=1), keypoints.max(axis=1)
    room = np.maximum(MARGIN * (high - low).max(axis=1, keepdims=True), 1)
    return np.concatenate([low - room, high - low + 2 * room], axis=1)


def _clipped(boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The parts of boxes (N, 4) on a picture; one pixel at least."""
    start = np.clip(boxes[:, :2], 0, np.array(size, np.float64) - 1)
    return np.concatenate([start, np.clip(boxes[:, :2] + boxes[:, 2:], start + 1, size) - start], axis=1)
