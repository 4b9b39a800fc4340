"""What can be predicted on: pictures, folders, patterns, zip archives, lists, videos and cameras."""

import glob
import logging
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from semipose.data.archives import image_name, is_archive, member_names
from semipose.data.formats.folder import files_below, image_files, is_overlay, passed_over
from semipose.data.formats.video import VIDEOS
from semipose.data.images import OTHER_PICTURES, PICTURES, read_image
from semipose.data.readings import upright_readings
from semipose.errors import DataError
from semipose.predict.videos import Camera, Video

log = logging.getLogger(__name__)
KINDS = "a picture, a folder, a pattern such as 'a/*.jpg', a zip archive, a video, a list in a .txt file or the number "
KINDS += "of a camera"


@dataclass(frozen=True)
class Frame:
    """One picture or one frame of a video.

    Attributes:
        image: (H, W, 3) uint8 RGB; None if it could not be read.
        name: of the picture, relative to its source; of a frame its number, such as "12".
        number: 0, 1, ... in its source.
        time: seconds since the start of the video; None for pictures.
        fault: why it could not be read, a line that names it.
    """

    image: np.ndarray | None
    name: str
    number: int
    time: float | None = None
    fault: str = ""


@dataclass(frozen=True)
class Pictures:
    """Picture files that are predicted together.

    Attributes:
        title: names the output files.
        names: of the pictures in the output files.
        paths: files, or `ARCHIVE.zip@MEMBER`.
    """

    title: str
    names: tuple[str, ...]
    paths: tuple[str, ...]
    is_video = False

    @property
    def total(self) -> int:
        return len(self.paths)

    def frames(self) -> Iterator[Frame]:
        """All pictures, also those that cannot be read; turned upright by their EXIF orientation."""
        readings = upright_readings(self.title, self.paths)
        for number, (name, path, reading) in enumerate(zip(self.names, self.paths, readings)):
            try:
                yield Frame(read_image(path, reading=reading), name, number)
            except DataError as error:
                yield Frame(None, name, number, fault=str(error))


@dataclass(frozen=True)
class Stream:
    """A video or a camera.

    Attributes:
        title: names the output files.
        video: where the frames come from.
    """

    title: str
    video: Video | Camera
    is_video = True

    @property
    def total(self) -> int | None:
        return self.video.total

    def frames(self) -> Iterator[Frame]:
        """All frames, also those that cannot be read."""
        for number, time, image in self.video.read():
            fault = "" if image is not None else f"{self.video.name}: frame {number} cannot be read"
            yield Frame(image, str(number), number, time, fault)


Source = Pictures | Stream


def find_sources(words: list[str]) -> list[Source]:
    """What the words of a command line stand for. Single pictures form one source, which comes first.

    Raises:
        DataError: nothing is there, or it is neither a picture nor a video; the message names it.
    """
    single, others = _expand_all(words, "pictures")
    found = ([_single_pictures(single)] if single else []) + others
    return _with_own_titles(found)


def _expand(word: str) -> tuple[list[str], list[Source]]:
    """Single picture files, and sources of their own, of one word."""
    if word.isdecimal() and not os.path.exists(word):
        return [], [Stream(f"camera{word}", Camera(int(word)))]
    if os.path.isdir(word):
        return [], _folder(word)
    if is_archive(word):
        return [], [_pictures_of(word, [name for name in member_names(word) if name.lower().endswith(PICTURES)])]
    if not os.path.exists(word) and glob.has_magic(word):
        matches = sorted(glob.glob(word, recursive=True))
        if not matches:
            raise DataError(f"{word}: no file matches this pattern")
        return _expand_all([name for name in matches if _is_known(name)] or matches, word)
    if not os.path.isfile(word):
        raise DataError(f"{word}: is not there; a source is {KINDS}")
    if word.lower().endswith(".txt"):
        return _expand_all(_listed(word), word)
    return ([word], []) if word.lower().endswith(PICTURES) else ([], [Stream(_stem(word), Video(word))])


def _expand_all(words: list[str], where: str) -> tuple[list[str], list[Source]]:
    """`_expand` of all words but pictures of kinds that are not read; DataError if there is nothing else."""
    other = [word for word in words if word.lower().endswith(OTHER_PICTURES) and os.path.isfile(word)]
    if other and len(other) == len(words):
        raise DataError(passed_over(where, other))
    _tell(where, other)
    pairs = [_expand(word) for word in words if word not in other]
    return [file for files, _ in pairs for file in files], [source for _, sources in pairs for source in sources]


