"""A video for the unlabelled side: its frames are written as image files once, so that crops can be cached."""

import contextlib
import hashlib
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from semipose.data.formats.image_list import whole_frames
from semipose.data.formats.json_rows import load_json
from semipose.data.json_file import write_json
from semipose.data.thumbnails import load_thumbnails, save_thumbnails
from semipose.data.video_frames import Frames, write_frames
from semipose.data.video_frames import read_video as frames_of
from semipose.errors import DataError, write_error
from semipose.structures import Persons

_log = logging.getLogger(__name__)
_INDEX = "index.json"  # written last: it stands for a complete extraction
_THUMBNAILS = "thumbnails.npy"  # of all frames of the video, also of those that were not taken
VIDEOS = (
    ".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts",
    ".wmv", ".flv", ".ogv", ".3gp",
)  # fmt: skip
_MOST_FRAMES = 10_000_000


def read_video(video: str, num_keypoints: int, cache_folder: str, every: int = 1) -> Persons:
    """One person for each taken frame, the whole frame as its box, in the order of the video.

    The frames are written to `<cache_folder>/<name>-<key>/000012.png`, where they stay. The key changes with the path,
    the size and the time of the video and with `every`. An extraction that was cut short starts anew. If several
    processes ask for it, one extracts and the others wait. Frames that cannot be decoded, or that only the header has,
    are counted in one line of the log.

    Args:
        video: file that OpenCV can read.
        num_keypoints: K of the (N, K, 3) keypoints, which are zero.
        cache_folder: is made if it is not there.
        every: take one frame out of this many, and the first one.

    Raises:
        DataError: the video cannot be read, or `every` is not allowed.
        SemiposeError: a frame cannot be written; NoSpaceError where the disk or quota is full.
    """
    if not 1 <= every <= _MOST_FRAMES:
        raise DataError(f"{video}: every is {every}; allowed: 1 to {_MOST_FRAMES}")
    wanted = np.zeros(_MOST_FRAMES, bool)
    wanted[::every] = True
    folder = os.path.join(cache_folder, _folder_name(video, every))
    frames = _read_index(folder) or _extract(video, wanted, folder)
    if frames.read < frames.total:
        _log.warning(
            "%s: %d of %d frames are read, the others are damaged or missing", video, frames.read, frames.total
        )
    paths = np.array([os.path.join(folder, name) for name in frames.names], str)
    if not len(paths):
        raise DataError(f"{video}: none of the frames that `every` {every} takes can be decoded")
    return whole_frames(paths, np.arange(1, len(paths) + 1), np.tile(frames.size, (len(paths), 1)), num_keypoints)


def frame_numbers(paths: Sequence[str]) -> np.ndarray:
    """(N,) int64: which frames of their video the images of `read_video` are."""
    return np.array([int(Path(path).stem) for path in paths], np.int64)


def video_thumbnails(path: str) -> np.ndarray:
    """(F, 32, 32) uint8 of all frames of the video that an image of `read_video` is from; zero for a damaged one."""
    return load_thumbnails(os.path.join(os.path.dirname(path), _THUMBNAILS))


def _folder_name(video: str, every: int) -> str:
    if not os.path.isfile(video):
        raise DataError(f"{video}: video does not exist")
    facts = os.stat(video)
    source = (os.path.realpath(video), facts.st_size, facts.st_mtime_ns, every)
    return f"{os.path.splitext(os.path.basename(video))[0]}-{hashlib.sha256(ascii(source).encode()).hexdigest()[:12]}"


def _read_index(folder: str) -> Frames | None:
    """What an earlier extraction wrote; None if it is not complete or files are missing."""
    path = os.path.join(folder, _INDEX)
    if not os.path.isfile(path):
        return None
    try:
        index, thumbnails = load_json(path), load_thumbnails(os.path.join(folder, _THUMBNAILS))
        names, (width, height) = index["frames"], index["size"]
        complete = thumbnails is not None and set(names) <= set(os.listdir(folder))
        return Frames(names, (width, height), thumbnails, index["read"], index["total"]) if complete else None
    except (DataError, KeyError, TypeError, ValueError):
        return None


def _extract(video: str, wanted: np.ndarray, folder: str) -> Frames:
    next(frames_of(video))  # no folder is made for a file that is no video
    try:
        os.makedirs(folder, exist_ok=True)
        with _alone(os.path.join(folder, ".lock")):
            frames = _read_index(folder)  # another process may have made it meanwhile
            if frames is None:
                _log.info("%s: writing its frames to %s", video, folder)
                frames = write_frames(video, wanted, folder)
                save_thumbnails(os.path.join(folder, _THUMBNAILS), frames.thumbnails)
                index = {"video": video, "frames": frames.names, "size": frames.size}
                write_json(os.path.join(folder, _INDEX), index | {"read": frames.read, "total": frames.total})
            return frames
    except OSError as error:
        raise write_error(error, error.filename or folder) from error


@contextlib.contextmanager
def _alone(lock: str) -> Iterator[None]:
    """Only one process at a time. However that process ends, the lock ends with it."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    with open(lock, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
