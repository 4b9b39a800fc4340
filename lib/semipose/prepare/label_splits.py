"""A COCO keypoint file -> label splits for semi-supervised training: the first N persons, or N images by a seed."""

import logging
import os
import posixpath
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from semipose.data.formats import locate_coco, read_coco
from semipose.data.formats.json_rows import Table, load_json, refuse_wrong_rows
from semipose.data.json_file import write_json
from semipose.errors import DataError, write_error
from semipose.skeletons import Skeleton

VAL_SEED = 2024  # fixed, so that every label count and seed is judged on the same images
PREFIX = "person_keypoints_"
SHOWN = 3

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Annotations:
    """N annotations of a COCO file and the images that they lie on.

    Attributes:
        file: where they come from.
        document: the JSON object, without segmentations.
        image_ids: (N,) int64, image of each annotation.
        trained: (N,) bool, whether top-down training keeps it: no crowd, with keypoints, box not empty.
    """

    file: str
    document: dict
    image_ids: np.ndarray
    trained: np.ndarray

    def take(self, mask: np.ndarray) -> "Annotations":
        """The annotations where the (N,) mask is set, unchanged, and only their images, both in the file's order."""
        image_ids, rows = self.image_ids[mask], np.flatnonzero(mask).tolist()
        kept = set(image_ids.tolist())
        images = [image for image in self.document["images"] if image["id"] in kept]
        document = {**self.document, "images": images}
        document["annotations"] = [self.document["annotations"][row] for row in rows]
        return replace(self, document=document, image_ids=image_ids, trained=self.trained[mask])

    def counts(self) -> dict[str, int]:
        persons = int(self.trained.sum())
        return {"persons": persons, "images": len(self.document["images"]), "others": len(self.trained) - persons}


def make_splits(
    annotation_file: str,
    out: str,
    skeleton: Skeleton,
    first: Sequence[int] = (),
    images: Sequence[int] = (),
    seed: int = 0,
    val: int = 0,
    val_annotation: str = "",
) -> dict[str, dict[str, int]]:
    """Writes `person_keypoints_STEM_NAME.json` for each set, where STEM is the set name of the annotation file.

    `first1000` holds the first 1,000 persons that `read_coco` keeps, image by image, as a run takes its first N; the
    pool is the whole file. `images200_seed0` holds all annotations of 200 images, drawn from those with such a person,
    and `images200_seed0_unlabeled` those of all other images, as hidden labels. With one seed, the larger labelled sets
    contain the smaller ones. `val500` holds 500 images that are taken out before, the same for all seeds;
    `without_val500` is what is left, and the pool of the first N persons *of it*.

    Annotations keep every key but `segmentation`. Images without an annotation are in no set. `split.json` records the
    counts and ids of each set. Further calls may add sets with the same `val`.

    Args:
        annotation_file: COCO keypoint file.
        out: folder to write into, such as that of the annotation file.
        skeleton: its keypoints.
        first, images: sizes of the labelled sets, in persons and in images.
        seed: of the labelled sets by image.
        val: images to hold out; 0 = none.
        val_annotation: validation file of the same data set; an image that both files annotate is an error.

    Returns:
        For "all" and each set `persons` that training keeps, `images`, and `others` = annotations that it leaves out.

    Raises:
        DataError: a file is missing or wrong, training and validation share an image, there are too few persons or
            images, or `out` holds another split.
        SemiposeError: a file cannot be written; NoSpaceError where the disk or quota is full.
    """
    source = _read(annotation_file, skeleton)
    if val_annotation:
        _refuse_leak(source, _read(val_annotation, skeleton))
    sets, rest = {}, source
    if val:
        held_out = _draw(source, val, VAL_SEED)
        rest = source.take(~held_out)
        sets = {f"val{val}": source.take(held_out), f"without_val{val}": rest}
    for count in first:
        sets[f"first{count}"] = _first(rest, count)
    for count in images:
        drawn = _draw(rest, count, seed)
        sets[f"images{count}_seed{seed}"] = rest.take(drawn)
        sets[f"images{count}_seed{seed}_unlabeled"] = rest.take(~drawn)
    options = {"annotation": os.path.basename(annotation_file), **source.counts(), "val": val, "val_seed": VAL_SEED}
    _write(out, _stem(annotation_file), sets, options)
    return {name: part.counts() for name, part in {"all": source, **sets}.items()}


def _image_folder(file: str) -> str:
    """The images need not be there, if the file has their sizes."""
    file = os.path.abspath(file)
    folder = os.path.dirname(file)
    for root in (folder, os.path.dirname(folder)):  # names begin beside the file or above its folder
        try:
            return locate_coco(root, file)[1]
        except DataError:
            continue
    return folder


