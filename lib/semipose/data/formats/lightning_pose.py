"""Labelled frames in the CSV of DeepLabCut and lightning-pose, of one or several animals, as `Persons`."""

import logging
from dataclasses import dataclass, replace

import numpy as np

from semipose.data.archives import image_root as found_root
from semipose.data.formats.image_list import ImageList, box_areas, whole_frames, whole_pixels
from semipose.data.formats.json_rows import WrongRows
from semipose.data.formats.pose_csv import PoseCsv, read_pose_csv
from semipose.data.formats.pose_project import csv_files, image_folder, unread_files
from semipose.data.images import image_size
from semipose.data.orientation import read_orientation, turned_size
from semipose.errors import DataError
from semipose.geometry.boxes import complete_boxes, keypoint_boxes
from semipose.skeletons import Skeleton
from semipose.structures import Persons

_log = logging.getLogger(__name__)
_SHOWN = 9


@dataclass(frozen=True)
class LabeledFrames:
    """The frames of one CSV.

    Attributes:
        file: the CSV.
        folder: image folder or zip archive that its file names refer to.
        paths: (F,) str, of the images.
        sizes: (F, 2) float64, width and height in pixels.
        keypoints: (F, A, K, 3) float32, x, y, v of each animal; zero where not labelled.
    """

    file: str
    folder: str
    paths: np.ndarray
    sizes: np.ndarray
    keypoints: np.ndarray


def read_lightning_pose(
    annotation: str, image_root: str, skeleton: Skeleton, root: str = "", ignore_unknown: bool = False,
    exif: str = "auto",
) -> Persons:  # fmt: skip
    """The labelled frames, in the order of the files: one person for each, with the whole frame as its box.

    Header rows: scorer, bodyparts, coords; then a file name (or several columns that are its folders and name) and x, y
    of each body part in image pixels. An empty or NaN pair is not labelled, nor is one with 0 in a column `visible`; a
    column `likelihood` changes nothing. A point outside the frame is not used; the log has their number. Body parts are
    matched to the skeleton by name. Ids are running numbers from 1, areas are those of the boxes.

    With several individuals (a header row of their names) each is a person of its own where it has a keypoint. Its box
    is that of its keypoints, grown on each side by 10 % of the longer side; the area is max(1, 0.53 * width * height).

    Args:
        annotation: CSV file, `.h5` beside one, folder of such files, or `config.yaml` of a project; see `csv_files`.
        image_root: folder that its file names refer to, which none may leave; "" = looked for, see `image_folder`.
        skeleton: K keypoints, in any order.
        root: of the data set, where images are looked for at last.
        ignore_unknown: leave out body parts that are no keypoints; else they are faults.
        exif: "upright": the labels are for pictures that their EXIF orientation turns; "auto": for these where a point
            lies outside of a picture as it is stored and all lie inside of it turned; "stored": never.

    Raises:
        DataError: naming the file, line, column and the reason.
    """
    return frames_as_persons(read_frames(annotation, image_root, skeleton, root, ignore_unknown, exif))


def frames_as_persons(parts: list[LabeledFrames]) -> Persons:
    """The persons on the frames of all files, numbered from 1."""
    persons = [_whole_frames(part) if part.keypoints.shape[1] == 1 else _individuals(part) for part in parts]
    joined = Persons.concatenate(persons)
    return replace(joined, ids=np.arange(1, len(joined) + 1), image_ids=np.arange(1, len(joined.image_paths) + 1))


def read_frames(
    annotation: str, image_root: str, skeleton: Skeleton, root: str = "", ignore_unknown: bool = False,
    exif: str = "auto",
) -> list[LabeledFrames]:  # fmt: skip
    """The labelled frames of each CSV; arguments and errors as for `read_lightning_pose`."""
    files = csv_files(annotation)
    if not files:
        raise DataError(f"{annotation}: has no CollectedData*.csv in it or below it")
    parts, faults = [], {}
    for file in files:
        try:
            parts.append(_read_file(file, image_root, skeleton, root, ignore_unknown, exif))
        except WrongRows as error:
            faults |= {file if len(files) > 1 else kind: rows for kind, rows in error.rows.items()}
    if faults:
        raise WrongRows(faults)
    _check_other_files(parts)
    unread = unread_files(annotation, files)
    if unread:
        _log.warning("%s: %d files of labels are not read: %s", annotation, len(unread), ", ".join(unread[:_SHOWN]))
    if len(files) > 1:
        _log.info("%s: %d frames in %d CSV files", annotation, sum(len(part.paths) for part in parts), len(files))
    return parts


