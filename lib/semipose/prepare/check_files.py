"""All faults in the files of a source, as its readers report them."""

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from semipose.data.formats.coco import load_document
from semipose.data.formats.coco_categories import categories_of, taken_categories, taken_rows
from semipose.data.formats.detections import detected_categories, load_detections
from semipose.data.formats.json_rows import Table, WrongRows, load_json
from semipose.data.sources import COCO_FILES, Source, places
from semipose.errors import SemiposeError
from semipose.evaluation.ground_truth import CocoReading, load_ground_truth
from semipose.prepare.findings import reader_messages
from semipose.structures import Persons

_LEFT_OUT = re.compile(r"left out.*[1-9]")
_BY_NAME = re.compile("name their image file|image ids are the numbers")
_ORDER = ("category", "image", "annotation")
Reader = Callable[[Source], Persons]


@dataclass(frozen=True)
class FileCheck:
    """What a source has.

    Attributes:
        faults: a line for each wrong row, or one for a file that cannot be read at all.
        persons: those of the sound rows; None if nothing can be read.
        document: the sound rows of a COCO file, without segmentations; None for other formats.
        messages: what the reader had to say.
    """

    faults: tuple[str, ...]
    persons: Persons | None = None
    document: dict | None = None
    messages: tuple[str, ...] = ()


def check_file(source: Source, read: Reader, scored: bool = False) -> FileCheck:
    """Every fault of an annotation: wrong categories, images and annotations. Reports the first fault of each row.

    Args:
        source: without detections and groups, which have files of their own.
        read: reads the source; raises a SemiposeError.
        scored: whether it is a COCO file that OKS is computed from, which has more to be right.
    """
    level = logging.WARNING if source.format in COCO_FILES else logging.INFO
    with reader_messages(level) as lines:
        try:
            persons, wrong = _attempt(lambda: read(source))
        except SemiposeError as error:
            return FileCheck((str(error),))
        if scored:
            more = _scoring_faults(source)
            # of a row that both refuse, the reader's fault stays
            wrong = {kind: more.get(kind, {}) | wrong.get(kind, {}) for kind in more.keys() | wrong.keys()}
    told = tuple(line for kind, line in lines if kind >= logging.WARNING or _LEFT_OUT.search(line))
    document = _document(source, wrong)
    if persons is not None and document is not None and wrong.get("annotation"):
        persons = persons.take(np.isin(persons.ids, [row["id"] for row in document["annotations"]]))
    faults = tuple(found[number] for _, found in _ordered(wrong) for number in sorted(found))
    return FileCheck(faults, persons, document, () if faults else told)


def check_detections(source: Source, read: Reader) -> FileCheck:
    """Every fault of the file of detections; the `document` of the result has its sound `rows`, with image ids, and
    the `categories` of persons."""
    try:
        with reader_messages() as lines:
            persons, wrong = _attempt(lambda: read(source))
            file = places(source)[0]
            document = load_document(file)
            table = load_detections(source.path(source.boxes), Table(file, "image", document.get("images")))
            kinds = source.box_categories or detected_categories(file, document, source.skeleton, source.categories)
    except SemiposeError as error:
        return FileCheck((str(error),))
    wrong = wrong.get("detection", {})
    rows = [row for number, row in zip(table.places.tolist(), table.rows) if number not in wrong]
    faults = tuple(wrong[number] for number in sorted(wrong))
    told = tuple(line for _, line in lines if _BY_NAME.search(line))  # the notes tell the rest by image
    return FileCheck(faults, persons, {"rows": rows, "categories": kinds}, told)


def _attempt(read: Callable) -> tuple[Persons | None, dict[str, dict[int, str]]]:
    """The sound persons, and the wrong rows by kind."""
    try:
        return read(), {}
    except WrongRows as error:
        return error.persons, error.rows


def _scoring_faults(source: Source) -> dict[str, dict[int, str]]:
    try:
        file, images = places(source)
        reading = CocoReading(source.skeleton, source.categories, images)
        return _attempt(lambda: load_ground_truth(file, source.skeleton.sigmas, reading))[1]
    except SemiposeError as error:
        return {"file": {-1: str(error)}}


def _taken(source: Source, document: dict, rows: list[dict]) -> list[dict]:
    """Without the rows of other categories, which the reader counts."""
    table, kinds = Table("", "annotation", rows), categories_of("", document)
    if source.format not in COCO_FILES or not isinstance(document.get("categories"), list):
        return rows
    taken = taken_categories(table, kinds, source.skeleton, source.categories)
    return table.where(taken_rows(table, kinds, taken, source.categories)).rows


def _ordered(wrong: dict[str, dict[int, str]]) -> list[tuple[str, dict[int, str]]]:
    return sorted(wrong.items(), key=lambda item: _ORDER.index(item[0]) if item[0] in _ORDER else -1)


def _document(source: Source, wrong: dict[str, dict[int, str]]) -> dict | None:
    """The sound rows of a source that has a COCO document; AI Challenger's files are often of this kind."""
    document = load_json(places(source)[0]) if source.format in (*COCO_FILES, "aic") else None
    if not isinstance(document, dict) or any(-1 in wrong.get(kind, {}) for kind in ("image", "annotation")):
        return None
    images = [row for number, row in enumerate(document["images"]) if number not in wrong.get("image", {})]
    known, annotations = {row["id"] for row in images}, document.get("annotations")
    if annotations is not None:
        sound = [row for number, row in enumerate(annotations) if number not in wrong.get("annotation", {})]
        annotations = _taken(source, document, [row for row in sound if row["image_id"] in known])
        document = {**document, "annotations": annotations}
    return {**document, "images": images}
