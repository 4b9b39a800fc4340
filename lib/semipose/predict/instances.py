"""What is found in one picture."""

from dataclasses import dataclass, replace

import numpy as np

from semipose.evaluation.oks import person_scores


@dataclass(frozen=True)
class Instances:
    """N persons or animals in one picture, in the order of their boxes.

    Attributes:
        keypoints: (N, K, 2) float64, x, y in pixels of the picture; the middle of the first pixel is (0, 0). NaN where
            the box cannot be used: not finite, without area, or wholly outside the picture.
        scores: (N, K) float64, how sure the network is of each keypoint: the height of its peak, 0 to about 1.
        boxes: (N, 4) float64, x, y, width, height of the boxes that were looked at.
        box_scores: (N,) float64, the detector's scores; 1 where there was none.
        names: K names of the keypoints.
        track_ids: (N,) int64, the number that each keeps over a video; None where nothing was tracked.
    """

    keypoints: np.ndarray
    scores: np.ndarray
    boxes: np.ndarray
    box_scores: np.ndarray
    names: tuple[str, ...]
    track_ids: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.keypoints)

    @property
    def person_scores(self) -> np.ndarray:
        """(N,) float64, one score for each, as the evaluation has it: box score times the mean of the keypoints'."""
        return person_scores(self.box_scores, self.scores)

    def take(self, rows) -> "Instances":
        """Those in `rows` (indices or a boolean mask), in that order."""
        ids = None if self.track_ids is None else self.track_ids[rows]
        return Instances(
            self.keypoints[rows], self.scores[rows], self.boxes[rows], self.box_scores[rows], self.names, ids
        )

    def with_ids(self, track_ids: np.ndarray) -> "Instances":
        """The same with `track_ids` (N,)."""
        return replace(self, track_ids=np.asarray(track_ids, np.int64))
