import json
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def runs(tmp_path):
    for name, factor in (("supervised", 0.1), ("cotrain", 0.2)):
        rows = [{"step": n, "loss_pose": factor / n} for n in (1, 2, 3, 4)]
        rows += [{"epoch": n, "step": 2 * n, "AP": factor * n, "val 2/AP": -1 if n == 1 else 0.3} for n in (1, 2)]
        (tmp_path / name).mkdir()
        text = "".join(json.dumps(row) + "\n" for row in rows) + '{"epoch": 3, "st'
        (tmp_path / name / "metrics.jsonl").write_text(text)
    return [tmp_path / "supervised", tmp_path / "cotrain"]


def plot(*arguments) -> subprocess.CompletedProcess:
    command = [sys.executable, str(ROOT / "tools/plot_runs.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def test_two_runs_in_one_picture(runs, tmp_path):
    out = tmp_path / "plot.png"
    done = plot(*runs, "--metric", "AP", "--out", out)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "supervised: 2 values, smallest 0.1, largest 0.2, last 0.2",
        "cotrain: 2 values, smallest 0.2, largest 0.4, last 0.4",
        str(out),
    ]
    picture = cv2.imread(str(out))
    assert picture.shape == (600, 960, 3) and picture.std() > 0


def test_numbers_of_steps_as_svg(runs, tmp_path):
    done = plot(*runs, "--metric", "loss_pose", "--out", tmp_path / "plot.svg")
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "plot.svg").read_text()
    assert all(f">{name}</text>" in text for name in ("supervised", "cotrain", "step", "loss_pose"))


def test_what_is_not_defined_is_left_out(runs, tmp_path):
    done = plot(runs[0], "--metric", "val 2/AP", "--out", tmp_path / "plot.svg")
    assert "supervised: 1 values, smallest 0.3, largest 0.3, last 0.3" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["cotrain", "nowhere"], "nowhere: holds no metrics.jsonl"),
        (["cotrain", "--metric", "PCK"], "no metric 'PCK'; it has: AP, loss_pose, val 2/AP"),
        (["cotrain", "--out", "plot.jpg"], "must end with .png or .svg"),
        (["cotrain", "--out", "nowhere/plot.png"], "cannot write"),
    ],
)
def test_mistakes_are_one_line(runs, tmp_path, monkeypatch, arguments, told):
    monkeypatch.chdir(tmp_path)
    done = plot(*arguments)
    assert done.returncode == 2
    assert told in done.stderr and done.stderr.startswith("error: ") and len(done.stderr.splitlines()) == 1
