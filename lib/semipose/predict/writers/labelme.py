"""A labelme file for each picture, to be corrected by hand."""

import json
import os
from pathlib import Path

from semipose.data.formats.labelme_image import shown_points
from semipose.errors import write_error
from semipose.predict.records import Record, Records
from semipose.predict.writers.whole_file import whole_file


def write_labelme(folder: Path, records: Records, paths: tuple[str, ...], boxes: bool, least: float = 0.0) -> list[str]:
    """`FOLDER/NAME.json` for each picture: a point for each keypoint, with one group_id for each person.

    Labelme turns a picture by its EXIF orientation, so the points are turned with it.

    Args:
        paths: of the picture files, by `Record.number`.
        boxes: draw the boxes as well.
        least: smallest score of a point that is written.

    Returns:
        A line for each picture that is left out, as its EXIF orientation mirrors it.

    Raises:
        SemiposeError: a file cannot be written.
    """
    faults, written = [], set()
    for record in records:
        path, target = paths[record.number], (folder / record.name).with_suffix(".json")
        if target in written:  # a.jpg and a.png
            target = folder / f"{record.name}.json"
        written.add(target)
        turn = shown_points(path, record.size)
        if turn is None:
            faults.append(f"{path}: is mirrored by its EXIF orientation; no labelme file is written for it")
            continue
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise write_error(error, target.parent) from error
        size, to_shown = turn
        with whole_file(target) as file:
            image_path = os.path.relpath(path, target.parent)
            file.write(json.dumps(_document(record, image_path, size, to_shown, boxes, least)))
    return faults


def _document(record: Record, image_path: str, size: tuple[int, int], to_shown, boxes: bool, least: float) -> dict:
    found, shapes = record.instances, []
    for row in range(len(found)):
        group = None if len(found) == 1 else row
        points = to_shown(found.keypoints[row]).round(3).tolist()
        seen = zip(found.names, points, found.scores[row].tolist())
        shapes += [_shape(name, [point], group, "point") for name, point, score in seen if score >= least]
        if boxes:
            x, y, width, height = found.boxes[row].tolist()
            corners = to_shown(found.boxes[row][None, :2] + [[0, 0], [width, height]]).round(3)
            corners = [corners.min(axis=0).tolist(), corners.max(axis=0).tolist()]
            shapes.append(_shape("box", corners, group, "rectangle"))
    return {
        "version": "5.4.1", "flags": {}, "shapes": shapes, "imagePath": image_path.replace(os.sep, "/"),
        "imageData": None, "imageHeight": size[1], "imageWidth": size[0],
    }  # fmt: skip


def _shape(label: str, points: list, group: int | None, kind: str) -> dict:
    return {
        "label": label, "points": points, "group_id": group, "description": "", "shape_type": kind, "flags": {},
    }  # fmt: skip
