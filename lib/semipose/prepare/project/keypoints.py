"""The keypoints that labels name, before there is a skeleton to read them by."""

import csv
import os
from collections import Counter
from dataclasses import dataclass

from semipose.data.formats.json_rows import load_json
from semipose.data.formats.labelme import json_files
from semipose.data.formats.pose_project import csv_files
from semipose.data.formats.yolo_files import YoloFiles, data_file, find_files
from semipose.data.sources import OWN_SKELETONS
from semipose.errors import ConfigError, DataError
from semipose.plain_yaml import parse_yaml
from semipose.prepare.project.contents import LabelFile
from semipose.skeletons import SKELETONS

_RARE, _FILES = 0.05, 20  # a label in fewer of the files, of so many, is taken for a slip of the pen
_SOME = 5  # of so many files a label in a single one may be one


@dataclass(frozen=True)
class Keypoints:
    """What labels say of their keypoints.

    Attributes:
        names: in the order of the labels.
        links: pairs of names that are drawn as limbs.
        swaps: pairs that change places in a mirrored picture; None = the labels do not say.
        own_boxes: whether there are boxes that somebody drew.
        format: of the source.
        skeleton: name in the catalogue; "" = none has these names.
        left_out: labels that are taken for mistakes.
        doubtful: keypoints that may be mistakes, as a single file has them, with its name.
    """

    names: tuple[str, ...]
    links: tuple[tuple[str, str], ...] = ()
    swaps: tuple[tuple[str, str], ...] | None = None
    own_boxes: bool = True
    format: str = ""
    skeleton: str = ""
    left_out: tuple[str, ...] = ()
    doubtful: tuple[str, ...] = ()


def keypoints_of(root: str, labels: LabelFile) -> Keypoints | None:
    """The keypoints of labels; None for a COCO file that has none.

    Raises:
        DataError: a file cannot be read, or names no keypoint.
    """
    path = os.path.join(root, labels.annotation)
    if labels.kind in OWN_SKELETONS and labels.kind != "aic":
        return _of_catalogue(labels.kind, labels.kind)
    found = _READERS[labels.kind](path)
    if found is None or found.skeleton or found.swaps is not None:
        return found
    name = catalogue_name(found.names)
    return _of_catalogue(name, _format(labels.kind, name), found) if name else found


def catalogue_name(names: tuple[str, ...]) -> str:
    """The skeleton of the catalogue that has these keypoints in this order; "" if none has."""
    plain = tuple(map(_plain, names))
    return next((name for name, skeleton in SKELETONS.items() if tuple(map(_plain, skeleton.keypoints)) == plain), "")


def _of_catalogue(name: str, kind: str, found: Keypoints | None = None) -> Keypoints:
    skeleton = SKELETONS[name]
    own_boxes = True if found is None else found.own_boxes
    left_out = () if found is None else found.left_out
    return Keypoints(skeleton.keypoints, skeleton.links, skeleton.swaps, own_boxes, kind, name, left_out)


def _format(kind: str, name: str) -> str:
    """COCO-style files of some sets are read in their own way, which their keypoints tell."""
    return name if kind == "coco" and name in ("crowdpose", "jhmdb", "aic") else kind


def _plain(name: str) -> str:
    plain = "_".join(str(name).lower().replace("-", " ").replace("_", " ").split())
    return "head_top" if plain == "top_head" else plain  # CrowdPose


def _of_coco(path: str) -> Keypoints | None:
    document = load_json(path)
    rows = document.get("annotations") if isinstance(document, dict) else None
    labelled = [row for row in rows or [] if isinstance(row, dict) and row.get("keypoints")]
    kinds = (
        {row.get("id"): row for row in document.get("categories") or [] if isinstance(row, dict)} if labelled else {}
    )
    named = {key for key, row in kinds.items() if isinstance(row.get("keypoints"), list) and row["keypoints"]}
    counts = Counter(row.get("category_id") for row in labelled if row.get("category_id") in named)
    if not labelled:
        return None
    own_boxes = any(_has_area(row.get("bbox")) for row in labelled)
    if not counts:
        points = len(labelled[0]["keypoints"]) // 3
        return _numbered(path, points, own_boxes, "coco")
    category = kinds[counts.most_common(1)[0][0]]
    names = tuple(map(str, category["keypoints"]))
    joints = len(next(row for row in labelled if row.get("category_id") == category["id"])["keypoints"]) // 3
    names = names[:joints] or names
    return Keypoints(names, _links(names, category.get("skeleton"), 1), None, own_boxes, "coco")


def _has_area(box: object) -> bool:
    return isinstance(box, list) and len(box) == 4 and all(type(n) in (int, float) for n in box) and min(box[2:]) > 0


def _links(names: tuple[str, ...], pairs: object, first: int) -> tuple[tuple[str, str], ...]:
    """Pairs of numbers from `first` on, or of names, as pairs of names; what makes no sense is left out."""
    found = {}
    for pair in pairs if isinstance(pairs, list) else []:
        ends = [_name(names, end, first) for end in pair] if isinstance(pair, list) and len(pair) == 2 else []
        if len(set(ends) - {""}) == 2:
            found.setdefault(frozenset(ends), tuple(ends))
    return tuple(found.values())


def _name(names: tuple[str, ...], end: object, first: int) -> str:
    if isinstance(end, str) and end in names:
        return end
    number = int(end) - first if str(end).isdecimal() else -1
    return names[number] if 0 <= number < len(names) else ""


def _of_aic(path: str) -> Keypoints:
    return _of_catalogue("aic", "aic")


