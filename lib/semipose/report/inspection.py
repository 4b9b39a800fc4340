"""A run's networks on its data, as far as both are at hand; what is not is said."""

import logging
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from yacs.config import CfgNode

from semipose import assemble
from semipose.assemble.from_checkpoint import find_checkpoint, saved_skeleton, scored_networks, whole_config
from semipose.engine.checkpoint import load_checkpoint
from semipose.errors import SemiposeError
from semipose.report.looking import Seen, look_at_labels, look_at_validation
from semipose.report.pool import PoolExample, pool_examples
from semipose.report.records import Record

log = logging.getLogger(__name__)

LAST = "last.pth"  # it has the easy/hard split, best.pth has none


@dataclass(frozen=True)
class Look:
    """How much is looked at, and where.

    Attributes:
        most: persons (or pictures) of the validation and of the labelled set; of larger sets some drawn at random.
        examples: pictures of each kind.
        root: where the data are now; "" = where the run had them.
    """

    most: int = 500
    examples: int = 8
    root: str = ""


@dataclass
class Inspection:
    """What was found; None or empty where something is missing, which `missing` says in a line each."""

    record: Record
    name: str
    validation: Seen | None = None
    labels: Seen | None = None
    pool: list[PoolExample] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)

    @contextmanager
    def part(self, what: str):
        """A part that may fail without the others; faults of the data and the checkpoint are noted."""
        try:
            yield
        except SemiposeError as error:
            self.missing.append(f"no {what}: {error}")


def inspect_run(record: Record, name: str, look: Look) -> Inspection:
    """Networks of the run's best epoch on validation and labels, teachers of its last one on the pool."""
    found = Inspection(record, name)
    with found.part("pictures"):
        source = find_checkpoint(record.folder)
        state = load_checkpoint(source)
        config = whole_config(state, str(source), _flags(look), [])
        networks, main = scored_networks(config, state, str(source), saved_skeleton(state, config))
        _fill(found, config, networks, main, look)
    return found


def _fill(found: Inspection, config: CfgNode, networks: dict, main: tuple[str, ...], look: Look) -> None:
    faults = []
    if config.DATASET.TEST_SET:
        with found.part("validation pictures"):
            log.info("%s: looking at the validation set", found.name)
            found.validation = look_at_validation(config, networks, main, look.most, faults.extend)
    with found.part("training pictures"):
        data = assemble.build_data(config)
        log.info("%s: looking at %d labelled persons", found.name, min(len(data.labeled), look.most))
        found.labels = look_at_labels(config, data.labeled, networks, main, look.most, faults.extend)
        if data.unlabeled is not None:
            with found.part("pseudo-labels"):
                log.info("%s: asking the teachers", found.name)
                found.pool = pool_examples(config, data, _last_state(found.record), look.examples, faults.extend)
    if faults:
        found.missing.append(f"{len(faults)} pictures could not be read, the first: {faults[0]}")


def _last_state(record: Record) -> tuple[dict, str]:
    path = record.folder / LAST
    path = path if path.is_file() else find_checkpoint(record.folder)
    return load_checkpoint(path), str(path)


def _flags(look: Look) -> dict:
    """Each picture is looked at once, in the box of its label, and nothing is trained."""
    flags = {
        "GPUS": "0" if torch.cuda.is_available() else "cpu", "WORKERS": 0, "DATASET.CACHE": "none",
        "DATASET.OVERLAP.PICTURES": 0, "TEST.USE_GT_BBOX": True,
    }  # fmt: skip
    return flags | ({"DATASET.ROOT": look.root} if look.root else {})
