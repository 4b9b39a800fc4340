"""YOLO pose labels (ultralytics): a text file for each image, a line for each person, in parts of the image size."""

import logging
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from semipose.data.formats.image_list import box_areas, checked_paths, whole_pixels
from semipose.data.formats.json_rows import Table, WrongRows
from semipose.data.formats.labelme_shapes import keypoint_number
from semipose.data.formats.yolo_files import YoloFiles, find_files
from semipose.data.images import image_size
from semipose.data.orientation import read_orientation, turned_size
from semipose.errors import ConfigError, DataError
from semipose.geometry.boxes import complete_boxes
from semipose.skeletons import Skeleton
from semipose.structures import Persons

_log = logging.getLogger(__name__)
_BOX = 5  # columns: class, centre x, y, width, height
_SLACK = 0.01  # of the image size, by which a box may reach out of it
_MOST = 2  # image sizes; a keypoint farther out is not in parts of the image size


class _Labels(NamedTuple):
    """The lines of one image, in its pixels: N classes, (N, 4) boxes x, y, width, height and (N, K, 3) x, y, v."""

    path: str
    size: tuple[int, int]
    classes: np.ndarray
    boxes: np.ndarray
    keypoints: np.ndarray


def read_yolo(
    annotation: str,
    skeleton: Skeleton,
    split: str = "train",
    images: str = "",
    root: str = "",
    categories: Sequence[str] = (),
) -> Persons:
    """All persons of a split, image by image, in the order of their lines.

    A line has class, box (centre x, y, width, height) and K keypoints x, y or x, y, v in parts of the image size. With
    v, 0 is not labelled; without, a point at 0, 0 or below is not. A line may have the box only. Images without a label
    file have no person. All classes, or those of `categories`, count as one. The order of the keypoints is that of
    `kpt_names` or `node_names` in data.yaml, or else that of the skeleton.

    Labels and sizes are those of the picture that is turned by its EXIF orientation, as ultralytics reads it. A box
    without area is that of the keypoints. Boxes are clipped to the image, areas are max(1, 0.53 * width * height).
    Keypoints outside the image are not used. Ids run from 1.

    Args:
        annotation, split, images, root: see `find_files`.
        skeleton: K keypoints.
        categories: numbers or names of the classes to read; () = all.

    Raises:
        DataError: naming the file, the line and the reason.
        ConfigError: a category is not in data.yaml.
    """
    files, counts, faults = find_files(annotation, split, images, root), Counter(), {}
    order, dims = _order(files, skeleton), _dims(files, len(skeleton))
    found = []
    for path, label in _pairs(files):
        try:
            found.append(_labels(path, label, len(skeleton), dims, counts))
        except WrongRows as error:
            faults |= error.rows
        except DataError as error:
            faults[path] = {-1: str(error)}
    if faults:
        raise WrongRows(faults)
    if counts["unlabelled images"] == len(found):
        raise DataError(f"{files.file}: no image of {split!r} has a label file, such as {label}")
    classes = _classes(files, categories)
    kept = [_of_classes(one, classes) for one in found] if categories else found
    counts["other classes"] = sum(len(one.classes) for one in found) - sum(len(one.classes) for one in kept)
    return _persons(files, kept, order, counts)


def _pairs(files: YoloFiles) -> list[tuple[str, str]]:
    """Image and label file; raises WrongRows for a name that leaves the image folder."""
    pairs = []
    for folder, names in files.images:
        table = Table(files.file, "image", [{"file_name": name} for name in names])
        paths = checked_paths(table, "file_name", names, folder)
        if table.faults:
            raise WrongRows({"image": table.faults})
        pairs += [(path, files.label_file(folder, name)) for path, name in zip(paths, names)]
    return pairs


def _dims(files: YoloFiles, count: int) -> int:
    """Numbers of each keypoint by `kpt_shape`; 0 if it is not given, for as many as the lines have."""
    shape = files.data.get("kpt_shape")
    if shape is None:
        return 0
    if shape not in ([str(count), "2"], [str(count), "3"]):
        found = ", ".join(map(str, shape)) if isinstance(shape, list) else shape
        raise DataError(f"{files.file}: kpt_shape: {found} found, {count}, 2 or {count}, 3 expected for the skeleton")
    return int(shape[1])


def _order(files: YoloFiles, skeleton: Skeleton) -> list[int]:
    """The column of each keypoint of the skeleton."""
    count = len(skeleton)
    names = files.data.get("kpt_names") or files.data.get("node_names")
    names = list(names.values()) if isinstance(names, dict) else names or []
    lists = [names] if names and isinstance(names[0], str) else names
    if lists:
        numbers = [keypoint_number(str(name), skeleton.keypoints) for name in lists[0]]
        if any(other != lists[0] for other in lists) or sorted(numbers, key=str) != sorted(range(count), key=str):
            raise DataError(
                f"{files.file}: kpt_names or node_names: are not the keypoints of skeleton {skeleton.name!r}"
            )
        return np.argsort(numbers).tolist()
    flipped = files.data.get("flip_idx")
    if flipped not in (None, list(map(str, range(count))), list(map(str, skeleton.flip_order))):
        text = "%s: flip_idx is not what skeleton %s swaps; see that it has the keypoints in the order of the file"
        _log.warning(text, files.file, skeleton.name)
    return list(range(count))


def _classes(files: YoloFiles, categories: Sequence[str]) -> list[int]:
    """The numbers of classes that are given by number or name."""
    names = files.data.get("names") or {}
    names = names if isinstance(names, dict) else dict(enumerate(names))
    numbers = {str(key): str(name) for key, name in names.items()}
    by_name = {name: key for key, name in numbers.items()}
    for category in map(str, categories):
        if category not in by_name and category not in numbers and (numbers or not category.isdecimal()):
            known = ", ".join(f"{key} {name}" for key, name in numbers.items())
            raise ConfigError(f"{files.file}: has no class {category!a} (`categories` of the source); it has: {known}")
    return [int(by_name.get(category, category)) for category in map(str, categories)]


