"""Labelled frames in the CSV of lightning-pose and DeepLabCut (single animal) as `Persons`."""

import csv
import logging
from dataclasses import dataclass, replace

import numpy as np

from semipose.data.formats.image_list import ImageList, whole_frames
from semipose.data.formats.json_rows import WrongRows
from semipose.data.images import image_size
from semipose.errors import DataError
from semipose.skeletons import Skeleton
from semipose.structures import Persons

_log = logging.getLogger(__name__)
_HEADER = ("scorer", "bodyparts", "coords")
_UNLABELED = ("", "nan")
_LARGEST = 1e6  # pixels


@dataclass(frozen=True)
class _Table:
    """A CSV whose header is checked.

    Attributes:
        parts: the body parts, in the order of the columns.
        index: number of leading columns that make up the file name.
        rows: (line number, cells) of each frame.
        faults: what is wrong with a line, by its number; the first fault of each.
    """

    file: str
    parts: tuple[str, ...]
    index: int
    rows: list[tuple[int, list[str]]]
    faults: dict[int, str]

    def fault(self, line: int, reason: str) -> None:
        self.faults.setdefault(line, f"{self.file}: line {line}: {reason}")


def read_lightning_pose(csv_file: str, image_root: str, skeleton: Skeleton) -> Persons:
    """One person for each labelled frame, with the whole frame as its box, in the order of the file.

    Three header rows: scorer, bodyparts, coords; then a file name (or several columns that are its folders and name)
    and x, y of each body part in image pixels. An empty or NaN pair is not labelled. A point outside the frame is not
    used; the log has their number. Body parts are matched to the skeleton by name. Ids are the running numbers of the
    frames from 1, areas are those of the boxes.

    Args:
        csv_file: `CollectedData.csv`.
        image_root: folder that its file names refer to; no name may leave it.
        skeleton: K keypoints, in any order.

    Raises:
        DataError: naming the file, line, column and the reason.
    """
    table = _read_table(csv_file, skeleton)
    paths, keypoints = _paths(table, image_root), _keypoints(table, skeleton)
    if table.faults:
        raise WrongRows({"line": table.faults})
    if not table.rows:
        raise DataError(f"{csv_file}: has no labelled frame")
    sizes = np.array([image_size(path) for path in paths], np.float64)
    persons = whole_frames(paths, np.arange(1, len(paths) + 1), sizes, len(skeleton))
    return replace(persons, keypoints=_inside(table, keypoints, sizes), areas=sizes.prod(axis=1).astype(np.float32))


def _read_table(file: str, skeleton: Skeleton) -> _Table:
    try:
        with open(file, encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream)
            lines = [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(map(str.strip, row))]
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file}: is not a CSV text file: {error}") from error
    for name, (line, row) in zip(_HEADER, lines):
        if row[0] != name:
            raise DataError(f"{file}: line {line}: column 1: {row[0]!a} found, {name!r} expected ({_expected()})")
    if len(lines) < len(_HEADER):
        raise DataError(f"{file}: has {len(lines)} header rows, 3 expected ({_expected()})")
    (_, (_, names), (_, coords)), rows = lines[:3], lines[3:]
    index = coords.index("x") if "x" in coords else len(coords)
    parts = tuple(names[index::2])
    fault = _column_fault(parts, names[index:], coords[index:], skeleton)
    if fault:
        raise DataError(f"{file}: line {lines[2 if fault.startswith('coords') else 1][0]}: {fault}")
    table = _Table(file, parts, index, [(line, row) for line, row in rows if len(row) == len(names)], {})
    for line, row in rows:
        if len(row) != len(names):
            table.fault(line, f"has {len(row)} columns, the header has {len(names)}")
    return table


def _expected() -> str:
    return "a single-animal file starts with the rows scorer, bodyparts, coords"


def _column_fault(parts: tuple[str, ...], names: list[str], coords: list[str], skeleton: Skeleton) -> str:
    """What is wrong with the header's columns of coordinates; "" if they are fine."""
    if coords != ["x", "y"] * len(parts):
        return "coords: each body part needs the two columns x, y, and no others"
    if names != [part for part in parts for _ in "xy"]:
        return "bodyparts: the columns x and y must name the same body part"
    twice = [part for part in parts if parts.count(part) > 1]
    if twice:
        return f"bodyparts: {twice[0]!a} is there more than once"
    for part in sorted(set(parts) ^ set(skeleton.keypoints)):
        problem = "is not in" if part in parts else "is missing here but is in"
        return f"bodyparts: {part!a} {problem} skeleton {skeleton.name!r}"
    return ""


def _paths(table: _Table, image_root: str) -> np.ndarray:
    """(N,) str; names are checked before any file is opened."""
    names = ["/".join(row[: table.index]) for _, row in table.rows]
    seen = {}
    for (line, _), name in zip(table.rows, names):
        if name in seen:
            table.fault(line, f"column 1: {name!a} is there already in line {seen[name]}")
        seen.setdefault(name, line)
    # numbered by line, as its messages name the id; the true sizes are in the files
    rows = [{"id": line, "file_name": name, "width": 1, "height": 1} for name, line in seen.items()]
    images = ImageList(table.file, image_root, {"images": rows})
    for row, text in images.table.faults.items():
        table.faults.setdefault(rows[row]["id"], text.replace(": image id ", ": line ", 1))
    return images.paths


def _keypoints(table: _Table, skeleton: Skeleton) -> np.ndarray:
    """(N, K, 3) float32 in the skeleton's order; zero where not labelled."""
    keypoints = np.zeros((len(table.rows), len(skeleton), 3), np.float32)
    columns = [table.index + 2 * table.parts.index(name) for name in skeleton.keypoints]
    for person, (line, row) in zip(keypoints, table.rows):
        for joint, column in enumerate(columns):
            person[joint] = _point(table, line, column, row[column : column + 2])
    return keypoints


def _point(table: _Table, line: int, column: int, cells: list[str]) -> tuple[float, float, float]:
    empty = [cell.lower() in _UNLABELED for cell in cells]
    if all(empty):
        return 0.0, 0.0, 0.0
    x, y = (_number(table, line, column + n, cell) for n, cell in enumerate(cells))
    return x, y, 1.0


def _number(table: _Table, line: int, column: int, cell: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = np.nan
    if not abs(value) <= _LARGEST:
        name = f"{table.parts[(column - table.index) // 2]} {'xy'[(column - table.index) % 2]}"
        table.fault(line, f"column {column + 1} ({name}): {cell[:40]!a} is not a number of pixels")
    return value


def _inside(table: _Table, keypoints: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    points = keypoints[:, :, :2]
    outside = ((points < -0.5) | (points > sizes[:, None] - 0.5)).any(axis=2)
    if outside.any():
        _log.warning("%s: %d labels outside their frame are not used", table.file, outside.sum())
    return np.where(outside[:, :, None], np.float32(0), keypoints)
