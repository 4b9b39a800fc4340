"""Boxes from a file: COCO's results, a COCO annotation file, or a csv table."""

import csv
import os
import re
from collections import defaultdict
from dataclasses import dataclass, field

import numpy as np

from semipose.data.formats.json_rows import Table, load_json, refuse_wrong_rows
from semipose.errors import DataError

_COLUMNS = ("x", "y", "width", "height")
_EXPECTED = "a COCO results list, a COCO file with images and annotations, or a .csv with the columns name (or frame), "
_EXPECTED += "x, y, width, height and, if known, score"


@dataclass
class BoxFile:
    """The boxes of pictures by their names, or of frames of a video by their numbers.

    Attributes:
        file: where they come from, for messages.
        by_name: (N, 5) x, y, width, height, score, by the name of a picture or the number of a frame as text.
        ids: image ids by name, where the file has them.
        used: names that were asked for and found.
    """

    file: str
    by_name: dict[str, np.ndarray]
    ids: dict[str, int]
    used: set[str] = field(default_factory=set)

    def __post_init__(self):
        self._by_base = defaultdict(list)
        for name in self.by_name.keys() | self.ids.keys():
            self._by_base[os.path.basename(name)].append(name)

    @property
    def free_id(self) -> int:
        """The first image id above all of the file."""
        return max(self.ids.values(), default=0) + 1

    def find(self, name: str) -> str | None:
        """The file's name for a picture: the same, or else the only one with the same last part."""
        if name in self.by_name or name in self.ids:
            return name
        known = self._by_base.get(os.path.basename(name), [])
        if len(known) == 1:
            return known[0]
        number = re.fullmatch(r"0*(\d+)", os.path.splitext(os.path.basename(name))[0])
        key = f"#{number[1]}" if number else ""  # COCO's files are named by their ids
        return key if key in self.by_name else None

    def boxes(self, name: str, size: tuple[int, int]) -> tuple[np.ndarray, int | None]:
        """(N, 5) boxes of a picture of (width, height) in its pixels, and its image id if the file has one.

        As in validation they are clipped to the picture, and those that are then empty are left out.
        """
        known = self.find(name)
        rows = self.by_name.get(known)
        if known is not None:
            self.used.add(known)
        number = self.ids.get(known)
        if rows is None:
            return np.zeros((0, 5)), number
        limit = np.array(size, np.float64) - 1
        start = np.clip(rows[:, :2], 0, limit)
        sides = np.clip(rows[:, :2] + rows[:, 2:4], 0, limit) - start
        clipped = np.concatenate([start, sides, rows[:, 4:]], axis=1)
        return clipped[(sides > 0).all(axis=1)], number


def read_boxes(file: str, images: str = "", least: float = 0.0, category: int | None = None) -> BoxFile:
    """The boxes in a file.

    Args:
        file: COCO results (a list of `image_id`, `category_id`, `bbox`, `score`), a COCO file (`images` and
            `annotations`), or a csv.
        images: COCO file whose `images` say which id is which file; without it, results belong to the pictures that
            are named by these numbers, as those of COCO are, and to the frames of a video by their numbers.
        least: smallest score that is kept.
        category: id that is kept; None: there must be one only.

    Raises:
        DataError: naming file, row, field and reason.
    """
    if file.lower().endswith(".csv"):
        return _read_csv(file, least)
    content = load_json(file)
    listed = _names_of(images) if images else {}
    if isinstance(content, dict):
        if not isinstance(content.get("images"), list):
            raise DataError(f"{file}: boxes are in {_EXPECTED}")
        listed = _names_of(file, content)
        table = Table(file, "annotation", content.get("annotations"))
    else:
        table = Table(file, "detection", content)
        if content == []:
            raise DataError(f"{file}: has no detection; the list is empty")
    scores = table.numbers("score", default=1.0)
    kinds = table.integers("category_id", default=1)
    keep = (scores >= least) & _of_category(file, kinds, category)
    table, scores = table.where(keep), scores[keep]
    ids = table.integers("image_id").tolist()
    boxes = table.vectors("bbox", 4, "x, y, width, height")
    refuse_wrong_rows((table,))
    rows = defaultdict(list)
    for number, box, score in zip(ids, boxes.tolist(), scores.tolist()):
        rows[listed.get(number, f"#{number}")].append([*box, score])
    by_name = {name: np.array(found, np.float64) for name, found in rows.items()}
    numbers = {name: number for number, name in listed.items()}
    return BoxFile(file, by_name, numbers | {key: int(key[1:]) for key in by_name if key.startswith("#")})


def _of_category(file: str, kinds: np.ndarray, category: int | None) -> np.ndarray:
    known = np.unique(kinds).tolist()
    if category is None and len(known) > 1:
        raise DataError(f"{file}: has boxes of the categories {known}; name one: --box-category {known[0]}")
    return np.ones(len(kinds), bool) if category is None else kinds == category


def _names_of(file: str, content: object = None) -> dict[int, str]:
    """File names of a COCO file's images by id, folders separated by /."""
    content = load_json(file) if content is None else content
    table = Table(file, "image", content.get("images") if isinstance(content, dict) else None)
    ids, names = table.unique_integers("id"), table.texts("file_name")
    refuse_wrong_rows((table,))
    return {number: name.replace("\\", "/") for number, name in zip(ids.tolist(), names)}


def _read_csv(file: str, least: float) -> BoxFile:
    try:
        with open(file, encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream)
            columns = [name.strip().lower() for name in reader.fieldnames or []]
            reader.fieldnames = columns
            lines = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    key = next((name for name in ("name", "frame") if name in columns), None)
    missing = [name for name in _COLUMNS if name not in columns]
    if key is None or missing:
        raise DataError(f"{file}: line 1: no column {'name or frame' if key is None else missing[0]}; {_EXPECTED}")
    rows = defaultdict(list)
    for line, row in lines:
        values = [_number(file, line, name, row[name]) for name in _COLUMNS]
        score = _number(file, line, "score", row["score"]) if "score" in columns else 1.0
        if score >= least:
            name = row[key].strip()
            rows[f"#{int(name)}" if key == "frame" and name.isdecimal() else name].append([*values, score])
    return BoxFile(file, {name: np.array(found, np.float64) for name, found in rows.items()}, {})


def _number(file: str, line: int, column: str, text: str | None) -> float:
    try:
        value = float(text)
    except (TypeError, ValueError):
        value = np.nan
    if not abs(value) < 1e9:
        raise DataError(f"{file}: line {line}: {column}: {text!a} is not a finite number")
    return value
