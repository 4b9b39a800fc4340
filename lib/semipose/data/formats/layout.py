"""Where a COCO-format data set keeps its files."""

import json
import mmap
import os
import re
from itertools import islice

from semipose.data.archives import image_exists, image_root, join_images, name_fault
from semipose.data.formats.image_names import is_picture_here, plain_names
from semipose.data.formats.json_rows import load_json
from semipose.errors import DataError

_FILE_NAME = re.compile(rb'"file_name"\s*:\s*("(?:[^"\\]|\\.)*")')
_PREFIXES = ("person_keypoints_", "image_info_")
_PROBES = 20  # file names to look for, so that one missing image does not hide the right folder


def locate_coco(root: str, name: str, images: str = "") -> tuple[str, str]:
    """Annotation file and image folder of one set.

    `train2017` stands for `annotations/person_keypoints_train2017.json` under the root or else for
    `annotations/image_info_train2017.json`, which has images only. A name that ends in `.json` is a file, relative to
    the root or absolute; its NAME is the file name without these prefixes and `.json`. Images are looked for in
    `images/NAME`, `NAME` and `images` of the root and of the folder above that of the annotation file, then beside the
    file and in the root: the first folder that has one of the file's first images. If there is none, the zip archives
    beside these folders are tried (`images/NAME.zip`). Where file names are absolute paths of images on this machine,
    the image folder is the root.

    Args:
        root: root of the data set.
        name: set name or annotation file.
        images: image folder or zip archive, relative to the root or absolute; empty = look for it.

    Raises:
        DataError: naming the root, file or folders that do not exist.
    """
    if not os.path.isdir(root):
        raise DataError(f"{root}: the data set's root folder does not exist; go to where it is, or set DATASET.ROOT")
    annotation = _annotation_file(root, name)
    if images:
        folder = os.path.join(root, images)
        if not image_root(folder):
            raise DataError(f"{folder}: image folder of set {name!r} does not exist")
        return annotation, image_root(folder)
    files = first_file_names(annotation)
    if any(map(is_picture_here, files)):
        return annotation, root  # absolute paths, which may lead to several folders
    stem = _stem(name)
    bases = dict.fromkeys([root, os.path.dirname(os.path.dirname(annotation))])
    places = [os.path.join(base, place) for base in bases for place in (f"images/{stem}", stem, "images")]
    return annotation, _folder_with_images(annotation, files, [*places, os.path.dirname(annotation), root])


def has_annotation(root: str, name: str) -> bool:
    """Whether `locate_coco` finds an annotation file for this set name or file."""
    return any(map(os.path.isfile, _annotation_files(root, name)))


def _annotation_file(root: str, name: str) -> str:
    files = _annotation_files(root, name)
    found = next(filter(os.path.isfile, files), None)
    if found is None:
        others = "".join(f", nor does {os.path.basename(other)}" for other in files[1:])
        raise DataError(f"{files[0]}: annotation file of set {name!r} does not exist{others}")
    return found


def _annotation_files(root: str, name: str) -> list[str]:
    if name.lower().endswith(".json"):
        return [os.path.join(root, name)]
    return [os.path.join(root, "annotations", f"{prefix}{name}.json") for prefix in _PREFIXES]


def _stem(name: str) -> str:
    """The set name, also for an annotation file: `data/image_info_some.json` -> `some`."""
    if not name.lower().endswith(".json"):
        return name
    stem = os.path.splitext(os.path.basename(name))[0]
    prefix = next(filter(stem.startswith, _PREFIXES), "")
    return stem.removeprefix(prefix)


def _folder_with_images(annotation: str, names: list[str], places: list[str]) -> str:
    if not names:
        load_json(annotation)  # names the fault if it is not JSON at all
        raise DataError(f"{annotation}: lists no image with a file_name")
    places = [*places, *(f"{place}.zip" for place in places if os.path.isfile(f"{place}.zip"))]
    broken = None
    for place in places:
        try:
            if any(map(image_exists, join_images(place, _allowed(names, place)))):
                return place
        except DataError as error:  # an archive; another place may have the images
            broken = broken or error
    if broken:
        raise broken
    tried = ", ".join(dict.fromkeys(places))
    raise DataError(f"{annotation}: image {names[0]!a} is in none of the folders tried: {tried}")


def _allowed(names: list[str], place: str) -> list[str]:
    return [name for name in plain_names(names, place) if not name_fault(name)]


def first_file_names(annotation: str) -> list[str]:
    """Some file names in a COCO file, from its beginning; [] if it has none."""
    # parsing all of a large file would take as long as reading it for training
    if os.path.getsize(annotation) == 0:
        return []
    with open(annotation, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        found = [match.group(1) for match in islice(_FILE_NAME.finditer(content), _PROBES)]
    return [name for name in map(_decode, found) if name and "\0" not in name]


def _decode(quoted: bytes) -> str:
    try:
        return json.loads(quoted)
    except ValueError:
        return ""
