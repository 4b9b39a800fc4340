"""Runs of two ranks that are stopped by signals, or lose a rank, at chosen moments."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from forked_ranks import ENVIRONMENT, ROOT
from run_folder import rows

from semipose.prepare.drawn_people import write_demo_data

SMALL = """MODEL.IMAGE_SIZE [32,48] MODEL.HEATMAP_SIZE [8,12] TRAIN.BATCH_SIZE 2 TRAIN.BATCH_SIZE_UNSUP 3
TRAIN.STEPS_PER_EPOCH 4 TRAIN.END_EPOCH 3 TRAIN.PRINT_FREQ 1 PSEUDO.MIN_SCORE 0 TEST.BATCH_SIZE 2
TRACKING.TENSORBOARD false""".split()
# runs that are signalled from outside, while they go on
LONGER = ["TRAIN.STEPS_PER_EPOCH", "8", "TRAIN.END_EPOCH", "4"]


@pytest.fixture(scope="module")
def data_root(tmp_path_factory):
    root = tmp_path_factory.mktemp("people")
    write_demo_data(str(root), labeled=7, unlabeled=23, val=7, size=48, seed=0)
    return root


def arguments(data_root, *more: str, pairs=()) -> list[str]:
    cfg = ["--cfg", str(ROOT / "experiments/demo/cotrain.yaml")]
    return [*cfg, *more, "DATASET.ROOT", str(data_root), *SMALL, *pairs]


def train(forked, data_root, out: Path, disturbance: str = "", restarts: int = 0, pairs=()) -> tuple[int, str]:
    more = ["--output-dir", str(out), "--name", "run", "--gpus", "cpu", "--resume", "auto"]
    command = [disturbance, *arguments(data_root, *more, pairs=pairs)]
    return forked.run(out / "log", 2, "script", command, restarts)


@pytest.fixture(scope="module")
def undisturbed(forked, data_root, tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed")
    code, errors = train(forked, data_root, out)
    assert code == 0, errors
    assert len(rows(out / "run")) > 12
    return rows(out / "run")


@pytest.mark.slow
def test_only_the_first_rank_writes(forked, data_root, tmp_path):
    code, errors = train(forked, data_root, tmp_path, pairs=["TRAIN.END_EPOCH", "1"])
    assert code == 0 and {"last.pth", "best.pth"} <= {path.name for path in (tmp_path / "run").iterdir()}
    assert errors == ""


# stage, which call of it, on which rank, to whom the signal is sent, and which. A run has 12 steps and 3 epochs; in
# each a rank evaluates 2 batches with 4 networks. The first epoch ends with 3 new files, the others with 2.
STOPS = [
    ("training", 1, 0, "rank", signal.SIGTERM), ("training", 6, 1, "rank", signal.SIGTERM),
    ("training", 7, 0, "agent", signal.SIGTERM), ("training", 11, 1, "agent", signal.SIGINT),
    ("evaluation", 2, 0, "agent", signal.SIGTERM), ("evaluation", 9, 1, "rank", signal.SIGUSR1),
    ("saving", 2, 0, "rank", signal.SIGTERM), ("saving", 3, 0, "agent", signal.SIGUSR1),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("stop", STOPS, ids=lambda stop: "-".join(map(str, stop)))
@pytest.mark.promise("R5")
def test_a_stop_of_any_process_saves_all_ranks_at_one_step(forked, data_root, undisturbed, tmp_path, stop):
    code, errors = train(forked, data_root, tmp_path, json.dumps(stop))
    assert f"disturbed in {stop[0]}" in errors
    assert code == 128 + stop[-1], errors
    assert errors.count("interrupted and saved") == 1
    code, errors = train(forked, data_root, tmp_path)
    assert code == 0, errors
    assert rows(tmp_path / "run") == undisturbed


# the first one before there is a checkpoint
CRASHES = [
    ("training", 2, 0, "rank", signal.SIGKILL), ("training", 7, 0, "rank", signal.SIGKILL),
    ("training", 7, 1, "rank", signal.SIGABRT), ("training", 12, 1, "rank", signal.SIGKILL),
    ("evaluation", 9, 0, "rank", signal.SIGKILL), ("evaluation", 11, 1, "rank", signal.SIGKILL),
    ("saving", 4, 0, "rank", signal.SIGKILL), ("saving", 5, 0, "rank", signal.SIGKILL),
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("crash", CRASHES, ids=lambda crash: "-".join(map(str, crash)))
@pytest.mark.promise("R6")
def test_a_restart_after_a_crash_ends_as_if_there_had_been_none(forked, data_root, undisturbed, tmp_path, crash):
    code, errors = train(forked, data_root, tmp_path, json.dumps(crash), restarts=1)
    assert f"rank {crash[2]} disturbed in {crash[0]}" in errors
    assert code == 0, errors
    assert rows(tmp_path / "run") == undisturbed


@pytest.mark.slow
@pytest.mark.promise("R6")
def test_a_crash_without_restart_ends_the_run_with_the_rank(forked, data_root, tmp_path):
    code, errors = train(forked, data_root, tmp_path, json.dumps(CRASHES[2]))
    assert code == 128 + signal.SIGABRT and "error: rank 1 was ended by SIGABRT" in errors


def start(data_root, out: Path, *more: str, torchrun: bool = False) -> subprocess.Popen:
    """A longer run in processes of its own, by `--gpus` or by torchrun."""
    ranks = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", "--max-restarts", "1"]
    where = ["--output-dir", str(out), "--name", "run", "--gpus", "cpu" if torchrun else "cpu,cpu", *more]
    command = [sys.executable, *(ranks if torchrun else []), str(ROOT / "pose_estimation/cotrain1.py")]
    return subprocess.Popen(
        [*command, *arguments(data_root, *where, pairs=LONGER)], stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
    )


def finish(process, seconds: float = 300) -> str:
    """Standard error of a process that ends in time, or is ended with its children."""
    try:
        return process.communicate(timeout=seconds)[1]
    except subprocess.TimeoutExpired:
        process.terminate()  # the agent ends its children
        raise


def wait_for_step(process, out: Path, step: int) -> None:
    path, limit = out / "run/metrics.jsonl", time.monotonic() + 120
    while not (path.exists() and f'"step": {step},' in path.read_text()):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < limit, "the run does not come on"
        time.sleep(0.02)


def child(process, rank: int) -> int:
    """Process id of a rank."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return int(next(pid for pid in children if f"\0RANK={rank}\0" in Path(f"/proc/{pid}/environ").read_text()))