def _of_classes(labels: _Labels, classes: list[int]) -> _Labels:
    kept = np.isin(labels.classes, classes)
    parts = {name: getattr(labels, name)[kept] for name in ("classes", "boxes", "keypoints")}
    return labels._replace(**parts)


def _labels(path: str, file: str, count: int, dims: int, counts: Counter) -> _Labels:
    """What the label file of an image holds; none has no lines. Raises WrongRows that has every wrong line."""
    rows, faults = [], {}
    for line, words in _lines(file, counts):
        row, fault = _row(words, count, dims)
        if fault:
            faults[line] = f"{file}: line {line}: {fault}"
        rows.append(row)
    if faults:
        raise WrongRows({file: faults})
    values = np.array(rows, np.float64).reshape(-1, _BOX + 3 * count)
    size = turned_size(image_size(path), read_orientation(path))
    sides = values[:, 3:5] * size
    boxes = np.concatenate([values[:, 1:3] * size - sides / 2, sides], axis=1)
    keypoints = values[:, _BOX:].reshape(-1, count, 3) * [*size, 1]
    points, labelled = keypoints[..., :2], keypoints[..., 2] > 0
    outside = labelled & ((points < -0.5) | (points > np.array(size) - 0.5)).any(axis=2)
    counts["outside"] += int(outside.sum())
    keypoints[..., 2] = labelled & ~outside
    keypoints[keypoints[..., 2] == 0] = 0
    return _Labels(path, size, values[:, 0], boxes, keypoints)


def _lines(file: str, counts: Counter) -> list[tuple[int, list[str]]]:
    try:
        with open(file, encoding="utf-8-sig") as stream:
            lines = [(number, line.split()) for number, line in enumerate(stream, 1)]
    except FileNotFoundError:
        counts["unlabelled images"] += 1
        return []
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    return [(number, words) for number, words in lines if words]


def _row(words: list[str], count: int, dims: int) -> tuple[list[float], str]:
    """Class, box and x, y, v of each keypoint, and what is wrong with the line; "" if nothing is."""
    empty = [0.0] * (_BOX + 3 * count)
    try:
        numbers = list(map(float, words))
    except ValueError:
        return empty, "has a word that is no number"
    widths = {_BOX: 3} | {_BOX + each * count: each for each in ((dims,) if dims else (2, 3))}
    if len(numbers) not in widths:
        expected = " or ".join(map(str, widths))
        return empty, f"has {len(numbers)} numbers, {expected} expected for {count} keypoints"
    box, points = numbers[1:_BOX], numbers[_BOX:]
    if not numbers[0].is_integer() or numbers[0] < 0:
        return empty, f"class: {words[0][:20]!a} is not a whole number, 0 or more"
    if not all(-_SLACK <= number <= 1 + _SLACK for number in box):
        return empty, "the box is not in parts of the image size, 0 to 1"
    if len(numbers) == _BOX:
        return numbers + empty[_BOX:], ""
    points = [points[n : n + widths[len(numbers)]] for n in range(0, len(points), widths[len(numbers)])]
    if not all(-_MOST <= number <= _MOST for point in points for number in point[:2]):
        return empty, "a keypoint is not in parts of the image size, 0 to 1"
    if not {point[2] for point in points if len(point) == 3} <= {0, 1, 2}:
        return empty, "v of a keypoint is not 0, 1 or 2"
    points = [point if len(point) == 3 else [*point, float(max(point) > 0 and min(point) >= 0)] for point in points]
    return [*numbers[:_BOX], *(number for point in points for number in point)], ""


def _persons(files: YoloFiles, found: list[_Labels], order: list[int], counts: Counter) -> Persons:
    image_index = np.repeat(np.arange(len(found)), [len(one.classes) for one in found]).astype(np.int32)
    sizes = np.array([one.size for one in found], np.float64)[image_index]
    keypoints = np.concatenate([one.keypoints for one in found])[:, order]
    boxes, filled = complete_boxes(np.concatenate([one.boxes for one in found]), keypoints, sizes)
    boxes = boxes.astype(np.float32)
    sound = (boxes[:, 2:] > 0).all(axis=1)
    counts.update({"filled": int(filled.sum()), "empty": int((~sound).sum())})
    classes = len(np.unique(np.concatenate([one.classes for one in found])))
    _report(files.file, int(sound.sum()), len(found), classes, counts)
    persons = Persons(
        image_paths=np.array([one.path for one in found], str),
        image_ids=np.arange(1, len(found) + 1),
        image_sizes=whole_pixels([one.size for one in found]),
        image_index=image_index,
        ids=np.arange(1, len(boxes) + 1),
        boxes=boxes,
        keypoints=keypoints.astype(np.float32),
        areas=box_areas(boxes),
        scores=np.ones(len(boxes), np.float32),
    )
    return persons.take(sound)


def _report(file: str, persons: int, images: int, classes: int, counts: Counter) -> None:
    as_one = f" of {classes} classes, taken as one," if classes > 1 else ""
    _log.info("%s: %d persons%s on %d images", file, persons, as_one, images)
    told = {
        "unlabelled images": "images without a label file have no person",
        "other classes": "persons left out, whose class is not in `categories`",
        "filled": "boxes without area are those of the keypoints",
        "empty": "persons left out, with an empty box and no keypoint",
        "outside": "labels outside their image are not used",
    }
    for name, text in told.items():
        if counts[name]:
            _log.warning("%s: %d %s", file, counts[name], text)
