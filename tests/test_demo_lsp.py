"""semipose demo lsp: from a set as downloaded to summary and report; and the table of the demos."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from semipose.evaluation.given_back import share_given_back
from semipose.jobs import demo_lsp
from semipose.jobs.demo_runs import Training, given_back, last_scores, rows_of, table

SMALL = """MODEL.BACKBONE light_unet MODEL.IMAGE_SIZE [32,32] TRAIN.BATCH_SIZE 3 TRAIN.BATCH_SIZE_UNSUP 4
TRAIN.STEPS_PER_EPOCH 2 TRAIN.END_EPOCH 1 TRAIN.WARMUP_STEPS 0 PSEUDO.MIN_SCORE 0 TRACKING.TENSORBOARD false""".split()


@pytest.fixture(scope="module")
def downloaded(tmp_path_factory):
    """20 pictures of 20 scenes, and a weight file of a backbone."""
    root = tmp_path_factory.mktemp("lspet")
    (root / "images").mkdir()
    random = np.random.default_rng(0)
    joints = np.concatenate([random.uniform(10, 70, (20, 14, 2)), np.ones((20, 14, 1))], axis=2)
    savemat(root / "joints.mat", {"joints": joints.transpose(1, 2, 0)})
    for number in range(1, 21):
        patches = random.integers(0, 255, (4, 4, 3), np.uint8)
        Image.fromarray(patches).resize((90, 80)).save(root / f"images/im{number:05d}.jpg")
    return root


def run_demo(downloaded, folder) -> dict[str, Path]:
    """The demo with 4 labels and all labels; returns the folders of its runs."""
    places = ["--out", str(folder / "out"), "--data", str(folder / "data")]
    words = ["--root", str(downloaded), "--labels", "4", "--val", "6", "--seed", "1", "--all-labels", *places]
    assert demo_lsp.main([*words, *SMALL, "MODEL.PRETRAINED", ""]) == 0
    return {name: folder / "out/4-seed1" / name for name in ("supervised", "cotrain", "all_labels")}


def test_from_the_download_to_the_summary(downloaded, tmp_path, capfd):
    runs = run_demo(downloaded, tmp_path)
    summary = json.loads((tmp_path / "out/summary.json").read_text())
    assert (summary["labeled"], summary["unlabeled"], summary["seed"], summary["steps"]) == (4, 10, 1, 2)
    assert {"AP", "PCK"} == summary["supervised"].keys() == summary["all_labels"].keys() == summary["given_back"].keys()
    ends = summary["cotrain"]["PCK_ensemble"], summary["supervised"]["PCK"], summary["all_labels"]["PCK"]
    assert summary["given_back"]["PCK"] == pytest.approx(share_given_back(*ends))
    assert (tmp_path / "out/report.html").stat().st_size > 10_000
    assert "labelled         14 persons" in (runs["all_labels"] / "run.log").read_text()
    told = capfd.readouterr().out
    assert "Supervised, 4 labels" in told and "Supervised, all 14 labels" in told


@pytest.mark.slow
def test_started_again_it_trains_what_is_missing(downloaded, tmp_path):
    runs = run_demo(downloaded, tmp_path)
    before = {name: (run / "metrics.jsonl").read_text() for name, run in runs.items()}
    shutil.rmtree(runs["all_labels"])
    run_demo(downloaded, tmp_path)
    after = {name: (run / "metrics.jsonl").read_text() for name, run in runs.items()}
    assert after["supervised"] == before["supervised"] and after["cotrain"] == before["cotrain"]
    assert last_scores(runs["all_labels"])["step"] == 2


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--weights", "nowhere.pth"], "nowhere.pth"),
        (["--labels", "15", "--val", "6"], "train 15"),
        (["--root", "nowhere"], "nowhere/joints.mat"),
    ],
)
def test_mistakes_are_one_line(downloaded, tmp_path, capsys, words, told):
    places = ["--out", str(tmp_path / "out"), "--data", str(tmp_path / "data")]
    assert demo_lsp.main(["--root", str(downloaded), *places, *words]) == 2
    error = capsys.readouterr().err
    assert told in error and error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_the_table_says_how_much_of_the_gap_each_network_gives_back():
    few, all_labels = {"AP": 0.1, "PCK": 0.3}, {"AP": 0.2, "PCK": 0.3}
    both = {"AP": 0.18, "PCK": 0.5, "AP_first": 0.15, "PCK_first": 0.4, "AP_ensemble": 0.18, "PCK_ensemble": 0.5}
    found = {"supervised": few, "cotrain": both, "all_labels": all_labels}
    rows = [row for name in found for row in rows_of(Training(name, name, "train", ""), found[name])]
    assert [row.network for row in rows] == ["", "first", "ensemble", ""]
    back = given_back(rows)
    assert [share["AP"] for share in back] == pytest.approx([0, 50, 80, 100])
    assert [share["PCK"] for share in back] == [None] * 4  # all labels gain nothing
    lines = [line.split() for line in table(rows, back, "PCK@0.2").splitlines()]
    assert lines[3] == ["cotrain,", "ensemble", "18.0", "50.0", "80", "-"]
    assert given_back(rows[:3]) == []
    assert len(table(rows[:3], [], "PCK@0.2").splitlines()[1].split()) == 3


def test_share_of_an_error_that_falls():
    assert share_given_back(method=14, supervised=20, all_labels=10, lower_is_better=True) == pytest.approx(60)


def test_there_is_no_share_where_all_labels_are_worse():
    assert share_given_back(method=28, supervised=30, all_labels=29) is None
    assert share_given_back(method=32, supervised=30, all_labels=31, lower_is_better=True) is None
