"""A labelme file for each picture, to be corrected by hand."""

import json
import os
from pathlib import Path

from semipose.data.formats.corrected_labelme import as_predicted
from semipose.errors import write_error
from semipose.predict.instances import Instances
from semipose.predict.records import Records
from semipose.predict.writers.whole_file import whole_file


def write_labelme(folder: Path, records: Records, paths: tuple[str, ...], boxes: bool, least: float = 0.0) -> None:
    """`FOLDER/NAME.json` for each picture: a point for each keypoint, with one group_id for each person.

    Labelme turns a picture by its EXIF orientation, as it was turned to be predicted. A file counts as labels only when
    a person has corrected it (corrected_labelme.py).

    Args:
        paths: of the picture files, by `Record.number`.
        boxes: draw the boxes as well.
        least: smallest score of a point that is written.

    Raises:
        SemiposeError: a file cannot be written.
    """
    written = set()
    for record in records:
        path, target = paths[record.number], (folder / record.name).with_suffix(".json")
        if target in written:  # a.jpg and a.png
            target = folder / f"{record.name}.json"
        written.add(target)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise write_error(error, target.parent) from error
        with whole_file(target) as file:
            image_path = os.path.relpath(path, target.parent)
            document = labelme_document(record.instances, image_path, record.size, boxes, least)
            file.write(json.dumps(as_predicted(document)))


def labelme_document(found: Instances, image_path: str, size: tuple[int, int], boxes: bool, least: float = 0.0) -> dict:
    """What a labelme file says of one picture.

    Args:
        image_path: relative to the file.
        size: (width, height) of the picture.
        boxes, least: as in `write_labelme`.
    """
    shapes = []
    for row in range(len(found)):
        group = None if len(found) == 1 else row
        points = found.keypoints[row].astype(float).round(3).tolist()
        seen = zip(found.names, points, found.scores[row].tolist())
        shapes += [_shape(name, [point], group, "point") for name, point, score in seen if score >= least]
        if boxes:
            x, y, width, height = found.boxes[row].tolist()
            corners = [[round(x, 3), round(y, 3)], [round(x + width, 3), round(y + height, 3)]]
            shapes.append(_shape("box", corners, group, "rectangle"))
    return {
        "version": "5.4.1", "flags": {}, "shapes": shapes, "imagePath": image_path.replace(os.sep, "/"),
        "imageData": None, "imageHeight": size[1], "imageWidth": size[0],
    }  # fmt: skip


def _shape(label: str, points: list, group: int | None, kind: str) -> dict:
    return {
        "label": label, "points": points, "group_id": group, "description": "", "shape_type": kind, "flags": {},
    }  # fmt: skip
