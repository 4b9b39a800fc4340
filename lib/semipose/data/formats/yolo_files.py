"""The files of a YOLO pose data set: data.yaml, the images of a split, and the label file of each image."""

import logging
import os
import re
from dataclasses import dataclass, field

from semipose.data.archives import image_exists, is_archive, name_fault
from semipose.data.formats.folder import image_files
from semipose.data.formats.image_list import leads_inside
from semipose.data.formats.image_names import is_picture_here
from semipose.data.formats.notices import warn_once
from semipose.errors import DataError
from semipose.plain_yaml import parse_yaml

_log = logging.getLogger(__name__)
_DATA_FILE = re.compile(r"^(?:kpt_shape|names|nc)\s*:", re.M)
_TRAIN = re.compile(r"^train\s*:", re.M)
_FOLDERS = {"train": ("train", "training"), "val": ("val", "valid", "validation"), "test": ("test", "testing")}
_PROBES = 20  # file names to look for, so that one missing image does not hide the right folder


@dataclass(frozen=True)
class YoloFiles:
    """Images and labels of one split.

    Attributes:
        file: data.yaml, or the folder if there is none; for messages.
        images: (image folder, file names relative to it), one or several.
        labels: folder of the label files, by the same names; "" = beside images in a folder `labels`.
        data: what data.yaml holds.
    """

    file: str
    images: list[tuple[str, list[str]]]
    labels: str = ""
    data: dict = field(default_factory=dict)

    def label_file(self, folder: str, name: str) -> str:
        """The text file of an image: `images` becomes `labels` in its path; without `images` it lies beside it."""
        if self.labels:
            return os.path.join(self.labels, os.path.splitext(name)[0] + ".txt")
        path = "/" + os.path.splitext(os.path.join(folder, name))[0].replace(os.sep, "/")
        start, found, end = path.rpartition("/images/")
        return (f"{start}/labels/{end}.txt" if found else f"{path}.txt")[1:]


def data_file(folder: str) -> str:
    """The data.yaml in a folder, or another YAML file of this kind; "" if there is none."""
    names = sorted(os.listdir(folder), key=lambda name: (name != "data.yaml", name))
    paths = (os.path.join(folder, name) for name in names if name.lower().endswith((".yaml", ".yml")))
    return next(filter(is_data_file, paths), "")


