"""Pictures or a video with skeletons, written while the frames go by."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from semipose.data.formats.folder import OVERLAY
from semipose.data.images import cv2, write_png
from semipose.errors import SemiposeError, write_error
from semipose.predict.ahead import Behind
from semipose.predict.instances import Instances
from semipose.predict.sources import Frame, Source
from semipose.skeletons import Skeleton
from semipose.visualize.contact_sheet import SheetEntry, write_contact_sheet
from semipose.visualize.overlay import draw_instances

RATE = 25.0  # frames per second where the source has none


class OverlayPictures:
    """A PNG for each picture, and index.html with all of them.

    Raises:
        SemiposeError: a file cannot be written.
    """

    def __init__(self, folder: Path, skeleton: Skeleton):
        self.folder = self.path = folder
        self.skeleton, self._entries = skeleton, []

    def add(self, frame: Frame, picture: np.ndarray, found: Instances) -> None:
        """Write `picture` (H, W, 3) uint8 RGB for a frame."""
        facts = {"picture": frame.name, "instances": str(len(found))}
        if len(found):
            facts["mean score"] = f"{found.scores.mean():.2f}"
        size = picture.shape[1], picture.shape[0]
        self._entries.append(SheetEntry(f"{frame.name}.png", size, facts))
        path = self.folder / f"{frame.name}.png"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_png(str(path), picture)
        except OSError as error:
            raise write_error(error, path) from error

    def close(self) -> None:
        """Write the page."""
        if self._entries:
            title = f"{self.folder.name}: {len(self._entries)} pictures"
            write_contact_sheet(self.folder / "index.html", title, "", self._entries, [], [self.skeleton])


class OverlayVideo:
    """An mp4 with the mean frame rate of its source; it can be played when `close` was called.

    Raises:
        SemiposeError: it cannot be written.
    """

    def __init__(self, path: Path, rate: float):
        self.path, self.rate, self._writer, self._size = path, rate or RATE, None, None

    def add(self, frame: Frame, picture: np.ndarray, found: Instances) -> None:
        """Append `picture` (H, W, 3) uint8 RGB; a picture of another size than the first is scaled to it."""
        if self._writer is None:
            self._size = picture.shape[1], picture.shape[0]
            self._writer = _opened(self.path, self.rate, self._size)
        if (picture.shape[1], picture.shape[0]) != self._size:
            picture = cv2.resize(picture, self._size, interpolation=cv2.INTER_AREA)
        self._writer.write(cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))

    def close(self) -> None:
        """Finish the file."""
        if self._writer is not None:
            self._writer.release()


def _opened(path: Path, rate: float, size: tuple[int, int]) -> cv2.VideoWriter:
    """MPEG-4 has at most 65,535 ticks in a second: a mean rate such as 239.943 has to be rounded for it."""
    for near in (rate, round(rate, 2), round(rate, 1), round(rate)):
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"mp4v"), near, size)
        if writer.isOpened():
            return writer
    raise SemiposeError(f"{path}: OpenCV cannot write a video of {size[0]}x{size[1]} at {rate:g} frames a second here")


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

    def open(self, source: Source, out: Path) -> "OverlayWriter":
        """What draws and writes the overlay of a source."""
        if source.is_video:
            return OverlayWriter(self, OverlayVideo(out / f"{source.title}{OVERLAY}.mp4", source.video.rate))
        return OverlayWriter(self, OverlayPictures(out / f"{source.title}{OVERLAY}", self.skeleton))

    def draw(self, image: np.ndarray, found: Instances) -> np.ndarray:
        """The picture (H, W, 3) uint8 RGB with all instances."""
        boxes = found.boxes if self.boxes else None
        return draw_instances(
            image, found.keypoints, found.scores, self.skeleton, boxes, found.track_ids, self.min_score
        )  # fmt: skip


class OverlayWriter:
    """Draws and writes in a thread of its own, so that the network need not wait.

    Raises:
        SemiposeError: a file cannot be written; it comes with one of the next frames, or with `close`.
    """

    def __init__(self, overlay: Overlay, sink: OverlayPictures | OverlayVideo):
        self.path, self._overlay, self._sink = sink.path, overlay, sink
        self._behind = Behind(self._draw)

    def add(self, frame: Frame, found: Instances) -> None:
        """Draw what was found in a frame."""
        self._behind.add((frame, found))

    def close(self) -> None:
        """Wait until all is drawn, and finish the files."""
        try:
            self._behind.close()
        finally:
            self._sink.close()

    def _draw(self, item: tuple[Frame, Instances]) -> None:
        frame, found = item
        self._sink.add(frame, self._overlay.draw(frame.image, found), found)
