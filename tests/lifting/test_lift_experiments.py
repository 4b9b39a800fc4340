"""Every experiment that lifts takes its first steps."""

from pathlib import Path

import pytest

from semipose import assemble
from semipose.config import load_config
from semipose.engine.checkpoint import CheckpointFolder
from semipose.runtime.signals import Interrupts
from semipose.tracking.tracker import Tracker

FILES = sorted(Path("experiments/lift").glob("*.yaml"))
SETS = "DATASET.TRAIN_SET labeled.npz DATASET.TRAIN_UNSUP_SET [unlabeled.npz] DATASET.TEST_SET val.npz".split()
SMALL = """LIFT.CHANNELS 8 LIFT.CAMERAS cameras.json LIFT.UNIT m TRAIN.BATCH_SIZE 4 TRAIN.BATCH_SIZE_UNSUP 4
TRAIN.END_EPOCH 1 TRAIN.STEPS_PER_EPOCH 2 TRAIN.WARM_EPOCH 0 TRAIN.UNSUP_START 0 TRAIN.LR_STEP [9] GPUS cpu""".split()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_the_first_steps_are_taken(file, figures_root, tmp_path):
    config = load_config(file, {"DATASET.ROOT": str(figures_root)}, [*SETS, *SMALL])
    task = assemble.find_task(config)
    data = task.build_data(config)
    trainer = task.build_trainer(config, data, CheckpointFolder(tmp_path), Tracker([]), Interrupts())
    assert trainer.fit()["MPJPE"] > 0 and trainer.step == 2 * len(trainer.algorithm.phases)
