"""Every fault of the files of a source: its reader is given parts of a file until single wrong rows are found.

A part is read from a copy in a temporary folder, so that what is refused here is exactly what the reader refuses.
"""

import json
import logging
import os
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace

from semipose.data.formats.json_rows import load_json
from semipose.data.sources import COCO_FILES, Source, places
from semipose.errors import SemiposeError
from semipose.prepare.findings import find_faults, reader_messages, refusal
from semipose.structures import Persons

_UNKNOWN_SIDE = 10**6  # pixels, of a stand-in for an image whose row is wrong
_LEFT_OUT = re.compile(r"left out.*[1-9]")
Reader = Callable[[Source], Persons]


@dataclass(frozen=True)
class FileCheck:
    """What a source has.

    Attributes:
        faults: a line for each wrong row.
        persons: those of the sound rows; None if nothing can be read.
        document: the sound rows of a COCO file, without segmentations; None for other formats.
        messages: what the reader had to say.
    """

    faults: tuple[str, ...]
    persons: Persons | None = None
    document: dict | None = None
    messages: tuple[str, ...] = ()


def check_file(source: Source, read: Reader) -> FileCheck:
    """Every fault of an annotation: wrong image rows first, then wrong annotations. Of a row its first fault is told.

    JSON files are searched to the end (COCO's format, MPII, AI Challenger); of other formats the first fault is told.

    Args:
        source: without detections and groups, which have files of their own.
        read: reads a source like this one; raises a SemiposeError.
    """
    level = logging.WARNING if source.format in COCO_FILES else logging.INFO
    try:
        with reader_messages(level) as lines:
            persons = read(source)
    except SemiposeError as error:
        return _search(source, read, str(error))
    told = tuple(line for kind, line in lines if kind >= logging.WARNING or _LEFT_OUT.search(line))
    return FileCheck((), persons, _document(source), told)


def check_detections(source: Source, read: Reader, images: list[dict]) -> FileCheck:
    """Every fault of the file of detections; the `document` of the result has its sound `rows`.

    Args:
        images: sound image rows of the annotation.
    """
    file, folder = source.path(source.boxes), places(source)[1]
    # without a known image the reader refuses all rows
    extra = [{"image_id": images[0]["id"], "category_id": 0, "score": 0, "bbox": [0, 0, 0, 0]}]
    with tempfile.TemporaryDirectory() as parts:
        annotation = _write(parts, "images.json", {"images": images})
        source = replace(source, annotation=annotation, images=os.path.abspath(folder))

        def read_part(rows: list) -> Persons:
            return _read_copy(replace(source, boxes=_write(parts, "boxes.json", rows + extra)), read, file)

        first = refusal(read, source).replace(annotation, places(source)[0])
        try:
            rows = load_json(file)
        except SemiposeError as error:
            return FileCheck((str(error),))
        if not isinstance(rows, list):
            return FileCheck((first,))
        faults, sound = _sound_rows(file, "detection", rows, read_part) if first else ([], rows)
        found = FileCheck(tuple(faults), document={"rows": sound})
        if first:
            return _with_persons(found, read_part, sound, first)
        with reader_messages():
            return replace(found, persons=read(source))


def _search(source: Source, read: Reader, first: str) -> FileCheck:
    """The check of a source that is refused, with message `first`."""
    try:
        file, folder = places(source)
        content = load_json(file) if file.lower().endswith(".json") and os.path.isfile(file) else None
    except SemiposeError as error:
        return FileCheck((str(error),))
    source = replace(source, images=os.path.abspath(folder), head_boxes="")
    with tempfile.TemporaryDirectory() as parts:

        def read_content(part: object) -> Persons:
            copy = _write(parts, os.path.basename(file), part)
            return _read_copy(replace(source, annotation=copy), read, file)

        if isinstance(content, list):
            return _search_rows(file, content, read_content, first, source.format)
        if isinstance(content, dict):
            return _search_document(file, content, read_content, first)
    searched = content is not None or not os.path.exists(file)
    return FileCheck((first if searched else f"{first} (of this format only the first fault is told)",))


def _search_rows(file: str, rows: list, read: Callable[[list], Persons], first: str, kind: str) -> FileCheck:
    if kind == "mpii":
        for number, row in enumerate(rows, 1):
            if isinstance(row, dict):
                row.setdefault("id", number)  # as the reader names it, also in a part
    faults, sound = _sound_rows(file, "row", rows, read)
    return _with_persons(FileCheck(tuple(faults)), read, sound, first)


