"""Check of all data of a configuration before anything is trained."""

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
from yacs.config import CfgNode

from semipose.assemble.check_sources import SourceCheck, check_source
from semipose.assemble.networks import build_students
from semipose.assemble.overlaps import find_overlaps, is_refused, key_of
from semipose.assemble.set_rows import as_rows, bottom_up, choose_rows
from semipose.assemble.sources_and_sets import algorithm_entry, build_source, build_test_sources, source_entries
from semipose.assemble.validator import FRAMED, build_metric_options, build_validator
from semipose.data.overlap import LABELLED, POOL, Part
from semipose.data.same_files import RealPaths
from semipose.data.sources import Source, places
from semipose.errors import ConfigError, SemiposeError
from semipose.evaluation.dry_run import dry_run
from semipose.prepare.check_annotations import document_notes, person_notes
from semipose.prepare.check_images import ImageCheck, Progress, check_images, image_faults, true_sizes
from semipose.prepare.findings import Finding, reader_messages
from semipose.skeletons import get_skeleton
from semipose.structures import Persons

SIDES = {"TRAIN_SET": LABELLED, "TRAIN_UNSUP_SET": POOL, "TEST_SET": "validation"}
OKS = ("oks", "crowdpose")
NEARLY_ALL = 0.999  # AP that a sound set gives


@dataclass(frozen=True)
class DatasetCheck:
    """Everything that was found, in order, and the sources that were checked."""

    sources: list[SourceCheck]
    findings: list[Finding]

    @property
    def broken(self) -> bool:
        return any(finding.broken for finding in self.findings)


def check_dataset(
    config: CfgNode, headers_only: bool = False, progress: Progress = lambda items, total: items
) -> DatasetCheck:
    """All faults of all sources: annotations, images, what would keep AP at 0, and images that two sides share.

    Args:
        headers_only, progress: see `check_images`.

    Raises:
        ConfigError: the algorithm or a skeleton is not known.
    """
    with reader_messages(of="semipose.skeletons") as lines:
        settings, config = _settings(config), _without_effects(config)
        checks, findings = _read_all(config)
    findings += [Finding(line, source="skeleton") for _, line in lines]
    images = check_images([path for check in checks for path in check.paths()], headers_only, progress)
    for check in checks:
        check.add(_person_findings(config, check, images))
        if check.side == "validation" and check.persons is not None:
            check.add(_scored(config, check))
    findings += [finding for check in checks for finding in check.findings]
    return DatasetCheck(checks, findings + _shared(config, checks) + settings + _few(config, checks))


def _without_effects(config: CfgNode) -> CfgNode:
    """A copy that makes no cache and no processes."""
    config = config.clone()
    config.defrost()
    config.DATASET.CACHE, config.WORKERS = "none", 0
    config.freeze()
    return config


def _read_all(config: CfgNode) -> tuple[list[SourceCheck], list[Finding]]:
    checks, findings = [], []
    for key, side in SIDES.items():
        try:
            checks += [check_source(config, side, source) for source in _sources(config, key)]
        except SemiposeError as error:
            findings.append(Finding(str(error), True, source=side))
    if not config.DATASET.TEST_SET:
        findings.append(Finding("DATASET.TEST_SET is empty: no scores and no best.pth", source="validation"))
    names = Counter(check.name for check in checks if check.side == "validation")
    twice = [name for name, count in names.items() if count > 1]
    text = "DATASET.TEST_SET: two sources have this name; give each its own 'name'"
    return checks, findings + [Finding(text, True, source=name) for name in twice]


def _sources(config: CfgNode, key: str) -> list[Source]:
    if key == "TEST_SET":
        return build_test_sources(config)
    return [build_source(config, entry) for entry in source_entries(config, key)]


def _person_findings(config: CfgNode, check: SourceCheck, images: dict[str, ImageCheck]) -> list[Finding]:
    """Images, and what is odd about the persons on them."""
    source, document = check.source, check.file.document or {}
    parts = [persons for persons in (check.persons, check.detected) if persons is not None]
    faults = {finding.ids: finding for part in parts for finding in image_faults(part, images, check.whole)}
    found = [faults[ids] for ids in sorted(faults)]
    pool = check.side == "unlabelled"
    if check.persons is None or (source.boxes and pool):
        return found
    where = places(source)[0] if document else source.path(source.annotation)
    found += document_notes(where, document, check.file.persons) if document else []
    skeleton = get_skeleton(config.DATASET.SKELETON) if pool else source.skeleton
    return found + person_notes(where, check.persons, true_sizes(check.persons, images), skeleton)


