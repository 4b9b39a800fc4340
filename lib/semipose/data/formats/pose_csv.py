"""The CSV of DeepLabCut and lightning-pose as a table with a checked header; every wrong line is named."""

import csv
from dataclasses import dataclass

import numpy as np

from semipose.errors import DataError
from semipose.skeletons import Skeleton

_HEADER = ("scorer", "bodyparts", "coords")
_INDIVIDUALS = "individuals"  # header row of projects with several animals, after the scorer
_THIRD = ("likelihood", "visible")
_EMPTY = ("", "nan")
_HIDDEN, _SEEN = ("0", "0.0", "false"), ("1", "1.0", "2", "2.0", "true")
_LARGEST = 1e6  # pixels


@dataclass(frozen=True)
class PoseCsv:
    """A CSV whose header is checked.

    Attributes:
        columns: the column of each coordinate (x, y, likelihood, visible), by individual and body part.
        index: number of leading columns that make up the file name.
        rows: (line number, cells) of each frame.
        faults: what is wrong with a line, by its number; the first fault of each.
    """

    file: str
    columns: dict[tuple[str, str], dict[str, int]]
    index: int
    rows: list[tuple[int, list[str]]]
    faults: dict[int, str]

    @property
    def individuals(self) -> tuple[str, ...]:
        """Their names; one without a name in a file of a single animal."""
        return tuple(dict.fromkeys(individual for individual, _ in self.columns)) or ("",)

    @property
    def parts(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(part for _, part in self.columns))

    @property
    def has_likelihood(self) -> bool:
        return any("likelihood" in coords for coords in self.columns.values())

    @property
    def hidden(self) -> int:
        """Number of points with coordinates that the column `visible` calls not labelled."""
        points = ((row, coords) for _, row in self.rows for coords in self.columns.values())
        return sum(_is_hidden(row, coords) and row[coords["x"]].lower() not in _EMPTY for row, coords in points)

    def fault(self, line: int, reason: str) -> None:
        self.faults.setdefault(line, f"{self.file}: line {line}: {reason}")

    def names(self) -> list[str]:
        """The file name of each frame, folders separated by /."""
        return ["/".join(row[: self.index]).replace("\\", "/") for _, row in self.rows]

    def keypoints(self, individual: str, skeleton: Skeleton) -> np.ndarray:
        """(N, K, 3) float32 of one individual in the skeleton's order; zero where not labelled."""
        keypoints = np.zeros((len(self.rows), len(skeleton), 3), np.float32)
        for joint, name in enumerate(skeleton.keypoints):
            coords = self.columns.get((individual, name))
            if coords:
                keypoints[:, joint] = [self._point(line, row, name, coords) for line, row in self.rows]
        return keypoints

    def _point(self, line: int, row: list[str], name: str, coords: dict[str, int]) -> tuple[float, float, float]:
        pair = [row[coords[axis]] for axis in "xy"]
        if "visible" in coords and row[coords["visible"]].lower() not in (*_HIDDEN, *_SEEN, *_EMPTY):
            cell = row[coords["visible"]]
            self.fault(line, f"column {coords['visible'] + 1} ({name} visible): {cell[:40]!a} is not 0, 1 or 2")
        if _is_hidden(row, coords) or all(cell.lower() in _EMPTY for cell in pair):
            return 0.0, 0.0, 0.0
        x, y = (self._number(line, f"{name} {axis}", coords[axis], cell) for axis, cell in zip("xy", pair))
        return x, y, 1.0

    def _number(self, line: int, name: str, column: int, cell: str) -> float:
        try:
            value = float(cell)
        except ValueError:
            value = np.nan
        if not abs(value) <= _LARGEST:
            self.fault(line, f"column {column + 1} ({name}): {cell[:40]!a} is not a number of pixels")
        return value


def _is_hidden(row: list[str], coords: dict[str, int]) -> bool:
    return "visible" in coords and row[coords["visible"]].lower() in _HIDDEN


def read_pose_csv(file: str, skeleton: Skeleton, ignore_unknown: bool = False) -> PoseCsv:
    """Reads the table; raises DataError for a file that is none, or of other body parts, naming the line."""
    lines = _lines(file)
    expected = [_HEADER[0], _INDIVIDUALS, *_HEADER[1:]] if _has_individuals(lines) else _HEADER
    what = "the first rows are scorer, individuals (where there are several), bodyparts, coords"
    for name, (line, row) in zip(expected, lines):
        if row[0] != name:
            raise DataError(f"{file}: line {line}: column 1: {row[0]!a} found, {name!r} expected ({what})")
    if len(lines) < len(expected):
        raise DataError(f"{file}: has {len(lines)} header rows, {len(expected)} expected ({what})")
    header, rows = [row for _, row in lines[: len(expected)]], lines[len(expected) :]
    coords = header[-1]
    index = next((column for column, coord in enumerate(coords) if coord in ("x", "y", *_THIRD)), len(coords))
    columns, fault = _columns(header, index)
    fault = fault or _part_fault({part for _, part in columns}, skeleton, ignore_unknown)
    if fault:
        raise DataError(f"{file}: line {lines[len(expected) - (1 if fault.startswith('coords') else 2)][0]}: {fault}")
    table = PoseCsv(file, columns, index, [(line, row) for line, row in rows if len(row) == len(coords)], {})
    for line, row in rows:
        if len(row) != len(coords):
            table.fault(line, f"has {len(row)} columns, the header has {len(coords)}")
    return table


def _lines(file: str) -> list[tuple[int, list[str]]]:
    """(line number, cells) of each line that is not blank."""
    try:
        with open(file, encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream)
            return [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(map(str.strip, row))]
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file}: is not a CSV text file: {error}") from error


def _has_individuals(lines: list[tuple[int, list[str]]]) -> bool:
    return len(lines) > 1 and lines[1][1][0] == _INDIVIDUALS


def _columns(header: list[list[str]], index: int) -> tuple[dict[tuple[str, str], dict[str, int]], str]:
    """The columns of each individual's body parts, and what is wrong with them; "" if they are fine."""
    columns: dict[tuple[str, str], dict[str, int]] = {}
    people, names, coords = (row[index:] for row in (header[1], header[-2], header[-1]))
    people = people if len(header) > len(_HEADER) else [""] * len(names)
    for column, (person, part, coord) in enumerate(zip(people, names, coords, strict=False), index):
        found = columns.setdefault((person, part), {})
        if coord in found:
            return {}, f"bodyparts: {part!a} is there more than once"
        if coord not in ("x", "y", *_THIRD):
            return {}, f"coords: column {column + 1}: {coord!a} found; x, y, likelihood or visible expected"
        found[coord] = column
    for (_, part), found in columns.items():
        if not found.keys() >= {"x", "y"}:
            return {}, f"coords: {part!a} needs the columns x and y"
    return columns, ""


def _part_fault(parts: set[str], skeleton: Skeleton, ignore_unknown: bool) -> str:
    """What body parts and skeleton do not have in common; "" if they fit."""
    missing, unknown = set(skeleton.keypoints) - parts, parts - set(skeleton.keypoints)
    for part in sorted(missing if ignore_unknown else missing | unknown):
        if part in missing:
            return f"bodyparts: {part!a} is missing here but is in skeleton {skeleton.name!r}"
        advice = "'ignore_unknown: true' in the source leaves it out"
        return f"bodyparts: {part!a} is not in skeleton {skeleton.name!r}; {advice}"
    return ""
