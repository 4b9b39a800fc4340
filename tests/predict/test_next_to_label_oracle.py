"""An oracle that knows all labels: what `semipose label` chooses is more wrong than what anybody would draw by lot."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from semipose import load_model
from semipose.data.formats import read_coco
from semipose.prepare.drawn_people import write_demo_data
from semipose.skeletons import COCO

CFG = Path(__file__).resolve().parents[2] / "experiments/demo/cotrain.yaml"


def semipose(*words) -> None:
    subprocess.run([sys.executable, "-m", "semipose", *map(str, words)], check=True)


def true_errors(run: Path, data: Path) -> dict[str, float]:
    """By the name of a picture, the mean distance of the predicted from the hidden joints, in pixels."""
    persons = read_coco(str(data / "annotations/person_keypoints_unlabeled.json"), str(data / "images/unlabeled"), COCO)
    assert len(persons) == len(persons.image_paths)
    paths, boxes = [persons.path(row) for row in range(len(persons))], list(persons.boxes[:, None])
    found = np.stack([people.keypoints[0] for people in load_model(run, device="cpu")(paths, boxes=boxes)])
    labelled = persons.keypoints[..., 2] > 0
    distances = np.linalg.norm(found - persons.keypoints[..., :2], axis=-1)
    errors = np.where(labelled, distances, 0).sum(axis=1) / labelled.sum(axis=1)
    return dict(zip(map(os.path.basename, paths), errors))


@pytest.mark.slow
def test_chosen_people_are_at_least_twice_as_wrong_as_the_others(tmp_path):
    data, run = tmp_path / "data", tmp_path / "run"
    write_demo_data(data, labeled=40, unlabeled=1500, val=50, seed=1)
    short = ("TRAIN.END_EPOCH", 4, "TRAIN.EVAL_INTERVAL", 4, "DATASET.ROOT", data)
    semipose("cotrain1", "--cfg", CFG, "--name", "run", "--output-dir", tmp_path, *short)
    semipose("label", run, "--count", 20, "--out", tmp_path / "next")
    with open(tmp_path / "next/chosen.csv", newline="") as file:
        chosen = [os.path.basename(row["file"]) for row in csv.DictReader(file)]
    errors = true_errors(run, data)
    assert len(chosen) == 20 and np.mean([errors[name] for name in chosen]) >= 2 * np.mean(list(errors.values()))