def _of_labelme(folder: str) -> Keypoints:
    """The order is that of the file with most labels."""
    shapes = {file: _points_and_boxes(file) for file in json_files(folder)}
    files = [labels for labels, _ in shapes.values() if labels]
    if not files:
        raise DataError(
            f"{folder}: its labelme files have no point shapes; a keypoint is a point with its name as label"
        )
    counts = Counter(_plain(label) for labels in files for label in dict.fromkeys(labels))
    least = _RARE * len(files) if len(files) >= _FILES else 0
    order = [label for labels in sorted(files, key=lambda labels: -len(set(labels))) for label in labels]
    names = {_plain(label): label for label in reversed(order)}
    ordered = list(dict.fromkeys(map(_plain, order)))
    kept = tuple(names[key] for key in ordered if counts[key] > least)
    left_out = tuple(names[key] for key in ordered if counts[key] <= least)
    once = [key for key in ordered if len(files) >= _SOME and least < counts[key] == 1]
    where = {_plain(label): os.path.basename(file) for file, (labels, _) in shapes.items() for label in labels}
    doubtful = tuple(f"{names[key]} ({where[key]})" for key in once)
    own_boxes = any(boxes for _, boxes in shapes.values())
    return Keypoints(kept, own_boxes=own_boxes, format="labelme", left_out=left_out, doubtful=doubtful)


def _points_and_boxes(file: str) -> tuple[list[str], bool]:
    document = load_json(file)
    shapes = document.get("shapes") if isinstance(document, dict) else None
    shapes = [shape for shape in shapes if isinstance(shape, dict)] if isinstance(shapes, list) else []
    labels = [shape.get("label") for shape in shapes if shape.get("shape_type") == "point"]
    boxes = any(shape.get("shape_type") == "rectangle" for shape in shapes)
    return [label.strip() for label in labels if isinstance(label, str) and label.strip()], boxes


def _of_csv(path: str) -> Keypoints:
    """Links are those of the project's config.yaml."""
    names: dict[str, None] = {}
    for file in csv_files(path):
        with open(file, encoding="utf-8-sig", newline="") as stream:
            head = [row for row, _ in zip(csv.reader(stream), range(4))]
        parts = next((row for row in head if row and row[0].strip() == "bodyparts"), [])
        coords = next((row for row in head if row and row[0].strip() == "coords"), [])
        found = [part.strip() for part, coord in zip(parts, coords) if coord.strip() == "x"]
        names |= dict.fromkeys(found)
    if not names:
        raise DataError(f"{path}: names no body parts; the first rows of a csv are scorer, bodyparts, coords")
    places = [path, os.path.join(path, "config.yaml"), os.path.join(os.path.dirname(path) or ".", "config.yaml")]
    config = next((place for place in places if place.endswith(".yaml") and os.path.isfile(place)), "")
    links = _plain_yaml(config).get("skeleton") if config else None
    return Keypoints(tuple(names), _links(tuple(names), links, 0), None, False, "lightning_pose")


def _plain_yaml(path: str) -> dict:
    try:
        with open(path, "rb") as file:
            content = parse_yaml(file.read(2**20), path)
    except (OSError, ConfigError):
        return {}
    return content if isinstance(content, dict) else {}


def _of_yolo(path: str) -> Keypoints:
    file = data_file(path) if os.path.isdir(path) else path
    data = _plain_yaml(file) if file else {}
    names = data.get("kpt_names") or data.get("node_names") or []
    names = next(iter(names.values()), []) if isinstance(names, dict) else names
    names = names[0] if names and isinstance(names[0], list) else names
    if names:
        names = tuple(map(str, names))
        return Keypoints(names, _links(names, data.get("skeleton"), 0), _flipped(names, data), True, "yolo")
    shape = data.get("kpt_shape")
    count = int(shape[0]) if isinstance(shape, list) and str(shape[0]).isdecimal() else _columns(path)
    found = _numbered(path, count, True, "yolo")
    return found if found.skeleton else Keypoints(found.names, (), _flipped(found.names, data), True, "yolo")


def _flipped(names: tuple[str, ...], data: dict) -> tuple[tuple[str, str], ...] | None:
    """The pairs that `flip_idx` of data.yaml swaps; None if there is none or it makes no sense."""
    order = data.get("flip_idx")
    if not isinstance(order, list) or sorted(map(str, order)) != sorted(map(str, range(len(names)))):
        return None
    order = list(map(int, order))
    if any(order[other] != place for place, other in enumerate(order)):
        return None
    return tuple((names[place], names[other]) for place, other in enumerate(order) if place < other)


def _columns(path: str) -> int:
    """Keypoints in the first line of a label file."""
    files = find_files(path, "train", "", path)
    for folder, listed in files.images:
        for name in listed:
            words = _first_words(files, folder, name)
            if len(words) > 5:
                return (len(words) - 5) // (3 if (len(words) - 5) % 3 == 0 else 2)
    raise DataError(f"{path}: its label files have no keypoints, only boxes")


def _first_words(files: YoloFiles, folder: str, name: str) -> list[str]:
    try:
        with open(files.label_file(folder, name), encoding="utf-8-sig") as stream:
            return stream.readline().split()
    except (OSError, UnicodeDecodeError):
        return []


def _numbered(path: str, count: int, own_boxes: bool, kind: str) -> Keypoints:
    """Keypoints without names: 17 are COCO's, 16 and 14 may be of several sets and are numbered."""
    if count == len(SKELETONS["coco"]):
        return _of_catalogue("coco", kind)
    if count < 1:
        raise DataError(f"{path}: has no keypoints")
    return Keypoints(tuple(f"point_{number}" for number in range(1, count + 1)), (), None, own_boxes, kind)


_READERS = {"coco": _of_coco, "aic": _of_aic, "labelme": _of_labelme, "lightning_pose": _of_csv, "yolo": _of_yolo}
