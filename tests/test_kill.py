"""Real signals to a real run: nothing is lost, and the numbers are those of the run that was not disturbed."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from run_folder import rows, same_state

from semipose.engine.checkpoint import load_checkpoint

ROOT = Path(__file__).resolve().parent.parent
SMALL = """MODEL.IMAGE_SIZE [32,32] MODEL.HEATMAP_SIZE [8,8] TRAIN.BATCH_SIZE 3 TRAIN.BATCH_SIZE_UNSUP 4
PSEUDO.MIN_SCORE 0 TRACKING.TENSORBOARD false""".split()
SHORT = "TRAIN.STEPS_PER_EPOCH 20 TRAIN.END_EPOCH 3 TRAIN.PRINT_FREQ 10".split()
LONG = """TRAIN.STEPS_PER_EPOCH 160 TRAIN.END_EPOCH 5 TRAIN.PRINT_FREQ 1 CHECKPOINT.INTERVAL_STEPS 10
REWEIGHT true""".split()


def start(data_root, out, *arguments: str, workers: str = "0", length=SHORT) -> subprocess.Popen:
    script = [sys.executable, str(ROOT / "pose_estimation/cotrain1.py"), "--cfg"]
    where = [str(ROOT / "experiments/demo/cotrain.yaml"), "--output-dir", str(out), "--name", "run"]
    pairs = ["--workers", workers, "DATASET.ROOT", str(data_root), *SMALL, *length]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen([*script, *where, *arguments, *pairs], stderr=subprocess.PIPE, text=True, env=environment)


def wait_for_step(process, out, step: int) -> None:
    limit = time.monotonic() + 90
    while not any(row["step"] >= step for row in rows(out / "run")):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < limit, "the run does not come on"
        time.sleep(0.01)


@pytest.fixture(scope="module")
def undisturbed(data_root, tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed")
    process = start(data_root, out)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return rows(out / "run")


@pytest.mark.slow
@pytest.mark.promise("R3")
@pytest.mark.parametrize(
    ("number", "code", "workers"),
    [(signal.SIGKILL, -9, "0"), (signal.SIGTERM, 143, "0"), (signal.SIGINT, 130, "2")],
    ids=["kill -9", "SIGTERM", "SIGINT with workers"],
)
def test_resume_after_a_signal(data_root, tmp_path, undisturbed, number, code, workers):
    process = start(data_root, tmp_path, workers=workers)
    wait_for_step(process, tmp_path, 30)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert "Traceback" not in err
    resumed = start(data_root, tmp_path, "--resume", "auto", workers=workers)
    _, err = resumed.communicate(timeout=120)
    assert resumed.returncode == 0, err
    assert rows(tmp_path / "run") == undisturbed


KILLS, KILLED_STEPS = 20, 500  # of the 800 steps of the run


def final_state(out) -> dict:
    """All of last.pth but the configuration, which names the folder, and what nothing draws from and nobody seeds."""
    state = load_checkpoint(out / "run/last.pth")
    del state["config"], state["rng"]["numpy"], state["rng"]["python"]
    return state


def log_of(out) -> str:
    path = out / "run/run.log"
    return path.read_text() if path.exists() else ""


def wait_until_it_trains(process, out, before: str) -> None:
    while " s a step (" not in log_of(out)[len(before) :]:
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.promise("kills", trials=KILLS)
def test_killed_at_random_moments_a_run_ends_with_the_same_bits(data_root, tmp_path):
    """A quarter of the kills comes while the run starts, the others while it trains, evaluates or saves."""
    assert start(data_root, tmp_path / "whole", length=LONG).wait(timeout=900) == 0
    out, draw, startup = tmp_path / "killed", random.Random(0), 10.0
    for kill in range(KILLS):
        before, clock = log_of(out), time.monotonic()
        process = start(data_root, out, "--resume", "auto", length=LONG)
        if kill % 4 == 1:
            time.sleep(draw.uniform(0, startup))
        else:
            wait_until_it_trains(process, out, before)
            startup = min(startup, time.monotonic() - clock)
            step = rows(out / "run")[-1]["step"]
            wait_for_step(process, out, step + int(draw.uniform(0, max(0, KILLED_STEPS - step) / (KILLS - kill))))
            time.sleep(draw.uniform(0, 0.1))
        assert process.poll() is None, f"ended by itself before kill {kill + 1}: {process.stderr.read()}"
        process.kill()
        _, err = process.communicate()
        assert process.returncode == -9 and "Traceback" not in err
    process = start(data_root, out, "--resume", "auto", length=LONG)
    _, err = process.communicate(timeout=600)
    assert process.returncode == 0, err
    whole, killed = final_state(tmp_path / "whole"), final_state(out)
    assert whole.keys() == killed.keys()
    assert [key for key in whole if not same_state(whole[key], killed[key])] == []
    assert rows(out / "run") == rows(tmp_path / "whole" / "run")
