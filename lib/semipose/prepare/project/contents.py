"""What lies in a file or folder that somebody wants to train on: labels of which kind, pictures, videos."""

import csv
import logging
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from semipose.data.formats.folder import is_overlay
from semipose.data.formats.pose_project import is_project_file
from semipose.data.formats.video import VIDEOS
from semipose.data.formats.yolo_files import data_file, has_both, is_data_file
from semipose.data.images import PICTURES
from semipose.errors import DataError

_log = logging.getLogger(__name__)
_HEAD = 2**16  # characters of a JSON file to look at
_TOP = 500  # of these, in which a COCO file says who made it
_KINDS = (  # what the head of a JSON file looks like
    ("labelme", re.compile(r'"(?:shapes|imagePath|imageData)"\s*:')),
    ("coco", re.compile(r'\A\{.*"(?:images|annotations|categories)"\s*:', re.DOTALL)),
    ("aic", re.compile(r'\A\[.*"keypoint_annotations"\s*:', re.DOTALL)),
    ("mpii", re.compile(r'\A\[.*"joints(?:_vis)?"\s*:', re.DOTALL)),
)
_PREDICTED = re.compile(r'"contributor":\s*"semipose"')  # as semipose predict writes COCO files
_FOR_VALIDATION = re.compile(r"(?:^|[^a-z])(?:val|valid|validation)(?:[^a-z]|$)|val\d{4}", re.IGNORECASE)
_UNLABELLED = re.compile(r"unlabel", re.IGNORECASE)


@dataclass(frozen=True)
class LabelFile:
    """Labels of one kind.

    Attributes:
        kind: format of the source.
        annotation: relative to the root.
        role: "labelled", "validation" or "unlabelled", as its name says.
        split: of a YOLO data set.
    """

    kind: str
    annotation: str
    role: str = "labelled"
    split: str = ""


@dataclass(frozen=True)
class Contents:
    """What was found.

    Attributes:
        root: folder that all names are relative to.
        labels: files and folders with labels.
        pictures: picture files, labelled or not.
        videos: video files.
    """

    root: str
    labels: tuple[LabelFile, ...]
    pictures: tuple[str, ...]
    videos: tuple[str, ...]


def look_at(data: str) -> Contents:
    """What a folder holds, with all below it; or a file, with the pictures and videos in its folder.

    Only names, and the beginning of JSON and CSV files, are read.

    Raises:
        DataError: it is not there, or is nothing that can be read.
    """
    if not os.path.exists(data):
        raise DataError(f"{data}: does not exist")
    if os.path.isdir(data):
        files = list(_files(data))
        return _contents(data, files, tuple(_labels(data, files)))
    root = _root_of(data)
    files, own = list(_files(root)), os.path.relpath(data, root)
    labels = tuple(_labels(root, [own])) or _project(root, own)
    if not labels and not own.lower().endswith((*PICTURES, *VIDEOS)):
        raise DataError(
            f"{data}: is no COCO, MPII or AI Challenger json, csv of DeepLabCut or lightning-pose, joints.mat of LSP, "
            f"data.yaml of YOLO, config.yaml of DeepLabCut, picture or video; for labelme name the folder"
        )
    if own.lower().endswith(VIDEOS):
        files = [own]
    return _contents(root, files, labels)


def _contents(root: str, files: list[str], labels: tuple[LabelFile, ...]) -> Contents:
    kinds = [tuple(name for name in files if name.lower().endswith(endings)) for endings in (PICTURES, VIDEOS)]
    return Contents(root, labels, *kinds)


def _root_of(file: str) -> str:
    """The folder of a file; the one above it where it lies in `annotations` or `annot`."""
    folder = os.path.dirname(file) or "."
    above = os.path.basename(os.path.abspath(folder)) in ("annotations", "annot")
    return os.path.normpath(os.path.join(folder, "..")) if above else folder


def _files(root: str) -> Iterator[str]:
    """Files in a folder and below it, relative to it, sorted; not hidden ones, nor those of runs, caches, overlays."""
    for folder, folders, names in os.walk(root):
        if "thumbnails.npy" in names or "metrics.jsonl" in names:  # frames of a video in a cache; a run
            folders[:] = []
            continue
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        paths = [os.path.normpath(os.path.join(os.path.relpath(folder, root), name)) for name in sorted(names)]
        yield from (path for path in paths if not os.path.basename(path).startswith(".") and not is_overlay(path))


