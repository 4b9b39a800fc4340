"""The images of a source: ids, sizes and paths that stay inside the image folder; whole frames as persons."""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

from semipose.data.archives import is_archive, join_images, name_fault, split_member
from semipose.data.formats.image_names import is_picture_here, plain_names
from semipose.data.formats.json_rows import Table, describe, refuse_wrong_rows
from semipose.data.formats.notices import warn_once
from semipose.data.images import image_size
from semipose.errors import DataError
from semipose.geometry.boxes import clip_boxes
from semipose.structures import Persons

_log = logging.getLogger(__name__)
LEAVES = "is a link that leaves the image folder; DATASET.LINKS names folders that links may lead to"
_SIDES = ("width", "height")
# Folders besides the image folder that links may lead to. A context, so that the readers of all formats obey.
_link_folders: ContextVar[tuple[str, ...]] = ContextVar("link_folders", default=())


@contextmanager
def links_to(folders: Sequence[str]) -> Iterator[None]:
    """While it lasts, links among images may lead into these folders too (DATASET.LINKS)."""
    token = _link_folders.set(tuple(os.path.realpath(folder) for folder in folders))
    try:
        yield
    finally:
        _link_folders.reset(token)


class ImageList:
    """The `images` of a COCO document.

    A width or height that is missing, 0 or below is read from the file. Wrong rows are noted in the table, which the
    reader refuses at its end.

    Attributes:
        table: the rows.
        paths: (I,) str, image folder (or zip archive) and file name joined.
        ids: (I,) int64, unique.
        sizes: (I, 2) float64, width and height in pixels.
        annotated: (I, 2) int32, the same, for `Persons.image_sizes`.
    """

    def __init__(self, file: str, image_dir: str, document: dict):
        self.table = table = Table(file, "image", document.get("images"))
        self.ids = table.unique_integers("id")
        self.sizes = declared_sizes(table)
        self.annotated = whole_pixels(self.sizes)
        self.paths = np.array(checked_paths(table, "file_name", table.texts("file_name"), image_dir), str)
        _measure(table, self.sizes, self.paths)
        self._by_id = np.argsort(self.ids, kind="stable")  # of two with one id, the first

    def known(self, table: Table) -> np.ndarray:
        """(N,) bool, whether the `image_id` of each row is one of these images."""
        return np.isin(table.integers("image_id"), self.ids)

    def rows_of(self, table: Table) -> np.ndarray:
        """(N,) int32, the image of each row by its `image_id`; a row with an id that is not here is wrong.

        Raises:
            WrongRows: there are rows, but no images.
        """
        if -1 not in self.table.faults:  # there is a list of images
            table.refuse(~self.known(table), "image_id", "{} is not the id of an image in this file")
        if len(table) and not len(self.ids):
            refuse_wrong_rows((self.table, table))
        places = np.searchsorted(self.ids, table.integers("image_id"), sorter=self._by_id)
        return self._by_id[np.minimum(places, len(self.ids) - 1)].astype(np.int32)

    def sound(self, image_index: np.ndarray) -> np.ndarray:
        """(N,) bool, whether the rows of these images are sound."""
        return self.table.sound[image_index]

    def clip(self, boxes: np.ndarray, image_index: np.ndarray) -> np.ndarray:
        """(N, 4) float32 xywh, see `clip_boxes`."""
        return clip_boxes(boxes, self.sizes[image_index]).astype(np.float32)


def declared_sizes(table: Table) -> np.ndarray:
    """(I, 2) float64 width and height in pixels; NaN, both of them, where one is missing, 0 or below."""
    sizes = np.stack([table.numbers(side, default=0) for side in _SIDES], axis=1)
    sizes[(sizes < 1).any(axis=1)] = np.nan
    return sizes


def whole_pixels(sizes: np.ndarray) -> np.ndarray:
    """(I, 2) int32 of sizes (I, 2); 0 = not known, for what is no number of pixels."""
    rounded = np.rint(np.nan_to_num(np.asarray(sizes, np.float64)).reshape(-1, 2))
    return np.where((rounded < 1) | (rounded > 2**31 - 1), 0, rounded).astype(np.int32)


