"""Frames of a video or a camera, decoded as they are needed, with their numbers and times."""

import os
import time
from collections.abc import Iterator

import numpy as np

from semipose.data.images import cv2
from semipose.data.video_frames import decoded
from semipose.errors import DataError

Read = tuple[int, float, np.ndarray | None]  # number, seconds since the start, (H, W, 3) uint8 RGB or None


class Video:
    """A video file. Rotation tags are obeyed, so that frames are upright.

    Args:
        path: of a file that OpenCV can read.

    Attributes:
        total: frames, as the file's header says; None if it does not say.
        rate: mean frames per second, as the header says; 0 if it does not say.

    Raises:
        DataError: the file is not there, or no video, or has no frame.
    """

    def __init__(self, path: str):
        self.path = self.name = path
        if not os.path.isfile(path):
            raise DataError(f"{path}: video does not exist")
        capture = _opened(path)
        try:
            self.total = max(0, int(capture.get(cv2.CAP_PROP_FRAME_COUNT))) or None
            if not any(True for _ in decoded(capture, self.total or 0)):
                raise DataError(f"{path}: is not a video that OpenCV can read, or has no frame")
            rate = capture.get(cv2.CAP_PROP_FPS)
            self.rate = rate if 0 < rate < 10_000 else 0.0
        finally:
            capture.release()

    def read(self) -> Iterator[Read]:
        """Each frame; its image is None where it cannot be decoded.

        The times are those that the file gives to its frames, so they hold for a variable frame rate too.
        """
        capture = _opened(self.path)
        try:
            for number, image in enumerate(decoded(capture, self.total or 0)):
                yield number, self._time(number, capture, exact=image is not None), image
        finally:
            capture.release()

    def _time(self, number: int, capture, exact: bool) -> float:
        seconds = capture.get(cv2.CAP_PROP_POS_MSEC) / 1000 if exact else 0.0
        # a file without times gives 0 for all frames
        return seconds if seconds > 0 or not self.rate else number / self.rate


class Camera:
    """A camera by its number. It has no end; Ctrl-C ends it.

    Raises:
        DataError: no such camera.
    """

    total, rate = None, 0.0

    def __init__(self, number: int):
        self.number, self.name = number, f"camera {number}"
        capture = cv2.VideoCapture(number)
        try:
            if not capture.isOpened() or not capture.grab():
                raise DataError(f"camera {number}: cannot be opened; is it there, and is it in use elsewhere?")
        finally:
            capture.release()

    def read(self) -> Iterator[Read]:
        """Frames as they come, with the time since the first one."""
        capture, number, start = cv2.VideoCapture(self.number), 0, None
        try:
            while True:
                found, image = capture.read()
                if not found:
                    return
                now = time.monotonic()
                start = now if start is None else start
                yield number, now - start, cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
                number += 1
        finally:
            capture.release()


def _opened(path: str):
    capture = cv2.VideoCapture(path)
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
    return capture
