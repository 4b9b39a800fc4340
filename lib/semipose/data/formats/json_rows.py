"""Columns of a list of JSON objects as checked arrays; every wrong row is named by file, id and field."""

import copy
import json
from collections.abc import Callable, Sequence
from functools import partial
from itertools import chain

import numpy as np

from semipose.errors import DataError

NO_INTEGER = -(2**63)  # in place of a wrong one; no id or group is so
_LARGEST = 1e9  # pixels; keeps every value finite as float32
_REMEDY = "write it again with the tool that made it, or move it away"


def load_json(path: str, keep: Callable[[dict], bool] = lambda entry: False) -> object:
    """The content of a JSON file without its segmentations, which make up most of COCO's; raises DataError.

    Args:
        keep: whether an entry that has a segmentation keeps it.
    """

    def lean(entry: dict) -> dict:
        if "segmentation" in entry and not keep(entry):
            del entry["segmentation"]
        return entry

    try:
        with open(path, encoding="utf-8-sig") as file:  # some tools of Windows write a BOM
            return json.load(file, object_hook=lean)
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except RecursionError as error:
        raise DataError(f"{path}: is not valid JSON: nested too deeply; {_REMEDY}") from error
    except ValueError as error:  # malformed, not UTF-8, or an integer with thousands of digits
        raise DataError(f"{path}: is not valid JSON: {error}; {_REMEDY}") from error


class WrongRows(DataError):
    """Rows of one or more tables are wrong; the message has the first of them and the number of the others.

    Attributes:
        rows: {kind of table: {number of the row: what is wrong with it}}; labelme has the file in place of the kind.
        persons: those of the sound rows; None if the reader got no further.
    """

    def __init__(self, rows: dict[str, dict[int, str]], persons: object = None):
        self.rows, self.persons = rows, persons
        first, *others = self.lines
        more = f" ({len(others)} more are wrong; semipose check lists them)" if others else ""
        super().__init__(first + more)

    @property
    def lines(self) -> tuple[str, ...]:
        """A line for each wrong row, which names file, row, field and reason."""
        return tuple(found[number] for found in self.rows.values() for number in sorted(found))


