"""Files of boxes from a detector: COCO's results, or a COCO file, such as `semipose predict` writes."""

import os
from collections import Counter

from semipose.data.formats.json_rows import Table, load_json, refuse_wrong_rows


def detection_rows(detection_file: str, images: object) -> object:
    """The rows `{image_id, category_id, bbox, score}` of a file, with the image ids of the annotation.

    A list is returned as it is. Of a COCO file these are the annotations, and its images are found by their names: the
    same, or else the only one with the same last part. Rows of other images get an id that no image has.

    Args:
        images: rows `{id, file_name}` of the annotation, which need not be sound.

    Raises:
        DataError: the file cannot be read. WrongRows: its images have no ids or names.
    """
    content = load_json(detection_file)
    if not isinstance(content, dict) or not isinstance(content.get("annotations"), list):
        return content
    own = Table(detection_file, "image", content.get("images"))
    numbers, names = own.unique_integers("id").tolist(), own.texts("file_name")
    refuse_wrong_rows((own,))
    known = _ids_by_name(images)
    nowhere = min(known.values(), default=0) - 1
    ids = {number: known.get(name, known.get(os.path.basename(name), nowhere)) for number, name in zip(numbers, names)}
    return [_renumbered(row, ids, nowhere) for row in content["annotations"]]


def _renumbered(row: object, ids: dict[int, int], nowhere: int) -> object:
    if not isinstance(row, dict) or type(row.get("image_id")) is not int:
        return row  # is refused like any wrong row
    return row | {"image_id": ids.get(row["image_id"], nowhere)}


def _ids_by_name(images: object) -> dict[str, int]:
    """Ids by name, and by the last part of a name where it is the only one."""
    rows = [row for row in images if isinstance(row, dict)] if isinstance(images, list) else []
    whole = {row["file_name"]: row["id"] for row in rows if _sound(row)}
    counts = Counter(os.path.basename(name) for name in whole)
    parts = {os.path.basename(name): number for name, number in whole.items()}
    return {name: number for name, number in parts.items() if counts[name] == 1} | whole


def _sound(row: dict) -> bool:
    return type(row.get("id")) is int and isinstance(row.get("file_name"), str)
