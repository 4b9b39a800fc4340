"""Loader processes that are killed, end or hang, in a real run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from semipose.errors import DataError
from semipose.runtime.worker_faults import explain, explained_worker_faults

ROOT = Path(__file__).resolve().parents[2]
SMALL = """--gpus cpu --workers 2 MODEL.IMAGE_SIZE [32,32] MODEL.HEATMAP_SIZE [8,8] TRAIN.BATCH_SIZE 3
TRAIN.BATCH_SIZE_UNSUP 4 TRAIN.STEPS_PER_EPOCH 30 TRAIN.END_EPOCH 1 TRACKING.TENSORBOARD false""".split()

RUN = """
import os, signal, sys, time
from semipose import cli
from semipose.data import loaders
from semipose.data import person_dataset

fault, reader, sys.argv[1:] = sys.argv[1], getattr(person_dataset, sys.argv[2]), sys.argv[3:]
loaders.WORKER_TIMEOUT_S = 4
main, original = os.getpid(), reader.__getitems__
faults = {
    "killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "exits": lambda: os._exit(7),
    "hangs": lambda: time.sleep(300),
}

def read(dataset, rows):
    read.batches += 1
    if os.getpid() != main and read.batches == 3:
        faults[fault]()
    return original(dataset, rows)

read.batches = 0
reader.__getitems__ = read
cli.train()
"""


@pytest.mark.promise("R15")
@pytest.mark.parametrize(
    ("cache", "reader"), [("ram", "CachedRows"), pytest.param("none", "PersonDataset", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize(
    ("fault", "told", "remedy"),
    [("killed", "Killed", "fewer --workers"), ("exits", "exit code 7", "--workers 0"), ("hangs", "4 s", "--workers 0")],
)
def test_a_run_with_a_broken_loader_process_ends_with_the_remedy(
    data_root, tmp_path, fault, told, remedy, cache, reader
):
    arguments = ["--cfg", str(ROOT / "experiments/demo/supervised.yaml"), "--output-dir", str(tmp_path)]
    pairs = [*SMALL, "DATASET.ROOT", str(data_root), "DATASET.CACHE", cache]
    command = [sys.executable, "-c", RUN, fault, reader, *arguments, *pairs]
    # a worker that outlives the run keeps the pipe open, and this waits for ever
    done = subprocess.run(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, timeout=100,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1 and remedy in lines[0] and "--resume auto" in lines[0]
    # torch does not always learn how a worker ended: it may find it gone before the signal is handled
    assert told in lines[0] or "was killed or has ended by itself" in lines[0]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("message", "meaning"),
    [
        ("DataLoader worker (pid 7) is killed by signal: Killed. ", "was killed (Killed)"),
        ("DataLoader worker (pid 7) is killed by signal: Bus error. It is possible that ...", "--shm-size"),
        ("DataLoader worker (pid 7) exited unexpectedly with exit code 3. Details are lost ...", "(exit code 3)"),
        ("DataLoader worker (pid(s) 7, 9) exited unexpectedly", "was killed or has ended"),
        ("DataLoader timed out after 300 seconds", "for 300 s"),
    ],
)
def test_what_torch_says_is_explained(message, meaning):
    assert meaning in explain(message)
    with pytest.raises(DataError, match="--resume auto"), explained_worker_faults():
        raise RuntimeError(message)


@pytest.mark.parametrize("message", ["CUDA out of memory", "the DataLoader is odd", "killed by signal: Killed"])
def test_other_errors_stay_what_they_are(message):
    with pytest.raises(RuntimeError, match=message), explained_worker_faults():
        raise RuntimeError(message)


def test_the_message_that_says_most_counts():
    vague, exact = (
        "DataLoader worker (pid(s) 7) exited unexpectedly",
        "DataLoader worker (pid 7) is killed by signal: Killed. ",
    )
    assert "was killed (Killed)" in explain(vague, exact)
    with pytest.raises(DataError, match=r"was killed \(Killed\)"), explained_worker_faults():
        try:
            raise RuntimeError(exact)
        except RuntimeError as error:
            raise RuntimeError(vague) from error
