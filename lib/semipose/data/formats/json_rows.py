"""Columns of a list of JSON objects as checked arrays; the first wrong value is named by file, id and field."""

import json
from itertools import chain

import numpy as np

from semipose.errors import DataError

_LARGEST = 1e9  # pixels; keeps every value finite as float32


def load_json(path: str) -> object:
    """The content of a JSON file without its segmentations, which make up most of COCO's; raises DataError."""
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file, object_hook=_without_segmentation)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except RecursionError as error:
        raise DataError(f"{path}: is not valid JSON: nested too deeply") from error
    except ValueError as error:  # malformed, not UTF-8, or an integer with thousands of digits
        raise DataError(f"{path}: is not valid JSON: {error}") from error


def _without_segmentation(entry: dict) -> dict:
    entry.pop("segmentation", None)
    return entry


class Table:
    """N JSON objects of one kind.

    Args:
        file: file they come from, for messages.
        kind: "image", "annotation" or "detection", for messages.
        rows: the list of objects.

    Raises:
        DataError: `rows` is not a list of objects.
    """

    def __init__(self, file: str, kind: str, rows: object):
        self.file, self.kind, self.rows = file, kind, rows
        if not isinstance(rows, list):
            raise DataError(f"{file}: the {kind} list must be a list, found {_describe(rows)}")
        for number, row in enumerate(rows):
            if not isinstance(row, dict):
                raise DataError(f"{file}: {kind} number {number}: must be an object, found {_describe(row)}")

    def __len__(self) -> int:
        return len(self.rows)

    def where(self, keep: np.ndarray) -> "Table":
        """The rows where the boolean mask is set."""
        return Table(self.file, self.kind, [row for row, kept in zip(self.rows, keep.tolist()) if kept])

    def numbers(self, field: str, default: float | None = None) -> np.ndarray:
        """(N,) float64 finite; a missing field takes the default, if one is given."""
        return self._column(field, self._values(field, default), _float_column, "a finite number")

    def integers(self, field: str, default: int | None = None) -> np.ndarray:
        """(N,) int64."""
        return self._column(field, self._values(field, default), _int_column, "a 64-bit integer")

    def vectors(self, field: str, length: int, meaning: str) -> np.ndarray:
        """(N, length) float64 finite; `meaning` says in messages what the values are."""
        expected = f"{length} finite numbers ({meaning})"
        return self._column(field, self._values(field), lambda values: _float_rows(values, length), expected)

    def points(self, field: str, count: int, meaning: str) -> np.ndarray:
        """(N, count, 2) float64 finite, from lists of pairs."""
        expected = f"{count} pairs x, y of finite numbers ({meaning})"
        return self._column(field, self._values(field), lambda values: _float_pairs(values, count), expected)

    def texts(self, field: str) -> list[str]:
        """N non-empty strings."""
        values = self._values(field)
        for row, value in enumerate(values):
            if not isinstance(value, str) or not value:
                raise self.fault(row, field, f"must be a text, found {_describe(value)}")
        return values

    def unique_integers(self, field: str) -> np.ndarray:
        """(N,) int64, no value twice."""
        values = self.integers(field)
        first = np.unique(values, return_index=True)[1]
        if len(first) < len(values):
            again = int(np.setdiff1d(np.arange(len(values)), first)[0])
            raise self.fault(again, field, f"{values[again]} is used more than once")
        return values

    def first_fault(self, wrong: np.ndarray, field: str, reason: str) -> None:
        """Raises for the first row where the boolean mask is set; the reason may hold `{}` for the value found."""
        if wrong.any():
            row = int(wrong.argmax())
            raise self.fault(row, field, reason.format(_describe(self.rows[row].get(field))))

    def fault(self, row: int, field: str, reason: str) -> DataError:
        """The error for one row."""
        name = self.rows[row].get("id")
        row_name = f"number {row}" if name is None else f"id {_describe(name)}"
        return DataError(f"{self.file}: {self.kind} {row_name}: {field}: {reason}")

    def _values(self, field: str, default: object = None) -> list:
        values = [row.get(field) for row in self.rows]
        return values if default is None else [default if value is None else value for value in values]

    def _column(self, field: str, values: list, convert, expected: str) -> np.ndarray:
        column = convert(values)
        if column is None:
            # only a wrong file pays for the search row by row
            row = next(row for row, value in enumerate(values) if convert([value]) is None)
            raise self.fault(row, field, f"must be {expected}, found {_describe(values[row])}")
        return column


def _int_column(values: list) -> np.ndarray | None:
    if not set(map(type, values)) <= {int}:
        return None
    try:
        return np.array(values, np.int64)
    except OverflowError:
        return None


def _float_column(values: list) -> np.ndarray | None:
    if not set(map(type, values)) <= {int, float}:
        return None
    try:
        column = np.array(values, np.float64)
    except OverflowError:
        return None
    return column if (np.abs(column) <= _LARGEST).all() else None


def _float_rows(values: list, length: int) -> np.ndarray | None:
    if not set(map(type, values)) <= {list} or not set(map(len, values)) <= {length}:
        return None
    column = _float_column(list(chain.from_iterable(values)))
    return None if column is None else column.reshape(-1, length)


def _float_pairs(values: list, count: int) -> np.ndarray | None:
    if not set(map(type, values)) <= {list} or not set(map(len, values)) <= {count}:
        return None
    pairs = _float_rows(list(chain.from_iterable(values)), 2)
    return None if pairs is None else pairs.reshape(-1, count, 2)


def _describe(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "an object"
    if not isinstance(value, list):
        # an integer of very many digits cannot be printed
        text = ascii(value) if not isinstance(value, int) or abs(value) < 10**30 else "a huge integer"
        return text if len(text) <= 60 else text[:57] + "..."
    wrong = [_describe(v) for v in value if _float_column([v]) is None]
    return f"a list of {len(value)}" + (f" with {wrong[0]}" if wrong else "")
