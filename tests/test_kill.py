"""Real signals to a real run: nothing is lost, and the numbers are those of the run that was not disturbed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from semipose.data.drawn_people import write_demo_data

ROOT = Path(__file__).resolve().parent.parent
SMALL = """MODEL.IMAGE_SIZE [32,32] MODEL.HEATMAP_SIZE [8,8] TRAIN.BATCH_SIZE 3 TRAIN.BATCH_SIZE_UNSUP 4
TRAIN.STEPS_PER_EPOCH 30 TRAIN.END_EPOCH 4 TRAIN.PRINT_FREQ 10 PSEUDO.MIN_SCORE 0 TRACKING.TENSORBOARD false""".split()


@pytest.fixture(scope="module")
def data_root(tmp_path_factory):
    root = tmp_path_factory.mktemp("people")
    write_demo_data(str(root), labeled=5, unlabeled=12, val=6, size=40, seed=0)
    return root


def start(data_root, out, *arguments: str, workers: str = "0") -> subprocess.Popen:
    script = [sys.executable, str(ROOT / "pose_estimation/cotrain1.py"), "--cfg"]
    where = [str(ROOT / "experiments/demo/cotrain.yaml"), "--output-dir", str(out), "--name", "run"]
    pairs = ["--workers", workers, "DATASET.ROOT", str(data_root), *SMALL]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen([*script, *where, *arguments, *pairs], stderr=subprocess.PIPE, text=True, env=environment)


def rows(out) -> list[dict]:
    path = out / "run/metrics.jsonl"
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def wait_for_step(process, out, step: int) -> None:
    limit = time.monotonic() + 90
    while not any(row["step"] >= step for row in rows(out)):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < limit, "the run does not come on"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def undisturbed(data_root, tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed")
    process = start(data_root, out)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return rows(out)


@pytest.mark.parametrize(
    ("number", "code", "workers"),
    [(signal.SIGKILL, -9, "0"), (signal.SIGTERM, 143, "0"), (signal.SIGINT, 130, "2")],
    ids=["kill -9", "SIGTERM", "SIGINT with workers"],
)
def test_resume_after_a_signal(data_root, tmp_path, undisturbed, number, code, workers):
    process = start(data_root, tmp_path, workers=workers)
    wait_for_step(process, tmp_path, 40)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert "Traceback" not in err
    resumed = start(data_root, tmp_path, "--resume", "auto", workers=workers)
    _, err = resumed.communicate(timeout=120)
    assert resumed.returncode == 0, err
    assert rows(tmp_path) == undisturbed
