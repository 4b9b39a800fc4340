"""Trains what its arguments say, in one process or, under torchrun, in several: see test_distributed.py."""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from semipose import assemble
from semipose.config import load_config
from semipose.data.faults import FaultLog
from semipose.engine.checkpoint import CheckpointFolder
from semipose.engine.resume import find_for_all_ranks, refuse_different
from semipose.errors import DataError, SemiposeError
from semipose.runtime.ranks import by_first, gather, is_first, rank, ranks, session, shared
from semipose.runtime.signals import Interrupted, Interrupts
from semipose.tracking.tracker import Tracker, make_tracker

CFG = "experiments/demo/cotrain.yaml"
# Nothing random, and BatchNorm in eval mode: what is left of a rank's batch is its mean
SMALL = """DATASET.TEST_SET val MODEL.IMAGE_SIZE [32,48] MODEL.HEATMAP_SIZE [8,12] TRAIN.STEPS_PER_EPOCH 0 GPUS cpu
TRAIN.UNSUP_START 0.1 TRAIN.UNSUP_RAMP 0.1 MODEL.FREEZE ["*.bn?","*.stem.1","*.stem.4","*.shortcut.1"]
TRAIN.OPTIMIZER sgd TRAIN.LR 0.1 TRAIN.WARMUP_STEPS 0
TRAIN.SCHEDULE constant TRAIN.PRINT_FREQ 1 TRAIN.EVAL_INTERVAL 9 PSEUDO.TARGET heatmap PSEUDO.MIN_SCORE 0
AUGMENT.HARD_VIEWS [[]] AUGMENT.HARD.COLOR 0 TEST.BATCH_SIZE 2 TRACKING.TENSORBOARD false""".split()
for side in ("LABELED", "EASY", "HARD"):
    SMALL += f"AUGMENT.{side}.ROTATION 0 AUGMENT.{side}.SCALE 0 AUGMENT.{side}.FLIP 0".split()


class SignalToLastRank(Interrupts):
    """A SIGTERM that one rank gets before its n-th look; 0 = never."""

    def __init__(self, looks: int):
        super().__init__()
        self.looks = looks

    def check(self) -> None:
        self.looks -= 1
        if self.looks == 0 and rank() == ranks() - 1:
            os.kill(os.getpid(), signal.SIGTERM)
        super().check()


@contextmanager
def precision(double: bool) -> Iterator[None]:
    """With `double`, networks, images and sums are in float64: what is then left of a difference is not rounding."""
    to_float, default = torch.Tensor.float, torch.get_default_dtype()
    if double:
        torch.set_default_dtype(torch.float64)
        torch.Tensor.float = torch.Tensor.double
    try:
        yield
    finally:
        torch.set_default_dtype(default)
        torch.Tensor.float = to_float


def make_trainer(root, folder: Path, algorithm: str, pairs: list, looks: int = 0, step: int | None = None):
    config = load_config(CFG, {"DATASET.ROOT": str(root), "ALGORITHM": algorithm}, [*SMALL, *pairs])
    tracker = make_tracker(folder, "run", "off", False, "p", step) if is_first() else Tracker([])
    tracker.start({})
    data = assemble.build_data(config)
    return assemble.build_trainer(config, data, CheckpointFolder(folder), tracker, SignalToLastRank(looks))


def train(root, folder: Path, algorithm: str, pairs: list, looks: int = 0, double: bool = False) -> dict:
    """The state of a run at its end, its numbers in `folder`/metrics.jsonl; with `looks` stopped there and resumed."""
    with precision(double):
        trainer = make_trainer(root, folder, algorithm, pairs, looks)
        if looks:
            trainer = _stop_and_resume(trainer, root, folder, algorithm, pairs)
        trainer.fit()
        trainer.record.tracker.finish({})
        return trainer.state_dict()


def _stop_and_resume(trainer, root, folder: Path, algorithm: str, pairs: list):
    try:
        with trainer.interrupts:
            trainer.fit()
        raise AssertionError("was not stopped")
    except Interrupted:
        trainer.record.tracker.finish({}, 143)
    state, path = find_for_all_ranks(CheckpointFolder(folder), "auto")
    trainer = make_trainer(root, folder, algorithm, pairs, step=state["step"])
    trainer.load_state_dict(state, str(path))
    return trainer


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


def report_rows(root, folder: Path) -> list[int]:
    """Which validation persons the ranks have evaluated together, in the order of the results."""
    trainer = make_trainer(root, folder, "supervised", [])
    algorithm, (entry,) = trainer.algorithm, trainer.validate.sets.values()
    ((rows, _),) = trainer.validate.predict(entry, algorithm.predictors(), algorithm.main_predictors()).values()
    trainer.record.tracker.finish({})
    return rows.tolist()


# what each of two machines, which do not share a folder, has: the steps of its checkpoints, the oldest first
MACHINES = {
    "the same": ([4, 5], [4, 5]), "nothing": ([], []), "other steps": ([5], [6]), "only the first": ([5], []),
    "only the second": ([], [5]), "damaged on the first": ([4, 5, "damaged"], [4, 5]),
    "damaged on the second": ([4, 5], [4, 5, "damaged"]), "all damaged": ([5, "damaged"], [5]),
}  # fmt: skip


def report_resume(out: Path) -> dict[str, str]:
    """What this rank goes on from, or why not, in each case of MACHINES."""
    said, home = {}, Path.cwd()
    for name, steps in MACHINES.items():
        checkpoints = CheckpointFolder("run")
        machine = out / name / str(rank()) / "run"
        machine.mkdir(parents=True)
        os.chdir(machine.parent)  # so that the same path is another file
        for step in steps[rank()]:
            checkpoints.last.write_bytes(b"PK") if step == "damaged" else checkpoints.save_last({"step": step})
        found = attempt(lambda: find_for_all_ranks(checkpoints, "auto"))  # noqa: B023  called at once
        said[name] = found if isinstance(found, str) else f"{found[1]} of step {found[0]['step']}" if found else "none"
        os.chdir(home)
    return said


def attempt(job: Callable):
    """Its result, or the error that it raises, as text."""
    try:
        return job()
    except SemiposeError as error:
        return f"{type(error).__name__}: {error}"


def fail() -> None:
    raise DataError(f"rank {rank()} has failed")


def main(root: str, out: str, jobs: str) -> None:
    torch.set_num_threads(1)
    with session("gloo"):
        print("a line of", rank())
        for name, arguments in json.loads(jobs).items():
            state = train(root, Path(out) / name, **arguments)
            torch.save(state, Path(out) / name / f"rank{rank()}.pth")
        differing = {"SEED": "0", "TRAIN.LR": str(rank())}
        said = {
            "rows": report_rows(root, Path(out) / "rows"), "faults": report_faults(),
            "first": by_first(rank), "failed": attempt(lambda: by_first(fail)),
            "resume": report_resume(Path(out) / "machines") if ranks() == 2 else None,
            "equal": attempt(lambda: refuse_different({"SEED": "0"})),
            "other": attempt(lambda: refuse_different(differing)),
        }  # fmt: skip
        (Path(out) / f"said{rank()}.json").write_text(json.dumps(said))


if __name__ == "__main__":
    main(*sys.argv[1:])
