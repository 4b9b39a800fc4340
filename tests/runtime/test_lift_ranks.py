"""A run that lifts, of two ranks: both take part in the evaluation, and it goes on exactly after a stop."""

import json
import signal

import torch
from forked_ranks import ROOT
from run_folder import rows

from semipose.lifting.figure_data import write_figures
from semipose.skeletons import get_skeleton

SMALL = """LIFT.CHANNELS 8 LIFT.FRAMES 3 TRAIN.BATCH_SIZE 4 TRAIN.BATCH_SIZE_UNSUP 4 TRAIN.END_EPOCH 2
TRAIN.STEPS_PER_EPOCH 3 TRAIN.PRINT_FREQ 1 TRAIN.UNSUP_START 0 TRAIN.UNSUP_RAMP 0 TEST.BATCH_SIZE 8
TRACKING.TENSORBOARD false""".split()


def train(forked, root, out, disturbance: str = "") -> tuple[int, str]:
    out.mkdir(exist_ok=True)
    cfg = ["--cfg", str(ROOT / "experiments/lift/figures.yaml"), "--resume", "auto", "--gpus", "cpu"]
    words = [*cfg, "--output-dir", str(out), "--name", "run", "DATASET.ROOT", str(root), *SMALL]
    return forked.run(out / "log", 2, "script", [disturbance, *words])


def test_two_ranks_lift_and_go_on_exactly(forked, tmp_path):
    root = tmp_path / "figures"
    write_figures(root, get_skeleton("h36m"), labeled=1, unlabeled=2, val=1, frames=20, seed=0)
    code, errors = train(forked, root, tmp_path / "whole")
    assert code == 0, errors
    expected = rows(tmp_path / "whole" / "run")
    assert [row["epoch"] for row in expected if "MPJPE" in row] == [1, 2]
    assert len(torch.load(tmp_path / "whole" / "run" / "last.pth", weights_only=True)["other_ranks"]) == 1
    stopped = tmp_path / "stopped"
    code, errors = train(forked, root, stopped, json.dumps(["training", 4, 1, "rank", signal.SIGTERM]))
    assert code != 0 and "disturbed" in errors
    code, errors = train(forked, root, stopped)
    assert code == 0, errors
    assert rows(stopped / "run") == expected