def is_data_file(path: str) -> bool:
    """Whether a YAML file describes a YOLO data set."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            text = file.read(2**20)
    except OSError:
        return False
    return bool(_DATA_FILE.search(text) and _TRAIN.search(text))


def has_both(folder: str) -> bool:
    """Whether a folder has images/ and labels/, or a split of it does."""
    splits = ("", *(name for names in _FOLDERS.values() for name in names))
    pairs = [[os.path.join(folder, split, name) for name in ("images", "labels")] for split in splits]
    return any(all(map(os.path.isdir, pair)) for pair in pairs)


def has_labels(folder: str) -> bool:
    """Whether the first image of a folder has a label file where YOLO keeps it."""
    first = next(iter(image_files(folder)), "")
    return bool(first) and os.path.isfile(YoloFiles(folder, []).label_file("", first))


def find_files(annotation: str, split: str, images: str, root: str) -> YoloFiles:
    """Images and labels of a split.

    Args:
        annotation: data.yaml; a folder that has one, or images/ and labels/, or images; or with `images` the folder of
            the label files.
        split: train, val or test.
        images: image folder, in place of that in data.yaml; "" = as found.
        root: of the data set; data.yaml may name folders in it and beside itself.

    Raises:
        DataError: files are missing, or lie elsewhere.
        ConfigError: data.yaml is no YAML.
    """
    file = data_file(annotation) if os.path.isdir(annotation) else annotation
    data = _data(file) if file else {}
    if images:
        labels = "" if file else annotation
        return YoloFiles(file or annotation, [_listed_folder(images)], labels, data)
    if not file:
        return YoloFiles(annotation, [_listed_folder(_split_folder(annotation, split))])
    entries = data.get(split) or []
    entries = entries if isinstance(entries, list) else [entries]
    if not entries or not all(isinstance(entry, str) for entry in entries):
        known = ", ".join(name for name in _FOLDERS if data.get(name)) or "none"
        raise DataError(f"{file}: {split}: names no images; splits in it: {known} (see 'split' of a source)")
    return YoloFiles(file, [_entry(file, data, split, entry, root) for entry in entries], data=data)


def _data(file: str) -> dict:
    try:
        with open(file, "rb") as stream:
            data = parse_yaml(stream.read(), file)
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror}") from error
    if not isinstance(data, dict):
        raise DataError(f"{file}: is not a data.yaml of YOLO")
    return data


def _split_folder(folder: str, split: str) -> str:
    """`images/SPLIT`, `SPLIT/images`, `images` or the folder itself."""
    names = [f"images/{name}" for name in _FOLDERS[split]] + [f"{name}/images" for name in _FOLDERS[split]]
    places = [os.path.join(folder, name) for name in (*names, "images")]
    return next(filter(os.path.isdir, places), folder)


def _entry(file: str, data: dict, split: str, entry: str, root: str) -> tuple[str, list[str]]:
    """The image folder and the names that an entry of a split stands for."""
    folder, entry = os.path.dirname(file) or ".", entry.replace("\\", "/")
    base = data.get("path")
    base = os.path.join(folder, base.replace("\\", "/")) if isinstance(base, str) else folder
    # Roboflow writes ../train/images for train/images; of a path on another machine the end counts
    inner, is_absolute = re.sub(r"^(\.\./)+", "", entry), entry[:1] == "/" or entry[1:2] == ":"
    ends = [inner, *_ends(entry)] if is_absolute else [inner]
    places = [os.path.join(base, entry), os.path.join(folder, entry), *(os.path.join(folder, end) for end in ends)]
    places = list(dict.fromkeys(map(os.path.normpath, places)))
    found = next(filter(os.path.exists, places), "")
    if not found:
        raise DataError(f"{file}: {split}: {entry!a} is in none of the places tried: {', '.join(places)}")
    if not any(leads_inside(found, place) for place in (root or folder, folder)):
        raise DataError(f"{file}: {split}: {found} lies outside of the data set; name it as 'images' of the source")
    if found != places[0] and not entry.startswith("../"):
        warn_once(_log, "%s: %s: %s is not there; %s is taken", file, split, places[0], found)
    return _listed_folder(found) if os.path.isdir(found) else _listed_file(found, base)


def _listed_folder(folder: str) -> tuple[str, list[str]]:
    if is_archive(folder):
        raise DataError(f"{folder}: images with YOLO labels must be in a folder, not in a zip archive")
    if not os.path.isdir(folder):
        raise DataError(f"{folder}: image folder does not exist")
    names = [os.path.relpath(path, folder).replace(os.sep, "/") for path in image_files(folder)]
    if not names:
        raise DataError(f"{folder}: has no image in it or below it")
    return folder, names


def _listed_file(file: str, base: str) -> tuple[str, list[str]]:
    """The lines of a list of images; they are relative to its folder or to that of the data set."""
    try:
        with open(file, encoding="utf-8-sig") as stream:
            lines = [line.strip().replace("\\", "/") for line in stream]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    lines = [line.removeprefix("./") for line in lines if line]
    if not lines:
        raise DataError(f"{file}: lists no image")
    places = dict.fromkeys(map(os.path.normpath, (os.path.dirname(file) or ".", base)))
    for place in places:
        above = next((above for line in lines[:_PROBES] if (above := _above(line, place)) is not None), None)
        if above is not None:
            if above:
                text = "%s: %d lines are taken below %s, without the folders %s"
                warn_once(_log, text, file, sum(line.startswith(above) for line in lines), place, above)
            return place, [line.removeprefix(above) for line in lines]
    raise DataError(f"{file}: image {lines[0]!a} is in none of the folders tried: {', '.join(places)}")


def _above(line: str, folder: str) -> str | None:
    """The leading folders of a line of a list that another machine or tool put before its place below a folder; "" if
    it is there as it is; None if it is not there."""
    if is_picture_here(line):
        return ""
    ends = [end for end in (line, *_ends(line)) if not name_fault(end)]
    found = next((end for end in ends if image_exists(os.path.join(folder, end))), None)
    return None if found is None else line.removesuffix(found)


def _ends(path: str) -> list[str]:
    """The path without its first folder, its first two, and so on."""
    parts = path.split("/")
    return ["/".join(parts[start:]) for start in range(1, len(parts))]
