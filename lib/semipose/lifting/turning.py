"""Pictures of lifted poses: the frame, and beside it the skeleton in 3D, which turns in a video."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from semipose.data.images import cv2, write_png
from semipose.errors import write_error
from semipose.lifting.motion_files import Motion3D
from semipose.predict.overlay import RATE, Overlay, OverlayVideo
from semipose.predict.records import Records
from semipose.predict.sources import Frame, Source
from semipose.predict.videos import Camera
from semipose.skeletons import Skeleton
from semipose.visualize.colors import link_colors

SIDE = 480  # pixels of the 3D drawing
TURN_SECONDS = 8.0  # of a whole turn
FRONT = -90.0  # azimuth from which the camera looks
PICTURE_VIEWS = (FRONT, FRONT + 60)  # of a single picture
ENDING = ".3d"


class SkeletonDrawing:
    """Draws poses in one matplotlib figure, of which only the lines change.

    Args:
        radius: metres around the root that are shown.
    """

    def __init__(self, links: list[tuple[int, int]], colors: list[tuple[int, int, int]], radius: float, views: int = 1):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        figure = Figure((views * SIDE / 100, SIDE / 100), dpi=100)
        self._canvas, self._links, self._colors = FigureCanvasAgg(figure), links, colors
        self._axes = [figure.add_subplot(1, views, number + 1, projection="3d") for number in range(views)]
        figure.subplots_adjust(0, 0, 1, 1, 0, 0)
        for axes in self._axes:
            axes.set(xlim=(-radius, radius), ylim=(-radius, radius), zlim=(-radius, radius))
            axes.set_box_aspect((1, 1, 1), zoom=1.15)
            axes.set(xticklabels=[], yticklabels=[], zticklabels=[])
        self._lines: list[list] = [[] for _ in self._axes]

    def draw(self, poses: np.ndarray, azimuths: tuple[float, ...]) -> np.ndarray:
        """(SIDE, views * SIDE, 3) uint8 RGB of poses (P, K, 3) in camera axes, seen from the `azimuths` in degrees."""
        upright = np.stack([poses[..., 0], poses[..., 2], -poses[..., 1]], -1)  # matplotlib's z points up
        for axes, lines, azimuth in zip(self._axes, self._lines, azimuths):
            axes.view_init(elev=12, azim=azimuth)
            wanted = len(poses) * len(self._links)
            while len(lines) < wanted:
                color = np.array(self._colors[len(lines) % len(self._links)]) / 255
                lines += axes.plot([], [], [], color=color, linewidth=3, solid_capstyle="round")
            for number, line in enumerate(lines):
                shown = number < wanted
                pose, link = divmod(number, len(self._links))
                line.set_data_3d(*(upright[pose, list(self._links[link])].T if shown else [[], [], []]))
        self._canvas.draw()
        return np.asarray(self._canvas.buffer_rgba())[..., :3].copy()


def draw_motion(source: Source, records: Records, motion: Motion3D, skeleton: Skeleton, stem: str) -> list[Path]:
    """Write STEM.3d.mp4 of a video, or the folder STEM.3d of pictures, whose frames are read again; returns what was
    written: nothing of a live camera, which cannot be read twice, or where nothing was found.

    Args:
        records, skeleton: of the 2D keypoints, which are drawn on the frames.
    """
    if not len(motion) or (source.is_video and isinstance(source.video, Camera)):
        return []
    shown = _shown(source, records, Overlay(skeleton))
    if source.is_video:
        return [_draw_video(shown, motion, Path(f"{stem}{ENDING}.mp4"), source.video.rate or RATE)]
    return [_draw_pictures(shown, motion, Path(f"{stem}{ENDING}"))]


def _draw_video(shown: Iterator[tuple[Frame, np.ndarray]], motion: Motion3D, path: Path, rate: float) -> Path:
    drawing, video = _drawing(motion, 1), OverlayVideo(path, rate)
    for frame, picture in shown:
        azimuth = FRONT + 360 * frame.number / rate / TURN_SECONDS
        video.add(frame, _beside(picture, drawing.draw(_poses_of(motion, frame.number), (azimuth,))), None)
    video.close()
    return path


def _draw_pictures(shown: Iterator[tuple[Frame, np.ndarray]], motion: Motion3D, folder: Path) -> Path:
    drawing = _drawing(motion, len(PICTURE_VIEWS))
    for frame, picture in shown:
        path = folder / f"{frame.name}.png"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            drawn = drawing.draw(_poses_of(motion, frame.number), PICTURE_VIEWS)
            write_png(str(path), _beside(picture, drawn))
        except OSError as error:
            raise write_error(error, path) from error
    return folder


def _shown(source: Source, records: Records, overlay: Overlay) -> Iterator[tuple[Frame, np.ndarray]]:
    """Each frame that was predicted on, and its picture with the 2D keypoints."""
    frames = source.frames()
    for record in records:
        frame = next((frame for frame in frames if frame.number == record.number), None)
        if frame is not None and frame.image is not None:
            yield frame, overlay.draw(frame.image, record.instances)


def _drawing(motion: Motion3D, views: int) -> SkeletonDrawing:
    links = motion.skeleton.link_indices
    colors = [_on_white(link_colors(motion.skeleton, link)[0]) for link in links]
    return SkeletonDrawing(links, colors, 1.1 * float(np.abs(motion.poses).max()), views)


def _poses_of(motion: Motion3D, frame: int) -> np.ndarray:
    """(P, K, 3) of a frame. Several persons stand side by side: how far apart they are is not known well enough."""
    poses = motion.poses[motion.frames == frame]
    if len(poses) < 2:
        return poses
    places = np.linspace(-0.7, 0.7, len(poses)) * np.abs(motion.poses).max()
    return poses / len(poses) ** 0.5 + places[:, None, None] * [1, 0, 0]


def _on_white(color: tuple[int, int, int]) -> tuple[int, int, int]:
    """The colours of the middle are nearly white, which a white ground hides."""
    return (70, 70, 70) if min(color) > 200 else color


def _beside(image: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """The picture at the height of the drawing, and the drawing; widths are even, as video codecs want."""
    height = drawn.shape[0]
    width = max(2, round(image.shape[1] * height / image.shape[0] / 2) * 2)
    method = cv2.INTER_AREA if image.shape[0] > height else cv2.INTER_CUBIC
    return np.concatenate([cv2.resize(image, (width, height), interpolation=method), drawn], 1)
