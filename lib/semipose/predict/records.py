"""What was predicted, on the disk: kept as it comes, so that memory stays flat and an end at any time loses nothing."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from semipose.errors import write_error
from semipose.predict.instances import Instances

_DIGITS = 6  # of coordinates and scores behind the point


@dataclass(frozen=True)
class Record:
    """The result for one picture or frame.

    Attributes:
        name, number, time: as of `Frame`.
        size: (width, height) in pixels.
        image_id: of the file that the boxes came from; else `number` + 1.
        instances: what was found.
    """

    name: str
    number: int
    time: float | None
    size: tuple[int, int]
    image_id: int
    instances: Instances


class Records:
    """Results of one source in a file of JSON lines, to be read as often as needed. Used with `with`.

    Args:
        path: is written anew, and removed at the end.
        names: of the keypoints.

    Raises:
        SemiposeError: the file cannot be written; NoSpaceError where the disk is full.
    """

    def __init__(self, path: Path, names: tuple[str, ...]):
        self.path, self.names, self.count = path, names, 0
        self.most = 0  # instances in a picture
        self._ids: set[int] = set()
        try:
            self._file = open(path, "w", encoding="utf-8")  # noqa: SIM115 - closed by __exit__
        except OSError as error:
            raise write_error(error, path) from error

    def __enter__(self) -> "Records":
        return self

    def __exit__(self, *error) -> None:
        self._file.close()
        self.path.unlink(missing_ok=True)

    def __len__(self) -> int:
        return self.count

    @property
    def track_ids(self) -> list[int]:
        """All numbers that instances were given, sorted."""
        return sorted(self._ids)

    def add(self, record: Record) -> None:
        """Keep one result."""
        found = record.instances
        ids = None if found.track_ids is None else found.track_ids.tolist()
        arrays = [rows.round(_DIGITS).tolist() for rows in (found.keypoints, found.scores, found.boxes)]
        place = [record.name, record.number, record.time, record.size, record.image_id]
        row = [*place, *arrays, found.box_scores.tolist(), ids, found.bottom_up]
        try:
            self._file.write(json.dumps(row) + "\n")
        except OSError as error:
            raise write_error(error, self.path) from error
        self.count, self.most = self.count + 1, max(self.most, len(found))
        self._ids.update(ids or ())

    def __iter__(self) -> Iterator[Record]:
        self._file.flush()
        with open(self.path, encoding="utf-8") as file:
            for line in file:
                if not line.endswith("\n"):
                    return  # Ctrl-C came while it was written
                yield self._record(*json.loads(line))

    def _record(self, name, number, time, size, image_id, keypoints, scores, boxes, box_scores, ids, whole) -> Record:
        joints = len(self.names)
        instances = Instances(
            np.array(keypoints, np.float64).reshape(-1, joints, 2), np.array(scores, np.float64).reshape(-1, joints),
            np.array(boxes, np.float64).reshape(-1, 4), np.array(box_scores, np.float64), self.names,
            None if ids is None else np.array(ids, np.int64), whole,
        )  # fmt: skip
        return Record(name, number, time, tuple(size), image_id, instances)