def _scored(config: CfgNode, check: SourceCheck) -> list[Finding]:
    """What the labels score as predictions, if OKS is asked for."""
    if check.file.faults:
        return [Finding("not scored, as its annotation has faults")]
    persons = check.persons if check.detected is None else check.detected
    try:
        entry = build_validator(config, {check.source.name: persons}).sets[check.source.name]
        if not set(entry.metrics) & set(OKS):
            return []
        found = dry_run(entry.labels, build_metric_options(config))
    except SemiposeError as error:
        return [Finding(str(error), True)]
    framed = [Finding(FRAMED)] if entry.labels.framed else []
    if found.scores["AP"] < NEARLY_ALL or found.broken:
        text = ": ".join([str(found), "; ".join(found.reasons) or "no reason is known"])
        return [*framed, Finding(text, found.broken)]
    return framed + list(map(Finding, found.reasons))


def _shared(config: CfgNode, checks: list[SourceCheck]) -> list[Finding]:
    """Images that training has in common with validation: what would end a run, and what it leaves out of the pool."""
    held_out = {path: check.name for check in checks if check.side == "validation" for path in check.paths()}
    validation = [rows for check in checks if check.side == "validation" for rows in check.rows(config)]
    found = []
    for overlap in find_overlaps(config, _parts(config, checks), validation, RealPaths()):
        name = f"{overlap.side} {overlap.name}"
        if is_refused(config, overlap):
            for path, twin in overlap.twins.values():
                text = f"{twin}: is also in {overlap.place}" + (f" as {path}" if twin != path else "")
                found.append(Finding(text, True, source=held_out[twin]))
            found.append(Finding(f"{len(overlap.twins)} images of validation: {overlap.remedy}", source=name))
        elif overlap.twins or overlap.beside:
            beside = f", and {len(overlap.beside)} frames next to them" if overlap.beside else ""
            text = f"left out of the pool: {len(overlap.twins)} images that validation shows{beside}: {overlap.names}"
            found.append(Finding(text, source=name))
    return found


def _parts(config: CfgNode, checks: list[SourceCheck]) -> list[Part]:
    """The parts of training as a run has them; without a pool of its own the whole labelled set is the pool."""
    labelled = [check for check in checks if check.side == LABELLED and check.persons is not None]
    pool = [check for check in checks if check.side == POOL and check.persons is not None]
    if not config.DATASET.TRAIN_UNSUP_SET and algorithm_entry(config).takes_unlabeled:
        pool = labelled
    taught = [replace(check, persons=_first(config, check)) for check in labelled]
    parts = []
    for side, those in ((LABELLED, taught), (POOL, pool)):
        for check in those:
            rows, video = as_rows(config, check.persons), check.source.format == "video"
            parts.append(Part(side, check.source.name, rows, video, key_of(config, side)))
    return parts


def _first(config: CfgNode, check: SourceCheck) -> Persons:
    """The persons whose labels are learned; all of them where there are fewer than asked for, which is a fault."""
    try:
        return choose_rows(config, check.source, check.persons, LABELLED)
    except ConfigError:
        return check.persons


def _settings(config: CfgNode) -> list[Finding]:
    """Sizes that do not fit each other."""
    try:
        build_students(config, pretrained=False)
    except SemiposeError as error:
        return [Finding(str(error), True, source="configuration")]
    return []


def _few(config: CfgNode, checks: list[SourceCheck]) -> list[Finding]:
    parts = [check.persons for check in checks if check.side == "labelled" and check.persons is not None]
    whole = bottom_up(config)
    labelled = sum(len(np.unique(part.image_index)) if whole else len(part) for part in parts)
    if labelled >= config.TRAIN.BATCH_SIZE:
        return []
    what = "pictures" if whole else "persons"
    text = (
        f"TRAIN.BATCH_SIZE is {config.TRAIN.BATCH_SIZE}, but only {labelled} {what} are labelled: each is in a step "
        f"several times; {max(1, labelled)} or less saves time"
    )
    return [Finding(text, source="configuration")]
