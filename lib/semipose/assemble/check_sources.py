"""Check of one source of a configuration, before its images are read."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from yacs.config import CfgNode

from semipose.assemble.set_rows import as_rows, bottom_up, choose_rows
from semipose.assemble.sources_and_sets import algorithm_entry
from semipose.data.formats.image_list import links_to
from semipose.data.group_ids import group_weights, load_group_mapping, with_group_ids
from semipose.data.overlap import used_images
from semipose.data.pictures import unlabelled_regions
from semipose.data.sources import (
    COCO_FILES,
    Source,
    convert_persons,
    converter,
    read_own,
    read_pool,
)
from semipose.errors import ConfigError, SemiposeError
from semipose.prepare.check_annotations import detection_notes
from semipose.prepare.check_files import FileCheck, check_detections, check_file
from semipose.prepare.check_images import refused_files
from semipose.prepare.findings import Finding, note, reader_messages
from semipose.skeletons import Skeleton, get_skeleton
from semipose.structures import Persons


@dataclass
class SourceCheck:
    """One source of one side and what was found.

    Attributes:
        file: what its annotation file holds.
        persons: those that the run uses, or else that can be read, in the source's own keypoints (a pool: in those of
            the network); None = nothing can be read.
        detected: the detections that stand in for their boxes.
        whole: whole pictures are used, whether or not a person is on them.
    """

    side: str
    source: Source
    file: FileCheck = FileCheck(())
    persons: Persons | None = None
    detected: Persons | None = None
    whole: bool = False
    findings: list[Finding] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"{self.side} {self.source.name}"

    def add(self, findings: list[Finding]) -> None:
        self.findings += [replace(finding, source=self.name) for finding in findings]

    @property
    def count(self) -> int:
        """Persons that the run uses."""
        used = self.persons if self.detected is None else self.detected
        return 0 if used is None else len(used)

    def read(self) -> list[Persons]:
        """What could be read: the persons, and detections beside them."""
        return [persons for persons in (self.persons, self.detected) if persons is not None]

    def rows(self, config: CfgNode) -> list[Persons]:
        """What could be read, as rows of data sets."""
        return [as_rows(config, persons) for persons in self.read()]

    def paths(self) -> list[str]:
        """Image files with a person; all where whole pictures are used."""
        if self.whole:
            return [path for persons in self.read() for path in persons.image_paths.tolist()]
        return [path for persons in self.read() for path in used_images(persons).values()]


def check_source(config: CfgNode, side: str, source: Source) -> SourceCheck:
    """Read one source as a run would do it on this side. All that the readers refuse is in the findings.

    Args:
        side: labelled, unlabelled or validation.
    """
    skeleton = get_skeleton(config.DATASET.SKELETON)
    check = SourceCheck(side, source, whole=bottom_up(config))
    plain = replace(source, group_id_mapping_file="", group_id_weight={}, boxes="")
    scored = side == "validation" and source.format in COCO_FILES
    check.file = check_file(plain, _reader(side, skeleton), scored)
    check.add([Finding(text, True) for text in check.file.faults])
    if source.format == "images" and check.file.persons is not None:
        with links_to(source.links):
            check.add(refused_files(source.path(source.annotation)))  # its messages name the first ones only
    check.add([Finding(text) for text in check.file.messages if not text.startswith("left out: ")])
    check.persons = check.file.persons
    if source.boxes:
        _read_detections(config, check, skeleton)
    elif check.persons is not None:
        check.add(_group_findings(source, check))
        # without a pool of its own the whole labelled set is the pool
        is_pool = algorithm_entry(config).takes_unlabeled and not config.DATASET.TRAIN_UNSUP_SET
        check.add(_chosen(config, check, skeleton, cut=side != "labelled" or not is_pool))
    if check.whole and side == "labelled" and check.persons is not None:
        check.add(_region_notes(check))
    return check


def _region_notes(check: SourceCheck) -> list[Finding]:
    """What the log of a run says of persons without labels."""
    if check.source.format not in COCO_FILES or check.file.faults:
        return []
    with reader_messages(logging.INFO) as lines:
        unlabelled_regions(check.source, check.persons)
    return [Finding(line) for _, line in lines]


def _reader(side: str, skeleton: Skeleton) -> Callable[[Source], Persons]:
    return (lambda source: read_pool(source, skeleton)) if side == "unlabelled" else read_own


def _read_detections(config: CfgNode, check: SourceCheck, skeleton: Skeleton) -> None:
    """Replaces the persons of a pool; beside those of a validation set, which keep the labels."""
    source, images = check.source, (check.file.document or {}).get("images")
    if check.side == "labelled":
        check.add([Finding(f"{source.path(source.boxes)}: detections have no keypoints to learn from", True)])
    if not images or check.side == "labelled":
        return
    found = check_detections(source, _reader(check.side, skeleton))
    check.add([Finding(text, True) for text in found.faults])
    if found.persons is None:
        return
    check.add([Finding(text) for text in found.messages])
    rows, kinds = found.document["rows"], found.document["categories"]
    check.add(detection_notes(source.path(source.boxes), rows, images, source.box_threshold, kinds))
    check.detected = found.persons
    check.add(_chosen(config, check, skeleton, cut=True))
    if check.side == "unlabelled":
        check.persons, check.detected = check.detected, None


def _chosen(config: CfgNode, check: SourceCheck, skeleton: Skeleton, cut: bool) -> list[Finding]:
    """Keeps the persons that the run uses, of which a source may have the first ones only."""
    source, where = check.source, check.source.name
    try:
        if check.detected is not None:
            check.detected = choose_rows(config, source, check.detected, check.side)
            return []
        left_out = []
        if check.side == "labelled":
            posed = convert_persons(check.persons, converter(source, skeleton)).keypoints[..., 2].any(axis=1)
            what = f"persons without a keypoint of {skeleton.name}, left out"
            left_out, check.persons = note(where, what, check.persons.ids[~posed]), check.persons.take(posed)
        first = choose_rows(config, source, check.persons, check.side)
        check.persons = first if cut else check.persons
        return left_out if len(as_rows(config, first)) else [*left_out, Finding(f"{where}: has no person", True)]
    except ConfigError as error:
        return [Finding(str(error), True)]


def _group_findings(source: Source, check: SourceCheck) -> list[Finding]:
    persons, file, found = check.persons, source.path(source.group_id_mapping_file), []
    rows = (check.file.document or {}).get("annotations")
    known = {row["id"] for row in rows} if rows else set(persons.ids.tolist())
    try:
        with reader_messages() as lines:
            if file:
                mapping = load_group_mapping(file)
                found = note(file, "annotation ids that no annotation has", sorted(mapping.keys() - known))
                persons = with_group_ids(persons, mapping)
            group_weights(persons, source.group_id_weight)
    except SemiposeError as error:
        return [Finding(str(error), True)]
    return found + [Finding(f"{source.name}: {line}") for _, line in lines if not line.startswith("group ids:")]
