"""What the rows of a data set are: persons (top-down) or whole pictures (bottom-up), as the codec wants it."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from yacs.config import CfgNode

from semipose.codecs import find_codec
from semipose.data.overlap import Overlap
from semipose.data.pictures import chosen_pictures, picture_rows
from semipose.data.same_files import RealPaths
from semipose.data.sources import Source, chosen_persons
from semipose.data.summary import DataReport, report_data
from semipose.errors import ConfigError
from semipose.structures import Persons


def bottom_up(config: CfgNode) -> bool:
    """Whether networks see whole pictures and find the persons themselves; raises ConfigError for an unknown codec."""
    return find_codec(config.MODEL.CODEC).instances


def choose_rows(config: CfgNode, source: Source, persons: Persons, side: str) -> Persons:
    """The persons of the rows that one side of a run uses: labelled, unlabelled or validation."""
    if bottom_up(config):
        return chosen_pictures(source, persons, side)
    return chosen_persons(source, persons)


def as_rows(config: CfgNode, persons: Persons) -> Persons:
    """A person for each row of the data set; of whole pictures without box and keypoints."""
    return picture_rows(persons) if bottom_up(config) else persons


def of_rows(config: CfgNode, persons: Persons, rows: Persons) -> Persons:
    """The persons of some of the rows that `as_rows` made of them."""
    if not bottom_up(config):
        return rows
    return persons.take_images(np.isin(np.arange(len(persons.image_paths)), rows.image_index))


def report_rows(
    config: CfgNode, labeled: Persons, unlabeled: Persons | None, validation: Sequence[Persons],
    overlaps: Sequence[Overlap], files: RealPaths,
) -> DataReport:  # fmt: skip
    """`report_data` of the rows; of whole pictures also the number of persons on them."""
    pool, held_out = None if unlabeled is None else as_rows(config, unlabeled), [as_rows(config, v) for v in validation]
    report = report_data(as_rows(config, labeled), pool, held_out, overlaps, files, config.DATASET.OVERLAP.PICTURES)
    counts = len(labeled), sum(map(len, validation))
    return replace(report, instances=counts) if bottom_up(config) else report


def refuse_boxes(config: CfgNode, key: str) -> None:
    """Raises ConfigError where boxes are given to networks that take none."""
    if bottom_up(config):
        raise ConfigError(f"{key}: MODEL.CODEC {config.MODEL.CODEC} finds the persons of a whole picture without boxes")