@pytest.fixture(scope="module")
def longer(data_root, tmp_path_factory):
    out = tmp_path_factory.mktemp("longer")
    process = start(data_root, out)
    errors = finish(process)
    assert process.returncode == 0, errors
    return out


@pytest.mark.slow
@pytest.mark.parametrize(("to", "torchrun", "code"), [("agent", False, 143), (1, False, 143), (0, True, 1)])
@pytest.mark.promise("R5")
def test_a_stopped_run_is_saved_and_goes_on(data_root, longer, tmp_path, to, torchrun, code):
    process = start(data_root, tmp_path, torchrun=torchrun)
    wait_for_step(process, tmp_path, 10)
    os.kill(process.pid if to == "agent" else child(process, to), signal.SIGTERM)
    errors = finish(process, 60)
    assert process.returncode == code, errors
    assert errors.count("interrupted and saved") == 1
    assert torchrun or "Traceback" not in errors
    resumed = start(data_root, tmp_path, "--resume", "auto")
    errors = finish(resumed)
    assert resumed.returncode == 0, errors
    assert rows(tmp_path / "run") == rows(longer / "run")


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.promise("R6")
def test_a_rank_that_dies_ends_the_run_with_its_name(data_root, tmp_path, rank):
    process = start(data_root, tmp_path)
    wait_for_step(process, tmp_path, 10)
    os.kill(child(process, rank), signal.SIGKILL)
    errors = finish(process, 60)
    assert process.returncode == 137, errors
    assert f"error: rank {rank} was ended by SIGKILL" in errors and "Traceback" not in errors


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.promise("R6")
def test_torchrun_restarts_after_a_crash(data_root, longer, tmp_path, rank):
    process = start(data_root, tmp_path, "--resume", "auto", torchrun=True)
    wait_for_step(process, tmp_path, 10)
    os.kill(child(process, rank), signal.SIGKILL)
    errors = finish(process)
    assert process.returncode == 0, errors
    assert rows(tmp_path / "run") == rows(longer / "run")


@pytest.mark.slow
def test_valid_gives_the_numbers_of_one_process(data_root, longer, tmp_path):
    found = []
    for gpus in ("cpu", "cpu,cpu"):
        out = tmp_path / f"{gpus}.json"
        more = ["--checkpoint", str(longer / "run/last.pth"), "--out", str(out), "--gpus", gpus]
        command = [sys.executable, str(ROOT / "pose_estimation/valid.py"), *arguments(data_root, *more)]
        done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert len(re.findall("^ensemble", done.stdout, re.MULTILINE)) == 1
        (results,) = tmp_path.glob(f"{gpus}.*.results.json")
        found.append((json.loads(out.read_text()), json.loads(results.read_text()), done.stdout))
    assert found[0] == found[1]
