"""Signals to whole runs, at a chosen moment of training, evaluation, scoring and saving: saved each time, nobody left.

Each trial is a fork of one process that has imported everything, and a session of its own, so that the signal reaches
the loader processes as well, as that of a terminal or a scheduler does.
"""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SMALL = """MODEL.IMAGE_SIZE [32,32] MODEL.HEATMAP_SIZE [8,8] TRAIN.BATCH_SIZE 3 TRAIN.BATCH_SIZE_UNSUP 4
TRAIN.STEPS_PER_EPOCH 2 TRAIN.END_EPOCH 4 TEST.BATCH_SIZE 3 TRACKING.TENSORBOARD false""".split()

TRIALS = """
import json, os, random, signal, sys, time
from semipose import cli, runs  # runs: all that a fork would have to import
from semipose.engine import checkpoint
from semipose.engine.checkpoint import CheckpointFolder
from semipose.engine.trainer import Trainer
from semipose.evaluation import validation as validate

out, first, last, command = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
PLACES = {  # what is called in each stage, and how often before the last epoch, at least
    "training": (Trainer, "_learn", 6), "evaluation": (validate, "predict_output", 24),
    "scoring": (validate, "score", 15), "saving": (checkpoint, "_check_plain", 3),
}

def signal_in(stage, count, number):
    owner, name, _ = PLACES[stage]
    original, calls = getattr(owner, name), [0]

    def disturbed(*arguments, **options):
        top = stage != "saving" or arguments[1] == "state"  # it calls itself for each part
        calls[0] += top
        if top and calls[0] == count:
            os.killpg(0, number)
            time.sleep(0.05)
        return original(*arguments, **options)

    setattr(owner, name, disturbed)

def alive_in(session):
    found = []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            fields = open(f"/proc/{entry}/stat").read().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(int(entry))
    return found

def wait_for_none(session):
    limit = time.monotonic() + 10
    while (found := alive_in(session)) and time.monotonic() < limit:
        time.sleep(0.05)
    return found

for trial in range(first, last):
    draw = random.Random(trial)
    stage, number = list(PLACES)[trial % 4], SIGNALS[trial % 3]
    count, workers = draw.randint(1, PLACES[stage][2]), str(draw.choice((0, 1)))
    print("", end="", flush=True)
    child = os.fork()
    if child == 0:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(os.open(f"{out}/err{trial}", os.O_WRONLY | os.O_CREAT), 2)
        signal_in(stage, count, number)
        sys.argv = ["cotrain1.py", "--name", f"run{trial}", "--workers", workers, *command]
        cli.cotrain1()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    found = CheckpointFolder(f"{out}/run{trial}").find_resume("auto")
    step = found and (found[0]["step"], found[1].name)
    told = open(f"{out}/err{trial}").read()
    print(json.dumps({
        "stage": stage, "count": count, "signal": int(number), "workers": workers, "code": code, "saved": step,
        "left": wait_for_none(child), "told": told,
    }), flush=True)
"""
EXITS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGUSR1: 138}
# steps that are done at the n-th call: an epoch has 2, then 2 evaluation batches of 4 networks, 5 scores, 1 or 2 saves
STEPS = {
    "training": lambda n: n, "evaluation": lambda n: 2 * -(-n // 8), "scoring": lambda n: 2 * -(-n // 5),
    "saving": lambda n: 2 * -(-n // 2),
}  # fmt: skip


@pytest.mark.parametrize(
    ("first", "last"),
    [pytest.param(0, 4, marks=pytest.mark.promise("R4", trials=4)),
     pytest.param(4, 40, marks=[pytest.mark.slow, pytest.mark.promise("R4", trials=36)])],
)  # fmt: skip
def test_a_signal_at_any_stage_saves_and_leaves_nobody(data_root, tmp_path, first, last):
    arguments = ["--cfg", str(ROOT / "experiments/demo/cotrain.yaml"), "--output-dir", str(tmp_path)]
    command = [sys.executable, "-c", TRIALS, str(tmp_path), str(first), str(last), *arguments]
    done = subprocess.run(
        [*command, *SMALL, "DATASET.ROOT", str(data_root)], capture_output=True, text=True, timeout=60 + 30 * last
    )
    assert done.returncode == 0, done.stderr
    trials = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(trials) == last - first
    for trial in trials:
        shown = json.dumps(trial, indent=1)
        assert trial["code"] == 128 + trial["signal"] == EXITS[trial["signal"]], shown
        assert trial["left"] == [], shown
        assert "interrupted and saved" in trial["told"] and "Traceback" not in trial["told"], shown
        step, file = trial["saved"]
        at_least = STEPS[trial["stage"]](trial["count"])
        # a signal after the last look of an evaluation is seen at the next step
        late = {"training": 0, "evaluation": 1, "scoring": 1, "saving": 5}[trial["stage"]]
        assert file == "last.pth" and at_least <= step <= at_least + late, shown
