"""The images of a source: ids, sizes and paths that stay inside the image folder; whole frames as persons."""

import os

import numpy as np

from semipose.data.readers.table import Table
from semipose.structures import Persons


class ImageList:
    """The `images` of a COCO document.

    Attributes:
        paths: (I,) str, image folder and file name joined.
        ids: (I,) int64, unique.
        sizes: (I, 2) float64, width and height in pixels.

    Raises:
        DataError: naming the file, the image id, the field and the reason.
    """

    def __init__(self, file: str, image_dir: str, document: dict):
        table = Table(file, "image", document.get("images"))
        self.ids = table.unique_integers("id")
        self.sizes = np.stack([table.numbers(side) for side in ("width", "height")], axis=1)
        for column, side in enumerate(("width", "height")):
            table.first_fault(self.sizes[:, column] < 1, side, "must be at least 1, found {}")
        names = table.texts("file_name")
        _check_names(table, names)
        _check_links(table, names, image_dir)
        self.paths = np.array([os.path.join(image_dir, name) for name in names], str)
        self._row_of = {image_id: row for row, image_id in enumerate(self.ids.tolist())}

    def known(self, table: Table) -> np.ndarray:
        """(N,) bool, whether the `image_id` of each row is one of these images."""
        return np.array([image_id in self._row_of for image_id in table.integers("image_id").tolist()], bool)

    def rows_of(self, table: Table) -> np.ndarray:
        """(N,) int32, the image of each row by its `image_id`; raises DataError for an id that is not here."""
        table.first_fault(~self.known(table), "image_id", "{} is not the id of an image in this file")
        return np.array([self._row_of[row["image_id"]] for row in table.rows], np.int32)

    def clip(self, boxes: np.ndarray, image_index: np.ndarray) -> np.ndarray:
        """(N, 4) float32 xywh: boxes clipped to [0, W-1] x [0, H-1]; one that is outside or inverted becomes empty."""
        limit = self.sizes[image_index] - 1
        start = np.clip(boxes[:, :2], 0, limit)
        end = np.clip(boxes[:, :2] + boxes[:, 2:], 0, limit)
        return np.concatenate([start, np.maximum(end - start, 0)], axis=1).astype(np.float32)


def box_areas(boxes: np.ndarray) -> np.ndarray:
    """(N,) float32, the usual stand-in for a missing segmentation area: max(1, 0.53 * width * height)."""
    return np.maximum(1, 0.53 * boxes[:, 2] * boxes[:, 3]).astype(np.float32)


def whole_frames(paths: np.ndarray, image_ids: np.ndarray, sizes: np.ndarray, num_keypoints: int) -> Persons:
    """One person for each image, the whole frame as its box, without keypoints; ids run from 1.

    Args:
        paths: (I,) str.
        image_ids: (I,) int64.
        sizes: (I, 2), width and height in pixels.
        num_keypoints: K of the (I, K, 3) keypoints, which are zero.
    """
    rows = np.arange(len(paths))
    boxes = np.concatenate([np.zeros((len(rows), 2)), sizes], axis=1).astype(np.float32)
    return Persons(
        image_paths=paths,
        image_ids=image_ids,
        image_index=rows.astype(np.int32),
        ids=rows + 1,
        boxes=boxes,
        keypoints=np.zeros((len(rows), num_keypoints, 3), np.float32),
        areas=box_areas(boxes),
        scores=np.ones(len(rows), np.float32),
    )


def _check_names(table: Table, names: list[str]) -> None:
    for row, name in enumerate(names):
        reason = _name_fault(name)
        if reason:
            raise table.fault(row, "file_name", f"{name!a} {reason}")


def _name_fault(name: str) -> str:
    if "\0" in name:
        return "holds a NUL character"
    if "\\" in name:
        return "holds a backslash; folders are separated by /"
    if name.startswith("/") or name[1:2] == ":":
        return "is an absolute path; it must be relative to the image folder"
    return "leaves the image folder" if ".." in name.split("/") else ""


def _check_links(table: Table, names: list[str], image_dir: str) -> None:
    """Refuses links that lead out of the image folder; the folder itself may be a link."""
    root = os.path.realpath(image_dir)
    by_folder: dict[str, dict[str, int]] = {}
    for row, name in enumerate(names):
        folder, base = os.path.split(name)
        by_folder.setdefault(folder, {})[base] = row
    for folder, rows in by_folder.items():
        path = os.path.join(image_dir, folder)
        # one listing of the folder instead of one system call for each image
        links = [base for base in _links(path) if base in rows]
        inside = _is_inside(path, root)
        for base in links if inside else rows:
            if not inside or not _is_inside(os.path.join(path, base), root):
                raise table.fault(
                    rows[base], "file_name", f"{names[rows[base]]!a} is a link that leaves the image folder"
                )


def _links(folder: str) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries if entry.is_symlink()]
    except (OSError, ValueError):
        return []  # a missing image is reported when it is read


def _is_inside(path: str, root: str) -> bool:
    try:
        return os.path.commonpath([root, os.path.realpath(path)]) == root
    except (OSError, ValueError):
        return False