def _search_document(file: str, document: dict, read: Callable[[dict], Persons], first: str) -> FileCheck:
    images, annotations = document.get("images"), document.get("annotations")
    if not isinstance(images, list) or not isinstance(annotations, list | None):
        return FileCheck((first,))
    faults, empty = [], {"images": [], "annotations": [] if annotations is not None else None}
    faults += filter(None, [refusal(read, document | empty)])
    if faults:
        document = {**document, "categories": None}
        if refusal(read, document | empty):
            return FileCheck((first,))

    read_images = lambda rows: read(document | empty | {"images": rows})  # noqa: E731
    found, sound = _sound_rows(file, "image", images, read_images)
    by_id = _stand_ins(images) | {row["id"]: row for row in sound}
    faults, document = faults + found, {**document, "images": sound}
    if annotations is not None:

        def read_annotations(rows: list) -> Persons:
            wanted = {row["image_id"] for row in rows if _has_integer(row, "image_id")}
            used = [by_id[number] for number in sorted(wanted & by_id.keys())]
            return read(document | {"images": used, "annotations": rows})

        found, good = _sound_rows(file, "annotation", annotations, read_annotations)
        known = {row["id"] for row in sound}
        document["annotations"] = [row for row in good if row["image_id"] in known]
        faults += found
        if annotations and not document["annotations"]:
            return FileCheck(tuple(faults) or (first,), document=document)
    return _with_persons(FileCheck(tuple(faults), document=document), read, document, first)


def _with_persons(found: FileCheck, read: Callable, sound: object, first: str) -> FileCheck:
    """With the persons of the sound part; a message that comes from no single row is a fault too."""
    try:
        with reader_messages():
            persons, left = read(sound), ()
    except SemiposeError as error:
        persons, left = None, (str(error),)
    faults = found.faults + left if found.faults else (first,)
    return FileCheck(faults) if left else replace(found, faults=faults, persons=persons)


def _sound_rows(file: str, kind: str, rows: list, read: Callable[[list], object]) -> tuple[list[str], list]:
    """A line for each wrong row, and the other rows."""
    again = _used_before(rows) if kind in ("image", "annotation") else set()
    faults = {
        number: f"{file}: {kind} number {number}: id: {rows[number]['id']} is used more than once" for number in again
    }
    numbered = [(number, row) for number, row in enumerate(rows) if number not in again]
    for (number, _), message in find_faults(numbered, lambda part: read([row for _, row in part])):
        for word in ("number", "entry"):  # a row is the first one of what was read
            message = message.replace(f" {word} 0:", f" {word} {number}:", 1)
        faults[number] = message
    return [faults[number] for number in sorted(faults)], [r for n, r in enumerate(rows) if n not in faults]


def _used_before(rows: list) -> set[int]:
    """Numbers of the rows whose id an earlier row has."""
    seen, again = set(), set()
    for number, row in enumerate(rows):
        if _has_integer(row, "id"):
            if row["id"] in seen:
                again.add(number)
            seen.add(row["id"])
    return again


def _stand_ins(images: list) -> dict[int, dict]:
    """Images by id, so that annotations of an image whose row is wrong can be judged."""
    ids = [row["id"] for row in images if _has_integer(row, "id")]
    size = {"width": _UNKNOWN_SIDE, "height": _UNKNOWN_SIDE}
    return {number: {"id": number, "file_name": str(number)} | size for number in ids}


def _has_integer(row: object, field: str) -> bool:
    return isinstance(row, dict) and type(row.get(field)) is int


def _document(source: Source) -> dict | None:
    """The COCO document of a source that has one; AI Challenger's files are often of this kind."""
    document = load_json(places(source)[0]) if source.format in (*COCO_FILES, "aic") else None
    return document if isinstance(document, dict) else None


def _write(folder: str, name: str, content: object) -> str:
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(json.dumps(content))
    return path


def _read_copy(source: Source, read: Reader, file: str) -> Persons:
    """What `read` makes of a source with a copy; its messages name the original."""
    try:
        return read(source)
    except SemiposeError as error:
        copies = [source.path(source.annotation), source.path(source.boxes)]
        text = str(error)
        for copy in filter(None, copies):
            text = text.replace(copy, file)
        raise type(error)(text) from error