def _is_known(name: str) -> bool:
    return os.path.isfile(name) and name.lower().endswith(PICTURES + OTHER_PICTURES + VIDEOS)


def _listed(file: str) -> list[str]:
    """The lines of a list; names are relative to its folder."""
    try:
        with open(file, encoding="utf-8-sig") as stream:
            lines = [line.strip() for line in stream]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    names = [line for line in lines if line and not line.startswith("#")]
    if not names:
        raise DataError(f"{file}: names no picture and no video; one name a line expected")
    nested = [name for name in names if name.lower().endswith(".txt")]
    if nested:
        raise DataError(f"{file}: {nested[0]}: a list in a list is not read")
    return [name if name.isdecimal() else os.path.join(os.path.dirname(file), name) for name in names]


def _folder(folder: str) -> list[Source]:
    """The pictures in a folder and below it, and each video there; not the overlays that were written into it."""
    videos = []
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        videos += [os.path.join(parent, n) for n in sorted(names) if n.lower().endswith(VIDEOS) and n[0] != "."]
    videos = [path for path in videos if not is_overlay(os.path.relpath(path, folder))]
    paths = image_files(folder)
    other = files_below(folder, OTHER_PICTURES)
    if not paths and not videos:
        reason = passed_over(folder, other)
        fault = f"{folder}: no picture ({_shown(PICTURES)}) and no video ({_shown(VIDEOS)}) in it or below it"
        raise DataError(reason or fault)
    _tell(folder, other)
    names = tuple(os.path.relpath(path, folder).replace(os.sep, "/") for path in paths)
    pictures = [Pictures(_stem(os.path.abspath(folder)), names, tuple(paths))] if paths else []
    streams, faults = _streams(videos)
    if faults and not pictures and not streams:
        raise faults[0]
    for fault in faults:
        log.warning("left out: %s", fault)
    return pictures + streams


def _tell(where: str, files: list[str]) -> None:
    if files:
        log.warning("%s", passed_over(where, files))


def _streams(videos: list[str]) -> tuple[list[Source], list[DataError]]:
    """Those that can be read, and why the others cannot."""
    streams, faults = [], []
    for path in videos:
        try:
            streams.append(Stream(_stem(path), Video(path)))
        except DataError as fault:
            faults.append(fault)
    return streams, faults


def _pictures_of(archive: str, names: list[str]) -> Pictures:
    other = files_below(archive, OTHER_PICTURES)
    if not names:
        raise DataError(passed_over(archive, other) or f"{archive}: no picture ({_shown(PICTURES)}) in it")
    _tell(archive, other)
    return Pictures(_stem(archive), tuple(names), tuple(f"{archive}@{name}" for name in names))


def _single_pictures(paths: list[str]) -> Pictures:
    """Pictures that were named one by one, in the output by their path below the folder that all of them are in."""
    paths = list(dict.fromkeys(os.path.normpath(path) for path in paths))
    folders = [os.path.dirname(os.path.abspath(path)) for path in paths]
    names = [os.path.relpath(os.path.abspath(path), os.path.commonpath(folders)) for path in paths]
    title = _stem(image_name(paths[0])) if len(paths) == 1 else "pictures"
    return Pictures(title, tuple(name.replace(os.sep, "/") for name in names), tuple(paths))


def _with_own_titles(sources: list[Source]) -> list[Source]:
    """Sources of one title get a number, so that no output file is written twice."""
    found, seen = [], Counter()
    for source in sources:
        key = source.title.casefold()
        seen[key] += 1
        while seen[key] > 1 and f"{key}_{seen[key]}" in seen:
            seen[key] += 1
        title = source.title if seen[key] == 1 else f"{source.title}_{seen[key]}"
        seen[title.casefold()] += title != source.title
        found.append(replace(source, title=title))
    return found


def _stem(path: str) -> str:
    name = os.path.basename(os.path.normpath(path))
    stem, ending = os.path.splitext(name)
    return (stem if ending.lower() in (*PICTURES, *VIDEOS, ".zip") else name) or "pictures"


def _shown(endings: tuple[str, ...]) -> str:
    return ", ".join(ending[1:] for ending in endings)
