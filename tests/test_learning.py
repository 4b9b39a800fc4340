"""It learns: a tiny set by heart, and (slow) more from unlabelled pictures than from labels alone."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from semipose import assemble
from semipose.config import load_config
from semipose.engine.checkpoint import CheckpointFolder
from semipose.prepare.drawn_people import write_demo_data
from semipose.runtime.signals import Interrupts
from semipose.tracking.tracker import Tracker

ROOT = Path(__file__).resolve().parent.parent


# msra rounds to heatmap pixels of 4 input pixels, and a quarter of one is all that its decoder gives back
@pytest.mark.parametrize(("codec", "median"), [("gaussian", 1.0), ("msra", 2.5)])
def test_supervised_learns_a_tiny_set_by_heart(tmp_path, codec, median):
    root = tmp_path / "people"
    write_demo_data(str(root), labeled=6, unlabeled=2, val=2, size=80, seed=0)
    still = "ROTATION 0 SCALE 0 FLIP 0".split()
    pairs = [f"AUGMENT.LABELED.{text}" if i % 2 == 0 else text for i, text in enumerate(still)]
    pairs += f"TRAIN.END_EPOCH 1 TRAIN.STEPS_PER_EPOCH 150 TRAIN.BATCH_SIZE 6 MODEL.CODEC {codec}".split()
    config = load_config(ROOT / "experiments/demo/supervised.yaml", {"DATASET.ROOT": str(root)}, pairs)
    data = assemble.build_data(config)
    trainer = assemble.build_trainer(config, data, CheckpointFolder(tmp_path), Tracker([]), Interrupts())
    trainer.fit()
    # the labelled people themselves, seen as in validation
    validator = assemble.build_validator(config, {"val": data.labeled})
    rows, people = validator.predict(validator.sets["val"], trainer.algorithm.predictors(), ("student",))["student"]
    labels = torch.from_numpy(data.labeled.keypoints[rows])
    distance = (torch.from_numpy(people.keypoints) - labels[..., :2]).norm(dim=-1)[labels[..., 2] > 0]
    assert distance.median() < median and (distance < 4).float().mean() > 0.95  # of 80 pixels


@pytest.mark.slow
def test_the_demo_gains_from_unlabelled_pictures(tmp_path):
    command = [sys.executable, ROOT / "tools/demo.py", "--out", tmp_path / "out", "--data", tmp_path / "data"]
    subprocess.run([*map(str, command), "--seed", "3"], check=True)
    summary = json.loads((tmp_path / "out/summary.json").read_text())
    assert summary["cotrain"]["AP_ensemble"] - summary["supervised"]["AP"] >= 0.08
    assert (tmp_path / "out/report.html").stat().st_size > 100_000
