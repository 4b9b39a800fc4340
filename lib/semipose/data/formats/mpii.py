"""MPII Human Pose (Andriluka et al., CVPR 2014): the JSON of SimpleBaseline and HRNet, and the original .mat file."""

import logging

import numpy as np

from semipose.data.formats.image_list import box_areas, by_first_appearance, checked_paths
from semipose.data.formats.json_rows import Table, load_json, refuse_wrong_rows
from semipose.data.formats.mat_file import load_mat
from semipose.data.formats.mpii_mat import release_rows
from semipose.errors import DataError
from semipose.geometry.boxes import complete_boxes
from semipose.skeletons import Skeleton
from semipose.structures import Persons

_log = logging.getLogger(__name__)
_PERSON_HEIGHT = 200  # pixels at scale 1
_SHIFT_DOWN = 15  # pixels at scale 1, so that the crop does not cut the feet
_HEAD_FACTOR = 0.6  # of the head box's diagonal, from the set's own PCKh


def read_mpii(
    annotation: str, image_dir: str, skeleton: Skeleton, one_based: bool = True, head_boxes: str = ""
) -> Persons:
    """The annotated persons of an MPII file, in file order; ids and image ids run from 1.

    The JSON is a list of `{image, center, scale, joints, joints_vis}`. From the original .mat file, the persons with
    joints on training images are read. A box is the square of 200 * scale pixels around the centre, which is moved down
    by 15 * scale. It is not clipped to the image, so that a square crop, after the usual padding of 1.25, is exactly
    that of HRNet. The set has no areas; they are estimated from the box.

    Persons with center x -1 (no position known) or a scale that is not positive have the box of their joints
    (`complete_boxes`). Those without a labelled joint are left out. A JSON without any joints, such as that of the test
    images, gives all persons with zero keypoints.

    Args:
        annotation: JSON file, or the .mat file (told by its ending).
        image_dir: folder that its file names refer to.
        skeleton: the K keypoints of the file, in the file's order.
        one_based: coordinates count from 1, as MATLAB's do; 1 is subtracted from joints and centres.
        head_boxes: .mat file with the head boxes for PCKh: `gt_valid.mat` of HRNet, which has a row for each row of
            the JSON, or the original .mat, matched by image and centre. Not needed if `annotation` is the .mat file.
            A head size is 0.6 times the diagonal of the head box, and 0 where there is none.

    Raises:
        DataError: naming the file, the person (from 1, or image and number on it), the field and the reason.
    """
    table = Table(annotation, "person", _rows(annotation))
    for number, row in enumerate(table.rows, 1):
        row.setdefault("id", number)
    names, image_index = by_first_appearance(checked_paths(table, "image", table.texts("image"), image_dir))
    centers, scales = table.vectors("center", 2, "x, y"), table.numbers("scale")
    keypoints, placed = _keypoints(table, skeleton, int(one_based)), (centers[:, 0] != -1) & (scales > 0)
    boxes = _boxes(centers, scales, int(one_based)) * placed[:, None]
    found, new = complete_boxes(boxes, keypoints, np.full((len(table), 2), np.nan))
    boxes[new] = found[new]
    persons = Persons(
        image_paths=np.array(names, str),
        image_ids=np.arange(1, len(names) + 1),
        image_index=image_index,
        ids=np.arange(1, len(table) + 1),
        boxes=boxes,
        keypoints=keypoints,
        areas=box_areas(boxes),
        scores=np.ones(len(table), np.float32),
        head_sizes=np.zeros(len(table), np.float32) if table.faults else _head_sizes(table, head_boxes),
    )
    if new.any():
        _log.warning("%s: %d persons without position or scale have the box of their joints", annotation, new.sum())
    kept = _kept(annotation, persons, placed | new)
    persons = persons.take(kept & table.sound)
    refuse_wrong_rows((table,), persons)
    return persons


def _rows(annotation: str) -> object:
    return release_rows(annotation) if _is_mat(annotation) else load_json(annotation)


def _is_mat(file: str) -> bool:
    return file.lower().endswith(".mat")


def _kept(file: str, persons: Persons, placed: np.ndarray) -> np.ndarray:
    posed = persons.keypoints[:, :, 2].any(axis=1)
    if not posed.any():
        posed[:] = True
    _log.info(
        "%s: %d persons; left out: %d without position or scale, %d without joints",
        file, (placed & posed).sum(), (~placed).sum(), (placed & ~posed).sum(),
    )  # fmt: skip
    return placed & posed


def _boxes(centers: np.ndarray, scales: np.ndarray, first: int) -> np.ndarray:
    """(N, 4) float32 xywh; `first` is the coordinate of the first pixel in the file."""
    side = _PERSON_HEIGHT * scales
    x = centers[:, 0] - first - side / 2
    y = centers[:, 1] - first + _SHIFT_DOWN * scales - side / 2
    return np.stack([x, y, side, side], axis=1).astype(np.float32)


def _keypoints(table: Table, skeleton: Skeleton, first: int) -> np.ndarray:
    """(N, K, 3) float32; zero where not labelled."""
    given = np.array([bool(row.get("joints")) for row in table.rows], bool)
    rows, count = table.where(given), len(skeleton)
    points = rows.points("joints", count, f"the keypoints of skeleton {skeleton.name!r}") - first
    labeled = rows.vectors("joints_vis", count, f"1 or 0 for each keypoint of skeleton {skeleton.name!r}")
    rows.refuse(~np.isin(labeled, (0, 1)).all(axis=1), "joints_vis", "must hold 0 and 1 only")
    keypoints = np.zeros((len(table), count, 3), np.float32)
    keypoints[given] = np.concatenate([points, np.ones_like(points[:, :, :1])], axis=2) * labeled[:, :, None]
    return keypoints


def _head_sizes(table: Table, head_boxes: str) -> np.ndarray:
    """(N,) float32 pixels; 0 where no head box is known."""
    if not head_boxes:
        return _sizes([row["head"] if _is_mat(table.file) else None for row in table.rows])
    found = load_mat(head_boxes, "headboxes_src", "RELEASE")
    if "headboxes_src" in found:
        return _listed_sizes(head_boxes, found["headboxes_src"], table)
    size_of = {_place(row): row["head"] for row in release_rows(head_boxes, found["RELEASE"])}
    return _sizes([size_of.get(_place(row)) for row in table.rows])


def _place(row: dict) -> tuple:
    return row["image"], *(round(side, 1) for side in row["center"])


def _sizes(heads: list) -> np.ndarray:
    corners = np.array([head or [0] * 4 for head in heads], np.float64).reshape(-1, 4)
    sizes = _HEAD_FACTOR * np.linalg.norm(corners[:, 2:] - corners[:, :2], axis=1)
    return np.nan_to_num(sizes, posinf=0).astype(np.float32)


def _listed_sizes(file: str, corners: np.ndarray, table: Table) -> np.ndarray:
    """Head sizes from 2 x 2 x N corners: corner (upper left, lower right), coordinate (x, y), person."""
    corners = np.asarray(corners)
    corners = corners[:, :, None] if corners.ndim == 2 else corners  # one person: the last dimension is dropped
    if corners.shape != (2, 2, len(table)) or corners.dtype.kind not in "iuf":
        raise DataError(
            f"{file}: headboxes_src must be numbers, 2 x 2 x {len(table)} as {table.file} has {len(table)} persons,"
            f" found {' x '.join(map(str, corners.shape))}"
        )
    return _sizes(corners.astype(np.float64).reshape(4, -1).T.tolist())