class Table:
    """N JSON objects of one kind, whose columns become arrays.

    A wrong value does not end the reading: its row is noted in `faults`, and its column holds a stand-in there. So one
    pass finds all wrong rows. Whoever reads a table calls `refuse_wrong_rows` at the end.

    Args:
        file: file they come from, for messages.
        kind: "image", "annotation" or "detection", for messages.
        rows: the list of objects.

    Attributes:
        faults: the first fault of each wrong row, by its number in the file; -1 = `rows` is not a list.
        mended: numbers of the rows whose value was taken in another form than usual, by field.
        places: (N,) number of each row in the file.
    """

    def __init__(self, file: str, kind: str, rows: object):
        self.file, self.kind, self.faults, self.mended = file, kind, {}, {}
        if not isinstance(rows, list):
            self.faults[-1] = f"{file}: the {kind} list must be a list, found {describe(rows)}"
            rows = []
        for number, row in enumerate(rows):
            if not isinstance(row, dict):
                self.faults[number] = f"{file}: {kind} number {number}: must be an object, found {describe(row)}"
        self.rows = [row if isinstance(row, dict) else {} for row in rows]
        self.places = np.arange(len(rows))

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def sound(self) -> np.ndarray:
        """(N,) bool, whether nothing wrong was found in the row so far."""
        return ~np.isin(self.places, list(self.faults))

    def where(self, keep: np.ndarray) -> "Table":
        """The rows where the boolean mask is set; faults are shared with this table."""
        part = copy.copy(self)
        part.rows = [row for row, kept in zip(self.rows, keep.tolist()) if kept]
        part.places = self.places[keep]
        return part

    def numbers(self, field: str, default: float | None = None) -> np.ndarray:
        """(N,) float64 finite; a missing field takes the default, if one is given."""
        return self._column(field, self._values(field, default), _float_column, "a finite number", 0)

    def integers(self, field: str, default: int | None = None, mend: Callable | None = None) -> np.ndarray:
        """(N,) int64; `NO_INTEGER` where it is wrong. `mend` puts a wrong value into the usual form, if it can."""
        return self._column(field, self._values(field, default), _int_column, "a 64-bit integer", NO_INTEGER, mend)

    def vectors(
        self, field: str, length: int, meaning: str, default: list | None = None, mend: Callable | None = None
    ) -> np.ndarray:
        """(N, length) float64 finite; `meaning` says in messages what the values are; `mend` as in `integers`."""
        expected, stand_in = f"{length} finite numbers ({meaning})", [0] * length
        convert = partial(_float_rows, length=length)
        return self._column(field, self._values(field, default), convert, expected, stand_in, mend)

    def points(self, field: str, count: int, meaning: str) -> np.ndarray:
        """(N, count, 2) float64 finite, from lists of pairs."""
        expected, stand_in = f"{count} pairs x, y of finite numbers ({meaning})", [[0, 0]] * count
        return self._column(field, self._values(field), lambda v: _float_pairs(v, count), expected, stand_in)

    def texts(self, field: str) -> list[str]:
        """N strings; "" where it is wrong or empty."""
        values = self._values(field)
        self.refuse([not isinstance(value, str) or not value for value in values], field, "must be a text, found {}")
        return [value if isinstance(value, str) else "" for value in values]

    def unique_integers(self, field: str) -> np.ndarray:
        """(N,) int64; the second use of a value is wrong."""
        values = self.integers(field)
        again = np.ones(len(values), bool)
        again[np.unique(values, return_index=True)[1]] = False
        self.refuse(again & (values != NO_INTEGER), field, "{} is used more than once")
        return values

    def refuse(self, wrong: Sequence[bool], field: str, reason: str) -> None:
        """Notes each row where the mask (N,) is set; the reason may hold `{}` for the value found."""
        for row in np.flatnonzero(wrong).tolist():
            self.fault(row, field, reason.replace("{}", describe(self.rows[row].get(field))))

    def fault(self, row: int, field: str, reason: str) -> None:
        """Notes what is wrong with a row, if nothing is known to be."""
        number, name = int(self.places[row]), self.rows[row].get("id")
        row_name = f"number {number}" if name is None or field == "id" else f"id {describe(name)}"
        self.faults.setdefault(number, f"{self.file}: {self.kind} {row_name}: {field}: {reason}")

    def _values(self, field: str, default: object = None) -> list:
        values = [row.get(field) for row in self.rows]
        return values if default is None else [default if value is None else value for value in values]

    def _column(
        self, field: str, values: list, convert: Callable, expected: str, stand_in: object, mend: Callable | None = None
    ) -> np.ndarray:  # fmt: skip
        column = convert(values)
        if column is None:
            # only a wrong file pays for the search row by row
            wrong = [convert([value]) is None for value in values]
            if mend:
                values = [mend(value) if bad else value for bad, value in zip(wrong, values)]
                still = [bad and convert([value]) is None for bad, value in zip(wrong, values)]
                mended = np.array(wrong) & ~np.array(still)
                self.mended.setdefault(field, set()).update(self.places[mended].tolist())
                wrong = still
            self.refuse(wrong, field, f"must be {expected}, found {{}}")
            column = convert([stand_in if bad else value for bad, value in zip(wrong, values)])
        return column


def refuse_wrong_rows(tables: Sequence[Table], persons: object = None) -> None:
    """Raises WrongRows if a row of the tables is wrong; `persons` are those of the sound rows."""
    rows = {table.kind: table.faults for table in tables if table.faults}
    if rows:
        raise WrongRows(rows, persons)


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


def describe(value: object) -> str:
    """A value as messages show it: short, and printable."""
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "an object"
    if not isinstance(value, list):
        # an integer of very many digits cannot be printed
        text = ascii(value) if not isinstance(value, int) or abs(value) < 10**30 else "a huge integer"
        return text if len(text) <= 60 else text[:57] + "..."
    wrong = [describe(v) for v in value if _float_column([v]) is None]
    return f"a list of {len(value)}" + (f" with {wrong[0]}" if wrong else "")
