"""Frames of a video: how much they differ from given pictures, and as image files."""

import os
from collections.abc import Iterator

import numpy as np

from semipose.data.images import cv2, write_png
from semipose.errors import DataError

THUMBNAIL = 64  # pixels each way; averages compression noise away, still shows where an animal is


def thumbnail(image: np.ndarray) -> np.ndarray:
    """(64, 64) float32 grey copy, 0 to 255, of an (H, W, 3) uint8 image, made by averaging."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return cv2.resize(grey, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA).astype(np.float32)


def picture_distances(pictures: np.ndarray, thumbnails: np.ndarray) -> np.ndarray:
    """(A, B) mean absolute grey differences between thumbnails (A, 64, 64) and (B, 64, 64), in levels of 255."""
    return np.stack([np.abs(thumbnails - picture).mean(axis=(1, 2)) for picture in pictures])


def video_distances(video: str, thumbnails: np.ndarray) -> np.ndarray:
    """(F, B) `picture_distances` from each frame of a video; raises DataError if it cannot be read."""
    return np.concatenate([picture_distances(thumbnail(frame)[None], thumbnails) for frame in read_video(video)])


def near_frames(same: np.ndarray, guard: int) -> np.ndarray:
    """(F,) bool: the frames at most `guard` frames away from one where `same` (F,) is set."""
    near = np.zeros(len(same), bool)
    for frame in np.flatnonzero(same):
        near[max(0, frame - guard) : frame + guard + 1] = True
    return near


def write_frames(video: str, wanted: np.ndarray, folder: str) -> tuple[list[str], tuple[int, int]]:
    """Writes the frames where `wanted` (F,) is set as `000012.png`, named by their number in the video.

    Returns:
        The names, and (width, height) of the frames.

    Raises:
        DataError: the video cannot be read.
        OSError: a file cannot be written.
    """
    os.makedirs(folder, exist_ok=True)
    names, size = [], (0, 0)
    for number, frame in enumerate(read_video(video)):
        size = (frame.shape[1], frame.shape[0])
        if number < len(wanted) and wanted[number]:
            names.append(f"{number:06d}.png")
            write_png(os.path.join(folder, names[-1]), frame)
    return names, size


def read_video(video: str) -> Iterator[np.ndarray]:
    """The frames, (H, W, 3) uint8 RGB; raises DataError for a file without a frame."""
    if not os.path.isfile(video):
        raise DataError(f"{video}: video does not exist")
    capture = cv2.VideoCapture(video)
    try:
        found, frame = capture.read()
        if not found:
            raise DataError(f"{video}: is not a video that OpenCV can read, or has no frame")
        while found:
            yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
            found, frame = capture.read()
    finally:
        capture.release()
