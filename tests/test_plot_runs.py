import json
import re
import runpy
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


@pytest.fixture
def plot(monkeypatch, capsys):
    """Exit code and the lines of standard output or, after a fault, of standard error."""

    def run(*arguments) -> tuple[int, list[str]]:
        monkeypatch.setattr(sys, "argv", ["plot_runs.py", *map(str, arguments)])
        code = 0
        try:
            runpy.run_path(str(ROOT / "tools/plot_runs.py"), run_name="__main__")
        except SystemExit as end:
            code = end.code
        printed = capsys.readouterr()
        return code, (printed.err if code else printed.out).splitlines()

    return run


def test_two_runs_in_one_picture(plot, runs, tmp_path):
    out = tmp_path / "plot.png"
    code, (supervised, cotrain, written) = plot(*runs, "--metric", "AP", "--out", out)
    assert code == 0 and written == str(out)
    assert re.findall(r"[\d.]+", supervised.partition("(%)")[2]) == ["2", "10", "20", "20"]
    assert re.findall(r"[\d.]+", cotrain.partition("(%)")[2]) == ["2", "20", "40", "40"]
    picture = cv2.imread(str(out))
    assert picture.shape == (600, 960, 3) and picture.std() > 0


@pytest.mark.parametrize(("first", "expected"), [("AP", "20"), ("EPE", "7")])
def test_the_main_metric_is_drawn(plot, tmp_path, first, expected):
    """It is the one that the run reports first."""
    values = {"EPE": {"EPE": 7.0, "AP": 0.2}, "AP": {"AP": 0.2, "EPE": 7.0}}[first]
    row = {"epoch": 1, "step": 2, f"{first}_student": 0.1} | values
    (tmp_path / "metrics.jsonl").write_text(json.dumps(row) + "\n")
    _, lines = plot(tmp_path, "--out", tmp_path / "plot.svg")
    assert re.findall(r"[\d.]+", lines[0].rpartition(":")[2]) == ["1", *[expected] * 3]
    assert f">{first}" in (tmp_path / "plot.svg").read_text()


def test_numbers_of_steps_as_svg(plot, runs, tmp_path):
    assert plot(*runs, "--metric", "loss_pose", "--out", tmp_path / "plot.svg")[0] == 0
    text = (tmp_path / "plot.svg").read_text()
    assert all(f">{name}</text>" in text for name in ("supervised", "cotrain", "step", "loss_pose"))


def test_what_is_not_defined_is_left_out(plot, runs, tmp_path):
    _, lines = plot(runs[0], "--metric", "val 2/AP", "--out", tmp_path / "plot.svg")
    assert re.findall(r"[\d.]+", lines[0].partition("(%)")[2]) == ["1", "30", "30", "30"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["cotrain", "nowhere"], "nowhere"),
        (["cotrain", "--metric", "PCK"], "'PCK'"),
        (["cotrain", "--out", "plot.jpg"], "plot.jpg"),
        (["cotrain", "--out", "nowhere/plot.png"], "nowhere/plot.png"),
    ],
)
def test_mistakes_are_one_line(plot, runs, tmp_path, monkeypatch, arguments, told):
    monkeypatch.chdir(tmp_path)
    code, lines = plot(*arguments)
    assert code == 2 and len(lines) == 1 and lines[0].startswith("error: ") and told in lines[0]
