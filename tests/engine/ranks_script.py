"""Trains what its arguments say, in one process or, under torchrun, in several: see test_distributed.py."""

import json
import sys
from pathlib import Path

import torch

from semipose import build
from semipose.config import load_config
from semipose.data.faults import FaultLog
from semipose.engine.checkpoint import CheckpointFolder
from semipose.engine.distributed import by_first, gather, is_first, rank, ranks, session, shared
from semipose.engine.interrupts import Interrupted, Interrupts
from semipose.engine.tracking import Tracker, make_tracker
from semipose.errors import DataError

CFG = "experiments/demo/cotrain.yaml"
# Nothing that takes from other images and nothing that hangs on the highest pixel of a flat heatmap
SMALL = """DATASET.TEST_SET val MODEL.IMAGE_SIZE [32,48] MODEL.HEATMAP_SIZE [8,12] TRAIN.STEPS_PER_EPOCH 0 GPUS cpu
TRAIN.UNSUP_START 0.1 TRAIN.UNSUP_RAMP 0.1 TRAIN.SYNC_BN true TRAIN.OPTIMIZER sgd TRAIN.LR 0.01 TRAIN.WARMUP_STEPS 0
TRAIN.SCHEDULE constant TRAIN.PRINT_FREQ 1 TRAIN.EVAL_INTERVAL 9 PSEUDO.TARGET heatmap PSEUDO.MIN_SCORE 0
AUGMENT.HARD_VIEWS [[cutout,rand_augment]] AUGMENT.HARD.COLOR 0 TEST.BATCH_SIZE 2 TRACKING.TENSORBOARD false""".split()


class SignalToLastRank(Interrupts):
    """A signal that one rank gets before its n-th look; 0 = never."""

    def __init__(self, looks: int):
        super().__init__()
        self.looks = looks

    def check(self) -> None:
        self.looks -= 1
        if self.looks == 0 and rank() == ranks() - 1:
            self.requested = 15
        super().check()


def make_trainer(root, folder: Path, algorithm: str, pairs: list, looks: int = 0, step: int | None = None):
    config = load_config(CFG, {"DATASET.ROOT": str(root), "ALGORITHM": algorithm}, [*SMALL, *pairs])
    tracker = make_tracker(folder, "run", "off", False, "p", step) if is_first() else Tracker([])
    tracker.start({})
    data = build.build_data(config)
    return build.build_trainer(config, data, CheckpointFolder(folder), tracker, SignalToLastRank(looks))


def train(root, folder: Path, algorithm: str, pairs: list, looks: int = 0) -> dict:
    """The state of a run at its end, its numbers in `folder`/metrics.jsonl; with `looks` stopped there and resumed."""
    trainer = make_trainer(root, folder, algorithm, pairs, looks)
    if looks:
        try:
            trainer.fit()
            raise AssertionError("was not stopped")
        except Interrupted:
            trainer.tracker.finish({}, 143)
        state, path = CheckpointFolder(folder).find_resume("auto")
        trainer = make_trainer(root, folder, algorithm, pairs, step=state["step"])
        trainer.load_state_dict(state, str(path))
    trainer.fit()
    trainer.tracker.finish({})
    return trainer.state_dict()


def report_faults() -> list:
    """What the fault logs of all ranks hold and say; each rank has met another broken image."""
    log, ends = FaultLog(limit=1), []
    report = shared(log)
    for lines in ((), (f"image {rank()}",), ()):
        try:
            report(lines)
            ends.append("")
        except DataError as error:
            ends.append(str(error))
    return gather([sorted(log.lines), ends])


def main(root: str, out: str, jobs: str) -> None:
    torch.set_num_threads(1)
    with session("gloo"):
        print("a line of", rank())
        for name, arguments in json.loads(jobs).items():
            state = train(root, Path(out) / name, *arguments)
            torch.save(state, Path(out) / name / f"rank{rank()}.pth")
        said = [report_faults(), by_first(rank)]
        (Path(out) / f"said{rank()}.json").write_text(json.dumps(said))


if __name__ == "__main__":
    main(*sys.argv[1:])
