"""Pictures or a video with skeletons, written while the frames go by."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from semipose.data.images import cv2, write_png
from semipose.errors import SemiposeError, write_error
from semipose.predict.instances import Instances
from semipose.predict.sources import OVERLAY, Frame, Source
from semipose.skeletons import Skeleton
from semipose.visualize.overlay import draw_instances

RATE = 25.0  # frames per second where the source has none


class OverlayPictures:
    """A PNG for each picture.

    Raises:
        SemiposeError: a file cannot be written.
    """

    def __init__(self, folder: Path):
        self.folder = self.path = folder

    def add(self, frame: Frame, picture: np.ndarray) -> None:
        """Write `picture` (H, W, 3) uint8 RGB for a frame."""
        path = self.folder / f"{frame.name}.png"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_png(str(path), picture)
        except OSError as error:
            raise write_error(error, path) from error

    def close(self) -> None:
        """Nothing is left to do."""


class OverlayVideo:
    """An mp4 with the mean frame rate of its source; it can be played when `close` was called.

    Raises:
        SemiposeError: it cannot be written.
    """

    def __init__(self, path: Path, rate: float):
        self.path, self.rate, self._writer, self._size = path, rate or RATE, None, None

    def add(self, frame: Frame, picture: np.ndarray) -> None:
        """Append `picture` (H, W, 3) uint8 RGB; a picture of another size than the first is scaled to it."""
        if self._writer is None:
            self._size = picture.shape[1], picture.shape[0]
            self._writer = cv2.VideoWriter(str(self.path), cv2.VideoWriter_fourcc(*"mp4v"), self.rate, self._size)
            if not self._writer.isOpened():
                raise SemiposeError(f"{self.path}: OpenCV cannot write a video of {self._size[0]}x{self._size[1]} here")
        if (picture.shape[1], picture.shape[0]) != self._size:
            picture = cv2.resize(picture, self._size, interpolation=cv2.INTER_AREA)
        self._writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))

    def close(self) -> None:
        """Finish the file."""
        if self._writer is not None:
            self._writer.release()


@dataclass(frozen=True)
class Overlay:
    """How results are drawn.

    Attributes:
        skeleton: which joints are linked.
        min_score: keypoints below it are left out.
        boxes: draw the boxes too.
    """

    skeleton: Skeleton
    min_score: float = 0.0
    boxes: bool = False

    def open(self, source: Source, out: Path) -> OverlayPictures | OverlayVideo:
        """Where the overlay of a source goes."""
        if source.is_video:
            return OverlayVideo(out / f"{source.title}{OVERLAY}.mp4", source.video.rate)
        return OverlayPictures(out / f"{source.title}{OVERLAY}")

    def draw(self, image: np.ndarray, found: Instances) -> np.ndarray:
        """The picture (H, W, 3) uint8 RGB with all instances."""
        boxes = found.boxes if self.boxes else None
        return draw_instances(
            image, found.keypoints, found.scores, self.skeleton, boxes, found.track_ids, self.min_score
        )  # fmt: skip
