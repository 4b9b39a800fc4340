"""Pictures of lifted poses: the frame, and beside it the skeleton in 3D, which turns in a video."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from semipose.data.images import cv2, write_png
from semipose.errors import write_error
from semipose.lifting.motion_files import Motion3D
from semipose.predict.overlay import RATE, OverlayVideo
from semipose.predict.sources import Frame, Source
from semipose.predict.videos import Camera
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
            axes.set_box_aspect((1, 1, 1))
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


def draw_motion(source: Source, motion: Motion3D, stem: str) -> list[Path]:
    """Write STEM.3d.mp4 of a video, or the folder STEM.3d of pictures, whose frames are read again; returns what was
    written: nothing of a live camera, which cannot be read twice, or where nothing was found."""
    if not len(motion) or (source.is_video and isinstance(source.video, Camera)):
        return []
    if source.is_video:
        return [_draw_video(source, motion, Path(f"{stem}{ENDING}.mp4"))]
    return [_draw_pictures(source, motion, Path(f"{stem}{ENDING}"))]


def _draw_video(source: Source, motion: Motion3D, path: Path) -> Path:
    rate = source.video.rate or RATE
    drawing, video = _drawing(motion, 1), OverlayVideo(path, rate)
    for frame in _drawn_frames(source, motion):
        azimuth = FRONT + 360 * frame.number / rate / TURN_SECONDS
        video.add(frame, _beside(frame.image, drawing.draw(_poses_of(motion, frame.number), (azimuth,))), None)
    video.close()
    return path


def _draw_pictures(source: Source, motion: Motion3D, folder: Path) -> Path:
    drawing = _drawing(motion, len(PICTURE_VIEWS))
    for frame in _drawn_frames(source, motion):
        path = folder / f"{frame.name}.png"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            drawn = drawing.draw(_poses_of(motion, frame.number), PICTURE_VIEWS)
            write_png(str(path), _beside(frame.image, drawn))
        except OSError as error:
            raise write_error(error, path) from error
    return folder


def _drawn_frames(source: Source, motion: Motion3D) -> Iterator[Frame]:
    """Those that were predicted on, until the last of them."""
    last = max(motion.names)
    for frame in source.frames():
        if frame.number > last:
            return
        if frame.image is not None and frame.number in motion.names:
            yield frame


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