def _read_file(
    file: str, image_root: str, skeleton: Skeleton, root: str, ignore_unknown: bool, exif: str
) -> LabeledFrames:
    table = read_pose_csv(file, skeleton, ignore_unknown)
    names = table.names()
    if not names:
        raise WrongRows({"line": table.faults}) if table.faults else DataError(f"{file}: has no labelled frame")
    if names and all(name.isdecimal() for name in names):
        raise DataError(f"{file}: names no images but numbers of video frames, as predictions on a video do")
    folder = (found_root(image_root) or image_root) if image_root else image_folder(file, names, root)
    paths = _paths(table, names, folder)
    keypoints = np.stack([table.keypoints(name, skeleton) for name in table.individuals], axis=1)
    if table.faults:
        raise WrongRows({"line": table.faults})
    try:
        sizes = _frame_sizes(paths.tolist(), keypoints[..., :2], exif)
    except DataError as error:
        raise DataError(f"{error}; put the picture back, or take its row out of {file}") from error
    _report(table, skeleton, keypoints)
    return LabeledFrames(file, folder, paths, sizes, _inside(table, keypoints, sizes))


def _paths(table: PoseCsv, names: list[str], folder: str) -> np.ndarray:
    """(F,) str; names are checked before any file is opened."""
    seen = {}
    for (line, _), name in zip(table.rows, names):
        if name in seen:
            table.fault(line, f"column 1: {name!a} is there already in line {seen[name]}")
        seen.setdefault(name, line)
    # numbered by line, as its messages name the id; the true sizes are in the files
    rows = [{"id": line, "file_name": name, "width": 1, "height": 1} for name, line in seen.items()]
    images = ImageList(table.file, folder, {"images": rows})
    for row, text in images.table.faults.items():
        table.faults.setdefault(rows[row]["id"], text.replace(": image id ", ": line ", 1))
    return images.paths


def _check_other_files(parts: list[LabeledFrames]) -> None:
    """Raises DataError if two files label the same frame, such as those of two scorers."""
    seen: dict[str, str] = {}
    for part in parts:
        for path in part.paths.tolist():
            if path in seen:
                raise DataError(f"{part.file}: {path} is labelled in {seen[path]} too; name one of the files")
        seen |= dict.fromkeys(part.paths.tolist(), part.file)


def _frame_sizes(paths: list[str], points: np.ndarray, exif: str) -> np.ndarray:
    """(F, 2) width and height of the pictures that the points (F, A, K, 2) are for; see `read_lightning_pose`."""
    stored = np.array([image_size(path) for path in paths], np.float64)
    odd = np.flatnonzero(_outside(points, stored).any(axis=(1, 2))).tolist() if exif == "auto" else []
    fits_turned = (not _outside(points[[row]], _turned(stored[[row]], [paths[row]])).any() for row in odd)
    return _turned(stored, paths) if exif == "upright" or any(fits_turned) else stored


def _turned(stored: np.ndarray, paths: list[str]) -> np.ndarray:
    return np.array([turned_size(size, read_orientation(path)) for size, path in zip(stored, paths)])


def _outside(points: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """(F, A, K) bool for points (F, A, K, 2) in pictures of (F, 2) width and height."""
    return ((points < -0.5) | (points > sizes[:, None, None] - 0.5)).any(axis=3)


def _inside(table: PoseCsv, keypoints: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    outside = _outside(keypoints[..., :2], sizes)
    if outside.any():
        _log.warning("%s: %d labels outside their frame are not used", table.file, outside.sum())
    return np.where(outside[..., None], np.float32(0), keypoints)


def _report(table: PoseCsv, skeleton: Skeleton, keypoints: np.ndarray) -> None:
    unknown = [part for part in table.parts if part not in skeleton.keypoints]
    if unknown:
        _log.warning("%s: left out body parts that are no keypoints: %s", table.file, ", ".join(unknown))
    if table.hidden:
        _log.info("%s: %d points with coordinates have 0 in 'visible': not labelled", table.file, table.hidden)
    if table.has_likelihood:
        count = int(keypoints[..., 2].sum())
        text = "%s: has columns 'likelihood', as predictions of a network have; all its %d points count as labels"
        _log.warning(text, table.file, count)


def _whole_frames(part: LabeledFrames) -> Persons:
    persons = whole_frames(part.paths, np.arange(len(part.paths)), part.sizes, part.keypoints.shape[2])
    return replace(persons, keypoints=part.keypoints[:, 0], areas=part.sizes.prod(axis=1).astype(np.float32))


def _individuals(part: LabeledFrames) -> Persons:
    """Frame by frame, in the order of the columns."""
    frames, animals = np.nonzero(part.keypoints[..., 2].any(axis=2))
    keypoints = part.keypoints[frames, animals]
    sizes = part.sizes[frames]
    boxes, points = complete_boxes(keypoint_boxes(keypoints), keypoints, sizes)
    boxes = boxes.astype(np.float32)
    text = "%s: %d individuals on %d frames, %d of them with a single point, whose box is as large as the others'"
    _log.info(text, part.file, len(frames), len(np.unique(frames)), points.sum())
    return Persons(
        image_paths=part.paths,
        image_ids=np.arange(len(part.paths)),
        image_sizes=whole_pixels(part.sizes),
        image_index=frames.astype(np.int32),
        ids=np.arange(len(frames)),
        boxes=boxes,
        keypoints=keypoints,
        areas=box_areas(boxes),
        scores=np.ones(len(frames), np.float32),
    )
