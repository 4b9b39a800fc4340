"""A run of a minute at most, of the demo's people, made of its parts."""

import pytest
from run_folder import rows, same_state

from semipose import assemble
from semipose.config import load_config
from semipose.engine.checkpoint import CheckpointFolder
from semipose.runtime.signals import Interrupted, Interrupts
from semipose.tracking.tracker import make_tracker

CFG = "experiments/demo/cotrain.yaml"
SMALL = """DATASET.TEST_SET val MODEL.IMAGE_SIZE [32,32] MODEL.HEATMAP_SIZE [8,8] TRAIN.BATCH_SIZE 3
TRAIN.BATCH_SIZE_UNSUP 4 TRAIN.STEPS_PER_EPOCH 0 TRAIN.END_EPOCH 2 TRAIN.PRINT_FREQ 2 TRAIN.UNSUP_START 0.1
TRAIN.UNSUP_RAMP 0.1 PSEUDO.MIN_SCORE 0 TRACKING.TENSORBOARD false""".split()


class StopAfter(Interrupts):
    """A signal that comes at the n-th look."""

    def __init__(self, looks: int):
        super().__init__()
        self.looks = looks

    def check(self) -> None:
        self.looks -= 1
        if self.looks == 0:
            raise Interrupted(15)


def make_trainer(root, folder, algorithm="cotrain1", interrupts=None, pairs=(), resumed=None):
    flags = {"DATASET.ROOT": str(root), "ALGORITHM": algorithm}
    config = load_config(CFG, flags, [*SMALL, *pairs])
    tracker = make_tracker(folder, "run", "off", False, "p", resumed and resumed["step"])
    tracker.start({})
    data = assemble.build_data(config)
    return assemble.build_trainer(config, data, CheckpointFolder(folder), tracker, interrupts or Interrupts())


def finish(trainer, warm=0):
    """Its metrics at the end."""
    trainer.warm_up(warm)
    metrics = trainer.fit()
    trainer.record.tracker.finish(metrics)
    return metrics


def stop(root, folder, looks, algorithm="cotrain1", pairs=(), warm=0):
    """A run that is stopped at the n-th look."""
    trainer = make_trainer(root, folder, algorithm, StopAfter(looks), pairs)
    with pytest.raises(Interrupted):
        trainer.warm_up(warm)
        trainer.fit()
    trainer.record.tracker.finish({})


def go_on(root, folder, algorithm="cotrain1", pairs=()):
    """The run in this folder, from its last checkpoint."""
    state, path = CheckpointFolder(folder).find_resume("auto")
    trainer = make_trainer(root, folder, algorithm, pairs=pairs, resumed=state)
    trainer.load_state_dict(state, str(path))
    return trainer


def assert_goes_on_exactly(whole, expected, root, folder, looks, algorithm="cotrain1", pairs=(), warm=0) -> None:
    """A run that is stopped and goes on ends as `whole` did, with its metrics and its record."""
    stop(root, folder, looks, algorithm, pairs, warm)
    resumed = go_on(root, folder, algorithm, pairs)
    assert finish(resumed, warm) == expected
    states = [trainer.state_dict() | {"config": None} for trainer in (whole, resumed)]  # WORKERS may differ
    assert same_state(*states)
    assert rows(folder) == rows(whole.record.checkpoints.folder)
