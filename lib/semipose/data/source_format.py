"""The format of a source, seen from its path. What is not known is called so, with what to export instead."""

import os
import re

from semipose.data.formats.labelme import json_files
from semipose.data.formats.layout import has_annotation
from semipose.data.formats.pose_project import csv_files, is_project_file
from semipose.data.formats.video import VIDEOS
from semipose.data.formats.yolo_files import data_file, has_both, has_labels, is_data_file
from semipose.data.images import OTHER_PICTURES, PICTURES
from semipose.errors import DataError

_KNOWN = (
    "COCO keypoint json, folder of labelme files, csv or project of DeepLabCut or lightning-pose, YOLO pose folder or "
    "data.yaml, MPII json or mat, joints.mat of LSP; for a pool also a folder or zip of images, or a video"
)
_HEAD = 2**16  # characters of a JSON file to look at
_PICTURES = (*PICTURES, *OTHER_PICTURES)
_EXPORT = {
    (".slp",): "SLEAP's own; export it with sleap_io.save_ultralytics, which writes a YOLO pose folder",
    (".h5", ".hdf5"): "DeepLabCut's is read from the csv of the same name beside it, which is not there; SLEAP's has "
    "tracks and no images: export the labels (.slp) with sleap_io.save_ultralytics",
    (".pickle", ".pkl"): "in DeepLabCut the labels are in labeled-data/VIDEO/CollectedData_SCORER.csv",
    (".xml",): "of CVAT (export 'COCO Keypoints 1.0'), or Pascal VOC, which has boxes only",
    (
        ".yaml",
        ".yml",
    ): "neither a DeepLabCut config.yaml (with bodyparts) nor a YOLO data.yaml (with train and names or kpt_shape)",
    (".txt",): "the labels of YOLO are read by their data.yaml or folder",
    (".tar", ".gz", ".tgz", ".7z", ".rar"): "unpack it",
    (".jsonl", ".ndjson", ".parquet", ".xlsx", ".tfrecord", ".npy", ".npz"): "export COCO keypoints (json)",
    _PICTURES: "a single picture; name its folder",
}
_LABEL_STUDIO = re.compile(r'"(?:keypointlabels|kp-\d+|annotations|completions|annotation_id|from_name)"\s*:')
_LABELME = re.compile(r'"(?:shapes|imagePath|imageData)"\s*:')
_COCO = re.compile(r'"(?:images|annotations|categories)"\s*:')
_COCO_IS = "a COCO file is an object with images, annotations and categories"
# what the head of a JSON file that is not COCO's looks like
_JSON_LISTS = (
    (re.compile(r'"keypoint_annotations"\s*:'), "AI Challenger's: give the source 'format: aic'"),
    (re.compile(r'"joints(?:_vis)?"\s*:'), "MPII's: give the source 'format: mpii'"),
    (_LABEL_STUDIO, "Label Studio's own; export 'COCO' there (with images, keypoints in boxes)"),
    (re.compile(r'"score"\s*:'), "detections or predictions; as 'boxes' of a source with a COCO file they are read"),
    (re.compile(""), _COCO_IS),
)
_JSON_OBJECTS = (
    (re.compile(r'"imagePath"\s*:'), "one labelme file; name its folder"),
    (re.compile(r'"_via_'), "VIA's own; export COCO format there"),
)


def guess_format(root: str, annotation: str, pool: bool) -> str:
    """The format of a path or set name. A folder without annotation is `images` for a pool; a zip archive is `images`.

    Args:
        pool: whether the source is for the unlabelled side.

    Raises:
        DataError: it is of no known format; the message has the known ones, and what to export.
    """
    path, ending = os.path.join(root, annotation), os.path.splitext(annotation)[1].lower()
    if ending in VIDEOS:
        return "video"
    if ending == ".csv":
        return "lightning_pose"
    if ending == ".mat":
        return "lsp" if os.path.basename(annotation) == "joints.mat" else "mpii"
    if has_annotation(root, annotation):
        return _json_format(path) if ending == ".json" else "coco"
    if os.path.isdir(path):
        return _folder_format(path, annotation, pool)
    if ending == ".zip":
        return "images"
    if os.path.isfile(path):
        return _file_format(path, ending)
    if ending in {known for endings in _EXPORT for known in endings}:
        raise DataError(f"{path}: does not exist")
    return "coco"


def _folder_format(folder: str, name: str, pool: bool) -> str:
    if data_file(folder):
        return "yolo"
    if pool:
        return "images"
    if csv_files(folder):
        return "lightning_pose"
    if has_both(folder):
        return "yolo"
    endings = _endings_below(folder)
    if ".json" in endings:
        return _json_folder_format(folder)
    if has_labels(folder):
        return "yolo"
    other = ", ".join(sorted(ending for ending in endings if ending not in _PICTURES)[:5])
    has = f"has {other} files, but no" if other else "has no"
    hint = _advice(next((ending for ending in sorted(endings - {*_PICTURES, ".yaml"}) if _advice(ending)), ""))
    missing = f"{has} labelme file (*.json), CollectedData*.csv or data.yaml{hint and f': {hint}'}"
    is_name = os.path.basename(name) == name not in ("", ".", "..")  # perhaps that of a COCO set
    raise _unknown(folder, missing + f"; nor is there annotations/person_keypoints_{name}.json" * is_name)


def _file_format(path: str, ending: str) -> str:
    if ending in (".yaml", ".yml") and is_data_file(path):
        return "yolo"
    if ending in (".yaml", ".yml") and is_project_file(path):
        return "lightning_pose"
    if ending in (".h5", ".hdf5") and os.path.isfile(os.path.splitext(path)[0] + ".csv"):
        return "lightning_pose"
    raise _unknown(path, _advice(ending))


def _json_folder_format(folder: str) -> str:
    """`labelme`; raises DataError for a folder that has no labelme file among its JSON files."""
    files = json_files(folder)
    if any(map(_LABELME.search, map(_head, files))):
        return "labelme"
    hint = _json_hint(files[0]) or "a COCO file has to be named itself"
    raise _unknown(folder, f"has no labelme file (*.json); {os.path.relpath(files[0], folder)}: {hint}")


def _json_format(path: str) -> str:
    """`coco`; raises DataError for a file that is of another tool."""
    hint = _json_hint(path)
    if hint:
        raise _unknown(path, hint)
    return "coco"  # whose reader names other faults


def _json_hint(path: str) -> str:
    """What a JSON file is, by its head, and what to do with it; "" if it may be COCO's."""
    head = _head(path)
    looks = _JSON_LISTS if head.startswith("[") else _JSON_OBJECTS
    found = next((hint for pattern, hint in looks if pattern.search(head)), "")
    is_other = head.startswith("{") and len(head) < _HEAD and not _COCO.search(head)
    return found or _COCO_IS * is_other


def _head(path: str) -> str:
    try:
        with open(path, encoding="utf-8-sig", errors="replace") as file:
            return file.read(_HEAD).lstrip()
    except OSError:
        return ""


def _advice(ending: str) -> str:
    return next((text for endings, text in _EXPORT.items() if ending in endings), "")


def _unknown(path: str, hint: str) -> DataError:
    return DataError(f"{path}: format not known{hint and f' ({hint})'}; known are: {_KNOWN}")


def _endings_below(folder: str) -> set[str]:
    found: set[str] = set()
    for _, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found |= {os.path.splitext(name)[1].lower() for name in names if not name.startswith(".")}
    return found - {""}