def _read(file: str, skeleton: Skeleton) -> Annotations:
    trained = read_coco(file, _image_folder(file), skeleton).ids
    document = load_json(file)
    table = Table(file, "annotation", document["annotations"])
    all_of_it = Annotations(file, document, table.integers("image_id"), np.isin(table.integers("id"), trained))
    annotated = all_of_it.take(np.ones(len(table), bool))
    bare = len(document["images"]) - len(annotated.document["images"])
    _log.info("%s: left out: %d images without an annotation", file, bare)
    return annotated


def _first(source: Annotations, count: int) -> Annotations:
    """The first persons image by image, as the published loaders take them (see `data.sources.chosen_persons`)."""
    place = {image["id"]: number for number, image in enumerate(source.document["images"])}
    rows = np.flatnonzero(source.trained)
    rows = rows[np.argsort([place[i] for i in source.image_ids[rows].tolist()], kind="stable")]
    if not 1 <= count <= len(rows):
        raise DataError(f"{source.file}: cannot take the first {count} persons; allowed: 1 to {len(rows)}")
    return source.take(np.isin(np.arange(len(source.trained)), rows[:count]))


def _draw(source: Annotations, count: int, seed: int) -> np.ndarray:
    """(N,) bool, the annotations of `count` images with a person to train on; the first ones of a permutation."""
    _check_names(source)
    candidates = np.unique(source.image_ids[source.trained])  # sorted
    if not 1 <= count < len(candidates) or seed < 0:
        raise DataError(
            f"{source.file}: cannot draw {count} images by seed {seed}; allowed: 1 to {len(candidates) - 1} of its "
            f"{len(candidates)} images with persons, and seeds from 0"
        )
    return np.isin(source.image_ids, np.random.default_rng(seed).permutation(candidates)[:count])


def _check_names(source: Annotations) -> None:
    """Refuses a picture with two ids: it could be on both sides of a split."""
    table, uses = Table(source.file, "image", source.document["images"]), Counter(_names(source))
    again = [uses[name] > 1 for name in _names(source)]
    table.refuse(again, "file_name", "{} is used more than once; only --first can split such a file")
    refuse_wrong_rows((table,))


def _names(source: Annotations) -> list[str]:
    return [posixpath.normpath(image["file_name"]) for image in source.document["images"]]


def _refuse_leak(training: Annotations, validation: Annotations) -> None:
    ids = np.intersect1d(training.image_ids, validation.image_ids).tolist()
    names = sorted(set(_names(training)) & set(_names(validation)))
    for field, shared in (("file_name", names), ("id", ids)):
        if shared:
            shown = ", ".join(map(ascii, shared[:SHOWN])) + (", ..." if len(shared) > SHOWN else "")
            count = f"{len(shared)} validation images are also in {training.file}"
            raise DataError(f"{validation.file}: {count} (same {field}): {shown}")


def _stem(file: str) -> str:
    return os.path.basename(file).removesuffix(".json").removeprefix(PREFIX)


def _write(out: str, stem: str, sets: dict[str, Annotations], options: dict) -> None:
    """Writes `split.json` first, so that a call that is cut short leaves no set without its record."""
    paths = {name: os.path.join(out, f"{PREFIX}{stem}_{name}.json") for name in sets}
    split = os.path.join(out, "split.json")
    record = {"options": options, "sets": _earlier(split, options) | {name: _record(sets[name]) for name in sets}}
    for name, path in paths.items():
        _check_same(path, sets[name].document)
    try:
        os.makedirs(out, exist_ok=True)
        write_json(split, record)
        for name, path in paths.items():
            write_json(path, sets[name].document)
    except OSError as error:
        raise write_error(error, error.filename2 or error.filename or out) from error


def _record(part: Annotations) -> dict:
    ids = [annotation["id"] for annotation in part.document["annotations"]]
    return {**part.counts(), "image_ids": [image["id"] for image in part.document["images"]], "annotation_ids": ids}


def _check_same(path: str, document: dict) -> None:
    """Refuses to overwrite a file of other content."""
    if os.path.lexists(path) and load_json(path) != document:
        raise DataError(f"{path}: exists with other content; remove it or choose another --out")


def _earlier(path: str, options: dict) -> dict[str, dict]:
    """The sets of earlier calls; raises DataError for those of another split, which could hold held-out images."""
    if not os.path.lexists(path):
        return {}
    record = load_json(path)
    sets = record.get("sets") if isinstance(record, dict) else None
    if not isinstance(sets, dict) or record.get("options") != options:
        raise DataError(f"{path}: is of another split (annotation file or --val); remove it or choose another --out")
    return sets
