"""Smooth the keypoints of a track over time. Missing keypoints stay missing."""

import numpy as np

from semipose.errors import ConfigError

_WINDOW = 0.3  # seconds that a fitted curve of Savgol spans
_DEGREE = 2  # of that curve
_LONGEST_GAP = 0.15  # seconds; after a longer one a keypoint starts afresh
_SINGLE_SIZE = 100.0  # pixels that stand in for the size of a person with one keypoint


class OneEuro:
    """The 1-euro filter (Casiez et al., CHI 2012) of one person, frame by frame: smooth at rest, fast in motion.

    The cutoff frequency is `min_cutoff + beta * speed`. The speed is in sizes of the person per second, so that the
    size of the picture does not matter. In fast motion a keypoint lags by at most `1 / (2 pi beta)` sizes.

    Args:
        fps: frames per second, above 0.
        min_cutoff: in Hz, at rest; lower is smoother.
        beta: in Hz for each size per second; higher lags less. 8: by 2 % of the size.
        speed_cutoff: in Hz, for the speed itself.

    Raises:
        ConfigError: fps is not above 0.
    """

    def __init__(self, fps: float, min_cutoff: float = 1.0, beta: float = 8.0, speed_cutoff: float = 1.0):
        self.fps = _checked(fps)
        self.min_cutoff, self.beta, self.speed_cutoff = min_cutoff, beta, speed_cutoff
        self._last = self._velocity = self._age = None

    def update(self, keypoints, scores=None, frames: int = 1) -> np.ndarray:
        """The smoothed keypoints (K, 2) of the next frame.

        Args:
            keypoints: (K, 2) pixels, NaN where one is missing.
            scores: (K,); a keypoint with score 0 or NaN comes back as it is and changes nothing else. None = all count.
            frames: how many frames after the one before.
        """
        points = np.asarray(keypoints, np.float64)
        if self._last is None:
            self._last, self._velocity = np.full_like(points, np.nan), np.zeros_like(points)
            self._age = np.zeros(len(points))
        self._age += frames / self.fps
        seen, before = _counted(points, scores), np.isfinite(self._last).all(-1)
        known = seen & before & (self._age <= _LONGEST_GAP + 1 / self.fps)
        smoothed = points.copy()
        smoothed[known] = self._step(points[known], known, _size(self._last[before]))
        self._velocity[seen & ~known] = 0
        self._last[seen], self._age[seen] = smoothed[seen], 0
        return smoothed

    def _step(self, points: np.ndarray, known: np.ndarray, size: float) -> np.ndarray:
        last, elapsed = self._last[known], self._age[known][:, None]
        velocity = self._velocity[known]
        velocity = velocity + _share(self.speed_cutoff, elapsed) * ((points - last) / elapsed - velocity)
        self._velocity[known] = velocity
        speed = np.linalg.norm(velocity, axis=-1, keepdims=True) / size
        return last + _share(self.min_cutoff + self.beta * speed, elapsed) * (points - last)


def smooth(keypoints, scores, fps: float, method: str) -> np.ndarray:
    """The keypoints of one track, smoothed.

    Args:
        keypoints: (T, K, 2) pixels of T frames in a row, NaN where a keypoint is missing.
        scores: (T, K); a keypoint with score 0 or NaN comes back as it is and changes nothing else. None = all count.
        fps: frames per second, above 0.
        method: "one-euro" (looks back only, see `OneEuro`) or "savgol" (looks both ways: a parabola fitted to the
            0.3 s around each frame; Savitzky and Golay, 1964).

    Returns:
        (T, K, 2) float64, NaN exactly where `keypoints` is.

    Raises:
        ConfigError: an unknown method, or fps is not above 0.
    """
    if method not in METHODS:
        raise ConfigError(f"unknown smoothing {method!r}; known: {', '.join(METHODS)}")
    keypoints = np.asarray(keypoints, np.float64)
    return METHODS[method](keypoints, _counted(keypoints, scores), _checked(fps))


def _one_euro(keypoints: np.ndarray, counted: np.ndarray, fps: float) -> np.ndarray:
    smoother = OneEuro(fps)
    return np.array([smoother.update(*frame) for frame in zip(keypoints, counted)]).reshape(keypoints.shape)


def _savgol(keypoints: np.ndarray, counted: np.ndarray, fps: float) -> np.ndarray:
    smoothed = keypoints.copy()
    for k in range(keypoints.shape[1]):
        frames = np.flatnonzero(counted[:, k])
        parts = np.split(frames, np.flatnonzero(np.diff(frames) - 1 > _LONGEST_GAP * fps) + 1)
        for part in parts:
            smoothed[part, k] = _fitted(part, keypoints[part, k], fps)
    return smoothed


def _fitted(frames: np.ndarray, values: np.ndarray, fps: float) -> np.ndarray:
    """(n, 2) values at ascending `frames` (n,), which may have short gaps; too few come back as they are."""
    from scipy.signal import savgol_filter

    if not len(frames):
        return values
    every = np.arange(frames[0], frames[-1] + 1)
    window = min(2 * round(_WINDOW * fps / 2) + 1, len(every) - (len(every) + 1) % 2)
    if window <= _DEGREE + 1:
        return values
    filled = np.stack([np.interp(every, frames, column) for column in values.T], 1)
    return savgol_filter(filled, window, _DEGREE, axis=0)[frames - frames[0]]


METHODS = {"one-euro": _one_euro, "savgol": _savgol}


def _counted(keypoints: np.ndarray, scores) -> np.ndarray:
    """(..., K) which keypoints there are and count."""
    there = np.isfinite(keypoints).all(-1)
    return there if scores is None else there & (np.nan_to_num(np.asarray(scores, np.float64)) > 0)


def _share(cutoff, elapsed) -> np.ndarray:
    """How much of a new value is taken: a low-pass filter of first order, cutoff in Hz, elapsed in seconds."""
    return 1 / (1 + 1 / (2 * np.pi * cutoff * elapsed))


def _size(points: np.ndarray) -> float:
    """About the length of a person in pixels; of medians, so that one wild keypoint (n, 2) does no harm."""
    if len(points) < 2:
        return _SINGLE_SIZE
    return 4 * float(np.median(np.linalg.norm(points - np.median(points, 0), axis=-1))) or _SINGLE_SIZE


def _checked(fps: float) -> float:
    if not 0 < fps < np.inf:
        raise ConfigError(f"fps is {fps}; above 0 expected")
    return float(fps)
