"""The two tasks, and what the scripts ask of each: see the key TASK."""

from collections.abc import Callable
from dataclasses import dataclass

from yacs.config import CfgNode

from semipose import __version__
from semipose.assemble.lifting import build_lift_trainer
from semipose.assemble.lifting_data import build_lift_data, labelled_sequences, lift_entry
from semipose.assemble.set_rows import as_rows, bottom_up
from semipose.assemble.sources_and_sets import RunData, algorithm_entry, build_data
from semipose.assemble.training import build_trainer


def labelled_rows(config: CfgNode, data: RunData) -> dict:
    """What the labelled side is: the ids of its persons, bottom-up also of its images, and whose the rows are."""
    labeled = {"version": __version__, "annotation_ids": data.labeled.ids.tolist()}
    if bottom_up(config):
        labeled["image_ids"] = as_rows(config, data.labeled).ids.tolist()
    return labeled | {"sources": list(zip(data.labeled_mix.names, data.labeled_mix.lengths))}  # in this order


@dataclass(frozen=True)
class Task:
    """How a run is put together.

    Attributes:
        build_data: of a configuration; the result has a `report`.
        build_trainer: of the configuration, its data, checkpoints, tracker, interrupts, and whether to load weights.
        entry: of the configuration, what is known of its ALGORITHM: `students`, `phases`, `takes_unlabeled`.
        labelled: of the configuration and its data, what labeled.json says.
    """

    build_data: Callable
    build_trainer: Callable
    entry: Callable
    labelled: Callable[..., dict]


TASKS = {
    "pose": Task(build_data, build_trainer, algorithm_entry, labelled_rows),
    "lift": Task(build_lift_data, build_lift_trainer, lift_entry, labelled_sequences),
}


def find_task(config: CfgNode) -> Task:
    """The task of a configuration."""
    return TASKS[config.TASK]
