"""Training against validation: what the two must not have in common."""

import os
from collections.abc import Sequence

from yacs.config import CfgNode

from semipose.data.overlap import LABELLED, HeldOut, Overlap, OverlapOptions, Part, refuse_shared
from semipose.data.same_files import RealPaths
from semipose.runtime.ranks import by_first
from semipose.structures import Persons


def build_parts(config: CfgNode, side: str, entries: Sequence[dict], persons: Sequence[Persons]) -> list[Part]:
    """One part of training for each source of a side."""
    key = key_of(config, side)
    return [Part(side, entry["name"], each, entry["format"] == "video", key) for entry, each in zip(entries, persons)]


def key_of(config: CfgNode, side: str) -> str:
    """Where the configuration names the sources of a side; without a pool of its own the labelled set is the pool."""
    if side == LABELLED:
        return "DATASET.TRAIN_SET"
    return "DATASET.TRAIN_UNSUP_SET" if config.DATASET.TRAIN_UNSUP_SET else "all of DATASET.TRAIN_SET"


def find_overlaps(
    config: CfgNode, parts: Sequence[Part], validation: Sequence[Persons], files: RealPaths
) -> list[Overlap]:
    """What each part has in common with the validation sets. Of several ranks the first one looks."""
    keys, folder = config.DATASET.OVERLAP, os.path.join(config.DATASET.CACHE_DIR, "thumbnails")
    held_out = HeldOut(validation, OverlapOptions(keys.PICTURES, keys.GUARD, folder), files)
    return by_first(lambda: [held_out.compare(part) for part in parts])


def is_refused(config: CfgNode, overlap: Overlap) -> bool:
    """Whether a run ends: the overlap is in the labels, is to be refused, or leaves nothing of a source."""
    keys = config.DATASET.OVERLAP
    left = overlap.images - len(overlap.twins) - len(overlap.beside)
    return bool(overlap.twins) and (overlap.side == LABELLED or keys.POOL == "refuse" or not left)


def without_overlap(config: CfgNode, parts: Sequence[Part], overlaps: Sequence[Overlap]) -> list[Persons]:
    """The persons of each part without what validation shows; raises DataError for what `is_refused`."""
    for overlap in overlaps:
        if is_refused(config, overlap):
            refuse_shared(overlap)
    return [overlap.rest(part.persons) for part, overlap in zip(parts, overlaps)]
