"""A lifting run of seconds, made of its parts."""

import pytest

from semipose import assemble
from semipose.config import load_config
from semipose.engine.checkpoint import CheckpointFolder
from semipose.runtime.signals import Interrupted, Interrupts
from semipose.tracking.tracker import make_tracker

CFG = "experiments/lift/figures_mean_teacher.yaml"
SMALL = """LIFT.CHANNELS 8 LIFT.FRAMES 9 TRAIN.BATCH_SIZE 8 TRAIN.BATCH_SIZE_UNSUP 8 TRAIN.END_EPOCH 2
TRAIN.STEPS_PER_EPOCH 4 TRAIN.PRINT_FREQ 2 TRAIN.UNSUP_START 0 TRAIN.UNSUP_RAMP 0 TRACKING.TENSORBOARD false""".split()


class StopAfter(Interrupts):
    """A signal that comes at the n-th look."""

    def __init__(self, looks: int):
        super().__init__()
        self.looks = looks

    def check(self) -> None:
        self.looks -= 1
        if self.looks == 0:
            raise Interrupted(15)


def small_config(root, algorithm="mean_teacher", pairs=()):
    return load_config(CFG, {"DATASET.ROOT": str(root), "ALGORITHM": algorithm}, [*SMALL, *pairs])


def make_trainer(root, folder, algorithm="mean_teacher", interrupts=None, pairs=(), resumed=None):
    config = small_config(root, algorithm, pairs)
    tracker = make_tracker(folder, "run", "off", False, "p", resumed and resumed["step"])
    tracker.start({})
    task = assemble.find_task(config)
    data = task.build_data(config)
    return task.build_trainer(config, data, CheckpointFolder(folder), tracker, interrupts or Interrupts())


def finish(trainer):
    """Its metrics at the end."""
    metrics = trainer.fit()
    trainer.record.tracker.finish(metrics)
    return metrics


def stop(root, folder, looks, algorithm):
    """A run that is stopped at the n-th look."""
    trainer = make_trainer(root, folder, algorithm, StopAfter(looks))
    with pytest.raises(Interrupted):
        trainer.fit()
    trainer.record.tracker.finish({})


def go_on(root, folder, algorithm):
    """The run in this folder, from its last checkpoint."""
    state, path = CheckpointFolder(folder).find_resume("auto")
    trainer = make_trainer(root, folder, algorithm, resumed=state)
    trainer.load_state_dict(state, str(path))
    return trainer
