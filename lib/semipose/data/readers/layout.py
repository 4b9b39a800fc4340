"""Where a COCO-format data set keeps its files."""

import json
import mmap
import os
import re
from itertools import islice

from semipose.data.readers.table import load_json
from semipose.errors import DataError

_FILE_NAME = re.compile(rb'"file_name"\s*:\s*("(?:[^"\\]|\\.)*")')
_PROBES = 20  # file names to look for, so that one missing image does not hide the right folder


def locate_coco(root: str, name: str, images: str = "") -> tuple[str, str]:
    """Annotation file and image folder of one set.

    `train2017` stands for `annotations/person_keypoints_train2017.json` under the root; a name that ends in `.json` is
    a file, relative to the root or absolute. Images are looked for in `images/NAME`, `NAME`, `images`, the folder of
    the annotation file and the root: the first folder that has one of the file's first images.

    Args:
        root: root of the data set.
        name: set name or annotation file.
        images: image folder, relative to the root or absolute; empty = look for it.

    Raises:
        DataError: naming the root, file or folders that do not exist.
    """
    if not os.path.isdir(root):
        raise DataError(f"{root}: the data set's root folder does not exist")
    is_file = name.endswith(".json")
    annotation = os.path.join(root, name if is_file else f"annotations/person_keypoints_{name}.json")
    if not os.path.isfile(annotation):
        raise DataError(f"{annotation}: annotation file of set {name!r} does not exist")
    if images:
        folder = os.path.join(root, images)
        if not os.path.isdir(folder):
            raise DataError(f"{folder}: image folder of set {name!r} does not exist")
        return annotation, folder
    named = [] if is_file else [f"images/{name}", name]
    places = [os.path.join(root, place) for place in (*named, "images")] + [os.path.dirname(annotation), root]
    return annotation, _folder_with_images(annotation, places)


def _folder_with_images(annotation: str, places: list[str]) -> str:
    names = _first_file_names(annotation)
    if not names:
        load_json(annotation)  # names the fault if it is not JSON at all
        raise DataError(f"{annotation}: lists no image with a file_name")
    for place in places:
        if any(os.path.isfile(os.path.join(place, name)) for name in names):
            return place
    tried = ", ".join(dict.fromkeys(places))
    raise DataError(f"{annotation}: image {names[0]!a} is in none of the folders tried: {tried}")


def _first_file_names(annotation: str) -> list[str]:
    # parsing all of a large file would take as long as reading it for training
    if os.path.getsize(annotation) == 0:
        return []
    with open(annotation, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        found = [match.group(1) for match in islice(_FILE_NAME.finditer(content), _PROBES)]
    return [name for name in map(_decode, found) if name and "\0" not in name and not os.path.isabs(name)]


def _decode(quoted: bytes) -> str:
    try:
        return json.loads(quoted)
    except ValueError:
        return ""
