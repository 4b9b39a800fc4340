"""Memory of a training run over its steps: main process and workers. It must not grow."""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench_annotations import children, resident
from bench_data import ROOT, Scale
from bench_turns import markdown

SMALL = """MODEL.IMAGE_SIZE [32,32] MODEL.HEATMAP_SIZE [8,8] TRAIN.BATCH_SIZE 4 TRAIN.BATCH_SIZE_UNSUP 8 WORKERS 1
TRAIN.UNSUP_START 0.0 TRAIN.UNSUP_RAMP 0.0 TRAIN.PRINT_FREQ 50 PSEUDO.MIN_SCORE 0
CHECKPOINT.INTERVAL_STEPS 30""".split()


def tables(scale: Scale) -> Iterator[str]:
    first, *rest = read_memory(scale.marks)
    rows = [(name, f"{first[name]:.1f}", *(f"{row[name]:.1f} ({row[name] - first[name]:+.1f})" for row in rest))
            for name in ("main process", "workers")]  # fmt: skip
    columns = ("MiB resident (growth)", *(f"step {step}" for step in scale.marks))
    yield markdown("Memory of a cotrain1 run on small drawn pictures, one worker for each side", columns, rows)


def read_memory(marks: tuple[int, ...]) -> list[dict[str, float]]:
    """Resident MiB at these steps of a run in a process of its own."""
    command = [sys.executable, __file__, "--marks", *map(str, marks)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()[-len(marks) :]]


def measure(marks: list[int], folder: Path) -> list[dict[str, float]]:
    """Train to the last mark; the memory at each of them."""
    from semipose import assemble
    from semipose.config import load_config
    from semipose.engine.checkpoint import CheckpointFolder
    from semipose.prepare.drawn_people import write_demo_data
    from semipose.runtime.freed_memory import keep_freed_memory
    from semipose.runtime.signals import Interrupts
    from semipose.tracking.tracker import make_tracker

    class Reader(Interrupts):
        """The trainer looks for signals after each step."""

        trainer, read = None, {}

        def check(self) -> None:
            super().check()
            if self.trainer.step in marks:
                self.read.setdefault(self.trainer.step, memory())

    keep_freed_memory()  # as the training scripts do on a CPU
    write_demo_data(str(folder / "data"), labeled=16, unlabeled=64, val=16, size=40, seed=0)
    epoch = max(1, marks[0] // 2)  # so that at the first mark all is there, the processes of the evaluation, too
    steps = ["TRAIN.STEPS_PER_EPOCH", str(epoch), "TRAIN.END_EPOCH", str(-(-marks[-1] // epoch))]
    config = load_config(
        ROOT / "experiments/demo/cotrain.yaml", {"DATASET.ROOT": str(folder / "data"), "ALGORITHM": "cotrain1"},
        [*SMALL, *steps],
    )  # fmt: skip
    tracker, reader = make_tracker(folder / "run", "run", "off", True, "p"), Reader()
    tracker.start({})
    data = assemble.build_data(config)
    reader.trainer = assemble.build_trainer(config, data, CheckpointFolder(folder / "run"), tracker, reader)
    reader.trainer.fit()
    tracker.finish({})
    reader.trainer = None  # a circle would keep the loaders to the end, and their workers outlive a SIGTERM by a minute
    return [reader.read[step] for step in marks]


def memory() -> dict[str, float]:
    return {"main process": resident(), "workers": sum(resident(child) for child in children())}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--marks", type=int, nargs="+", default=Scale().marks, help="steps (default %(default)s)")
    with tempfile.TemporaryDirectory() as folder:
        for row in measure(parser.parse_args().marks, Path(folder)):
            print(json.dumps(row))