def _labels(root: str, files: list[str]) -> Iterator[LabelFile]:
    """Each YOLO set, file or folder with labels."""
    folders = [""] if len(files) > 1 else []
    folders += sorted({os.path.dirname(name) for name in files if os.path.dirname(name).count(os.sep) == 0} - {""})
    for folder in folders:
        yield from _yolo(root, folder)
    yield from _tables(root, files)
    yield from _json_labels(root, files)
    for name in files:
        if os.path.basename(name) == "joints.mat":
            yield LabelFile("lsp", name)
        elif fnmatch(os.path.basename(name), "mpii*.mat"):
            yield LabelFile("mpii", name)


def _yolo(root: str, folder: str) -> Iterator[LabelFile]:
    place = os.path.join(root, folder)
    if not os.path.isdir(place) or not (data_file(place) or has_both(place)):
        return
    yield LabelFile("yolo", folder or ".")


def _project(root: str, own: str) -> tuple[LabelFile, ...]:
    """The project that a file describes; () if it does not."""
    path = os.path.join(root, own)
    if path.endswith((".yaml", ".yml")) and is_data_file(path):
        return (LabelFile("yolo", own),)
    is_project = path.endswith((".yaml", ".yml")) and is_project_file(path)
    return (LabelFile("lightning_pose", own),) if is_project else ()


def _tables(root: str, files: list[str]) -> Iterator[LabelFile]:
    """CSV files of labels; those of one project together, by its folder."""
    found = [name for name in files if name.lower().endswith(".csv") and _has_labels(root, name, len(files) > 1)]
    found = [name for name in found if not name.endswith("_new.csv")]
    while found:
        project = _project_of(root, found[0])
        own = [name for name in found if project and Path(project) in Path(name).parents]
        yield LabelFile("lightning_pose", project if len(own) > 1 else found[0])
        found = [name for name in found[1:] if name not in own]


def _project_of(root: str, name: str) -> str:
    """The folder of the DeepLabCut or lightning-pose project that a csv belongs to: that above `labeled-data`."""
    parents = [parent for parent in Path(name).parents if parent.name == "labeled-data"]
    return str(parents[0].parent) if parents else ""


def _has_labels(root: str, name: str, one_of_many: bool) -> bool:
    """Whether a CSV is of labels: its header is that of DeepLabCut, and its rows name images.

    Args:
        one_of_many: nobody has named it, so one with the columns of a prediction is none.
    """
    path = os.path.join(root, name)
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            rows = [row for row, _ in zip(csv.reader(file), range(5)) if row]
    except (OSError, UnicodeDecodeError, csv.Error):
        rows = [[f"scorer;{path}"]] if _starts_with_scorer(path) else []
    if rows and rows[0][0].startswith("scorer;"):
        _log.warning("%s: left out; it is not UTF-8 with commas. Save it as 'CSV UTF-8, comma delimited'", path)
    labels = len(rows) > 3 and rows[0][0].strip() == "scorer" and not rows[-1][0].strip().isdecimal()
    predicted = labels and one_of_many and any("likelihood" in row for row in rows[1:4])
    if predicted:
        _log.warning("%s: left out; its columns 'likelihood' are of predictions. If not, name this file alone", path)
    return labels and not predicted


def _starts_with_scorer(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(6) == b"scorer"
    except OSError:
        return False


def _json_labels(root: str, files: list[str]) -> Iterator[LabelFile]:
    """COCO, AI Challenger and MPII files, and the folder of all labelme files."""
    kinds = {name: _json_kind(os.path.join(root, name)) for name in files if name.lower().endswith(".json")}
    folders = [os.path.dirname(name) for name, kind in kinds.items() if kind == "labelme"]
    if folders:
        yield LabelFile("labelme", os.path.commonpath(folders) or ".")
    for name, kind in kinds.items():
        if kind in ("coco", "aic", "mpii"):
            yield LabelFile(kind, name, _role(name))


def _json_kind(path: str) -> str:
    try:
        with open(path, encoding="utf-8-sig", errors="replace") as file:
            head = file.read(_HEAD).lstrip()
    except OSError:
        return ""
    kind = next((kind for kind, looks in _KINDS if looks.search(head)), "")
    return "" if kind == "coco" and _PREDICTED.search(head[:_TOP]) else kind


def _role(name: str) -> str:
    words = os.path.join(os.path.basename(os.path.dirname(name)), os.path.basename(name))
    if _UNLABELLED.search(words):
        return "unlabelled"
    return "validation" if _FOR_VALIDATION.search(words) else "labelled"