def checked_paths(table: Table, field: str, names: list[str], image_dir: str) -> list[str]:
    """Image folder and file name joined, for each row. A row is wrong if its file lies outside the folder.

    Back slashes and absolute paths are made plain where that is possible (`plain_names`). Of a folder, other absolute
    paths are taken as they are where they name pictures (`is_picture_here`). The log has the number of both.

    Args:
        table: whose rows the names belong to, for messages.
        field: of those rows, for messages.
        names: file name of each row; rows may share one.
        image_dir: folder or zip archive that must hold all of them.

    Raises:
        DataError: the archive is broken.
    """
    written, names = names, plain_names(names, image_dir)
    changed = [pair for pair in zip(written, names) if pair[0] != pair[1]] if names is not written else []
    if changed:
        example = f"such as {describe(changed[0][0])} as {describe(changed[0][1])}"
        warn_once(_log, "%s: %d file names are taken below %s, %s", table.file, len(changed), image_dir, example)
    absolute = set() if is_archive(image_dir) else set(filter(is_picture_here, names))
    if absolute:
        count, example = sum(name in absolute for name in names), describe(next(filter(absolute.__contains__, names)))
        text = "%s: %d file names are absolute and not below %s; read where they lie, such as %s"
        warn_once(_log, text, table.file, count, image_dir, example)
    reasons = ["" if name in absolute else name_fault(name) for name in names]
    for row, reason in enumerate(reasons):
        if reason:
            table.fault(row, field, f"{names[row]!a} {reason}")
    names = ["" if reason else name for name, reason in zip(names, reasons)]
    if not is_archive(image_dir):  # a link in an archive is never followed
        _check_links(table, field, ["" if name in absolute else name for name in names], image_dir)
    return join_images(image_dir, names)


def by_first_appearance(names: list[str]) -> tuple[list[str], np.ndarray]:
    """Each different name once, and (N,) int32: the place of each of the N names in that list."""
    row_of = {name: row for row, name in enumerate(dict.fromkeys(names))}
    return list(row_of), np.array([row_of[name] for name in names], np.int32)


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
        image_sizes=whole_pixels(sizes),
    )


def _measure(table: Table, sizes: np.ndarray, paths: np.ndarray) -> None:
    """Fills in the sizes that are not known from the headers of the files."""
    rows = np.flatnonzero(np.isnan(sizes[:, 0]) & table.sound).tolist()
    for row in rows:
        try:
            sizes[row] = image_size(str(paths[row]))
        except DataError as error:
            lacking = next((s for s in _SIDES if not table.rows[row].get(s) or table.rows[row][s] < 1), _SIDES[0])
            found = describe(table.rows[row].get(lacking))
            table.fault(row, lacking, f"must be at least 1, found {found}, and its file has no size: {error}")
    if rows:
        warn_once(_log, "%s: %d images without width and height; read from the files", table.file, len(rows))
    sizes[np.isnan(sizes)] = 1  # of wrong rows


def _check_links(table: Table, field: str, names: list[str], image_dir: str) -> None:
    """Refuses links that lead out of the image folder and of those of `links_to`; the folder itself may be a link."""
    by_folder: dict[str, dict[str, int]] = {}
    for row, name in enumerate(names):
        folder, base = os.path.split((split_member(name) or [name])[0])
        by_folder.setdefault(folder, {})[base] = row
    for folder, rows in by_folder.items():
        path = os.path.join(image_dir, folder)
        # one listing of the folder instead of one system call for each image
        links = [base for base in _links(path) if base in rows]
        inside = leads_inside(path, image_dir)
        for base in links if inside else rows:
            if not inside or not leads_inside(os.path.join(path, base), image_dir):
                table.fault(rows[base], field, f"{names[rows[base]]!a} {LEAVES}")


def _links(folder: str) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries if entry.is_symlink()]
    except (OSError, ValueError):
        return []  # a missing image is reported when it is read


def leads_inside(path: str, image_dir: str) -> bool:
    """Whether a path, links followed, lies in the image folder or in one of those of `links_to`."""
    return _is_inside(path, os.path.realpath(image_dir)) or is_linked_folder(path)


def is_linked_folder(path: str) -> bool:
    """Whether a path, links followed, is or lies in one of the folders of `links_to`."""
    return any(_is_inside(path, root) for root in _link_folders.get())


def _is_inside(path: str, root: str) -> bool:
    try:
        return (os.path.realpath(path) + os.sep).startswith(root.rstrip(os.sep) + os.sep)
    except (OSError, ValueError):
        return False
