"""Frames of a video: how much they differ from given pictures, and as image files."""

import os
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from semipose.data.images import cv2, write_png
from semipose.data.thumbnails import SIDE, small_copy
from semipose.errors import DataError

TRIES = 10_000  # frames in a row that may fail, as far as the header has any, before a video is taken to be at its end
_NOTHING = object()
THUMBNAIL = 64  # pixels each way; averages compression noise away, still shows where an animal is


def thumbnail(image: np.ndarray) -> np.ndarray:
    """(64, 64) float32 grey copy, 0 to 255, of an (H, W, 3) uint8 image, made by averaging."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return cv2.resize(grey, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA).astype(np.float32)


def picture_distances(pictures: np.ndarray, thumbnails: np.ndarray) -> np.ndarray:
    """(A, B) mean absolute grey differences between thumbnails (A, 64, 64) and (B, 64, 64), in levels of 255."""
    return np.stack([np.abs(thumbnails - picture).mean(axis=(1, 2)) for picture in pictures])


def video_distances(video: str, thumbnails: np.ndarray) -> np.ndarray:
    """(F, B) `picture_distances` from each frame of a video; infinite for a damaged frame.

    Raises:
        DataError: the video cannot be read.
    """
    lost = np.full((1, len(thumbnails)), np.inf)
    frames = read_video(video)
    return np.concatenate(
        [lost if frame is None else picture_distances(thumbnail(frame)[None], thumbnails) for frame in frames]
    )


def near_frames(same: np.ndarray, guard: int) -> np.ndarray:
    """(F,) bool: the frames at most `guard` frames away from one where `same` (F,) is set."""
    near = np.zeros(len(same), bool)
    for frame in np.flatnonzero(same):
        near[max(0, frame - guard) : frame + guard + 1] = True
    return near


@dataclass(frozen=True)
class Frames:
    """What was written of a video.

    Attributes:
        names: of the files.
        size: (width, height) of the frames.
        thumbnails: (F, 32, 32) uint8 of all frames, also of those that were not wanted; zero for a damaged one.
        read: frames that could be decoded.
        total: frames that the header names, or that were seen if these are more.
    """

    names: list[str]
    size: tuple[int, int]
    thumbnails: np.ndarray
    read: int
    total: int


def write_frames(video: str, wanted: np.ndarray, folder: str) -> Frames:
    """Writes the frames where `wanted` (F,) is set as `000012.png`, named by their number in the video.

    Raises:
        DataError: the video cannot be read.
        OSError: a file cannot be written.
    """
    os.makedirs(folder, exist_ok=True)
    names, size, thumbnails, lost = [], (0, 0), [], 0
    for number, frame in enumerate(read_video(video)):
        lost += frame is None
        thumbnails.append(np.zeros((SIDE, SIDE), np.uint8) if frame is None else small_copy(frame))
        if frame is None:
            continue
        size = (frame.shape[1], frame.shape[0])
        if number < len(wanted) and wanted[number]:
            names.append(f"{number:06d}.png")
            write_png(os.path.join(folder, names[-1]), frame)
    total = max(header_frames(video), len(thumbnails))
    return Frames(names, size, np.stack(thumbnails), len(thumbnails) - lost, total)


def read_video(video: str) -> Iterator[np.ndarray | None]:
    """The frames, (H, W, 3) uint8 RGB, and None for each one that cannot be decoded, as far as others follow it.

    Raises:
        DataError: the file is not there, or no frame of it can be decoded.
    """
    if not os.path.isfile(video):
        raise DataError(f"{video}: video does not exist")
    capture = cv2.VideoCapture(video)
    try:
        frames = decoded(capture, header_frames(video))
        first = next(frames, _NOTHING)
        if first is _NOTHING:
            raise DataError(f"{video}: is not a video that OpenCV can read, or has no frame")
        yield first
        yield from frames
    finally:
        capture.release()


def decoded(capture, total: int) -> Iterator[np.ndarray | None]:
    """The frames of an open video, None for each damaged one; `total` as `header_frames`."""
    number = failed = 0
    while failed < TRIES and (failed == 0 or number + failed < total):
        found, frame = capture.read()
        if not found:
            failed += 1
            continue
        yield from [None] * failed
        number, failed = number + failed + 1, 0
        yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)


def header_frames(video: str) -> int:
    """Frames of a video as its header says; 0 if it does not say."""
    capture = cv2.VideoCapture(video)
    try:
        return max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT)))
    finally:
        capture.release()
