"""The sweep: whole, in a subprocess on small data. It goes on after a kill, and names what fails."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from statistics import fmean, stdev

import cv2
import pytest
import yaml

from semipose.errors import ConfigError

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "tools"))
from sweep_plan import Metric, read_plan  # noqa: E402
from sweep_results import Result, given_back, to_markdown  # noqa: E402
from sweep_runs import Run  # noqa: E402

SUPERVISED, COTRAIN = (str(ROOT / f"experiments/demo/{name}.yaml") for name in ("supervised", "cotrain"))
SMALL = {
    "MODEL.IMAGE_SIZE": [32, 32], "MODEL.HEATMAP_SIZE": [8, 8], "TRAIN.BATCH_SIZE": 3, "TRAIN.BATCH_SIZE_UNSUP": 4,
    "TRAIN.STEPS_PER_EPOCH": 2, "TRAIN.END_EPOCH": 2, "PSEUDO.MIN_SCORE": 0.0, "TRACKING.TENSORBOARD": False,
}  # fmt: skip


class Sweep:
    """A folder with a plan of two settings and two seeds, and the tool on it."""

    def __init__(self, folder: Path, pictures: Path):
        self.out, self.plan = folder / "out", folder / "plan.yaml"
        draw = [str(ROOT / "tools/make_demo_data.py"), "--out", str(pictures), "--size", "40"]
        self.content = {
            "seeds": [0, 1],
            "prepare": [[*draw, "--labeled", "5", "--unlabeled", "12", "--val", "6"]],
            "metrics": {"AP (%)": {"keys": ["AP"], "scale": 100}, "PCK_*": {}},
            "base": {"script": "train", "cfg": SUPERVISED, "overrides": SMALL | {"DATASET.ROOT": str(pictures)}},
            "settings": {"one": "", "two": {"title": "higher | rate", "overrides": {"TRAIN.LR": 0.004}}},
        }

    def command(self, *arguments) -> list[str]:
        self.plan.write_text(yaml.safe_dump(self.content, sort_keys=False))
        return [sys.executable, *map(str, [ROOT / "tools/sweep.py", self.plan, "--out", self.out, *arguments])]

    def run(self, *arguments) -> subprocess.CompletedProcess:
        return subprocess.run(self.command(*arguments), capture_output=True, text=True, timeout=200)

    def start(self) -> subprocess.Popen:
        """The tool in a process group of its own, while its only run is in the middle."""
        self.content["base"]["overrides"] |= {"TRAIN.STEPS_PER_EPOCH": 40, "TRAIN.PRINT_FREQ": 5}
        process = subprocess.Popen(self.command("--seeds", 0, "--only", "one"), start_new_session=True)
        record, limit = self.out / "one/seed0/metrics.jsonl", time.monotonic() + 100
        while not (record.exists() and record.read_text()):
            assert process.poll() is None and time.monotonic() < limit
            time.sleep(0.01)
        return process

    def epochs(self, setting: str, seed: int) -> list[dict]:
        lines = (self.out / setting / f"seed{seed}/metrics.jsonl").read_text().splitlines()
        return [row for row in map(json.loads, lines) if "epoch" in row]

    def rows(self) -> dict[tuple[str, int], dict]:
        with open(self.out / "results.csv", newline="") as file:
            return {(row["setting"], int(row["seed"])): row for row in csv.DictReader(file)}

    def texts(self) -> dict[str, list[str]]:
        """Title -> cells of the table in results.md."""
        lines = (self.out / "results.md").read_text().split("\n\n")[0].splitlines()
        return {cells[0]: cells[1:] for cells in ([c.strip() for c in line.split("|")[1:-1]] for line in lines)}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return tmp_path_factory.mktemp("people") / "drawn"


@pytest.fixture
def sweep(pictures, tmp_path):
    return Sweep(tmp_path, pictures)


@pytest.fixture(scope="module")
def finished(pictures, tmp_path_factory):
    """A sweep that was run: two settings with two seeds, and one setting that fails."""
    sweep = Sweep(tmp_path_factory.mktemp("finished"), pictures)
    sweep.content["settings"]["three"] = {"overrides": {"DATASET.TEST_SET": "nowhere"}}
    sweep.done = sweep.run("--jobs", 2)
    return sweep


def test_the_table_holds_mean_and_spread_of_the_runs(finished):
    for title, name in (("one", "one"), ("higher / rate", "two")):
        values = [100 * finished.epochs(name, seed)[-1]["AP"] for seed in (0, 1)]
        n, shown, other, seconds = finished.texts()[title]
        assert n == "2 of 2" and float(seconds) > 0 and other != "-"
        mean, _, spread = shown.partition(" ± ")
        assert float(mean) == pytest.approx(fmean(values), rel=1e-3)
        assert float(spread) == pytest.approx(stdev(values), rel=0.06)
        assert [float(finished.rows()[name, seed]["AP (%)"]) for seed in (0, 1)] == pytest.approx(values)
    assert (finished.out / "results.md").read_text() in finished.done.stdout
    assert cv2.imread(str(finished.out / "results.png")).std() > 0


def test_what_the_runs_warn_of_is_said_once_with_their_names(finished):
    notes = [line for line in (finished.out / "results.md").read_text().splitlines() if line.startswith("Warned in ")]
    (line,) = [line for line in notes if "TRAIN.STEPS_PER_EPOCH is 2" in line]
    assert all(f"{name}, seed {seed}" in line for name in ("one", "two") for seed in (0, 1)) and "three" not in line


def test_a_setting_that_fails_is_named_and_the_others_go_on(finished):
    assert finished.done.returncode == 1
    assert finished.texts()["three"][:2] == ["0 of 2", "-"]
    for seed in (0, 1):
        row = finished.rows()["three", seed]
        assert row["state"] == "failed" and "exit code 2" in row["fault"] and "nowhere" in row["fault"]
        assert f"three, seed {seed}: {row['fault']}" in (finished.out / "results.md").read_text()


def test_finished_runs_are_left_alone_and_a_changed_one_is_not_taken_for_finished(finished, sweep):
    shutil.copytree(finished.out, sweep.out)
    before = {path: path.stat().st_mtime_ns for path in sweep.out.rglob("last.pth")}
    sweep.content["metrics"] = ["AP", "EPE_of_nobody"]
    done = sweep.run()
    assert done.returncode == 1 and "0 of 4 runs" in done.stdout and "EPE_of_nobody" in done.stdout
    assert before == {path: path.stat().st_mtime_ns for path in sweep.out.rglob("last.pth")}
    sweep.content["settings"]["two"]["overrides"] = {"TRAIN.LR": 0.003}
    done = sweep.run("--seeds", 0)
    assert done.returncode == 1 and "1 of 2 runs" in done.stdout
    assert "TRAIN.LR" in sweep.rows()["two", 0]["fault"], "the script refuses to go on with other settings"


def test_a_file_that_was_edited_is_not_taken_for_trained(sweep, tmp_path):
    extra = tmp_path / "extra.yaml"
    extra.write_text("TRAIN: {WD: 0.1}\n")
    sweep.content["base"]["cfg"] = [SUPERVISED, str(extra)]
    only = "--seeds", 0, "--only", "one"
    assert sweep.run(*only).returncode == 0 and "0 of 2 runs" in sweep.run(*only).stdout
    extra.write_text("TRAIN: {WD: 0.2}\n")
    done = sweep.run(*only)
    assert done.returncode == 1 and "1 of 2 runs" in done.stdout and "TRAIN.WD" in sweep.rows()["one", 0]["fault"]


def test_a_stopped_sweep_saves_and_goes_on(sweep):
    process = sweep.start()
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(timeout=100) == 128 + signal.SIGINT
    assert (sweep.out / "one/seed0/last.pth").exists() and sweep.rows()["one", 0]["state"] == "not finished"
    done = sweep.run("--seeds", 0, "--only", "one")
    assert done.returncode == 0, done.stdout
    assert "resumed from" in (sweep.out / "one/seed0/run.log").read_text()
    assert [row["epoch"] for row in sweep.epochs("one", 0)] == [1, 2]
    assert sweep.rows()["one", 0]["state"] == "finished" and sweep.rows()["two", 0]["state"] == "not finished"


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the child in /proc")
def test_runs_of_a_killed_sweep_are_not_trained_twice(sweep):
    sweep.content["base"]["overrides"]["TRAIN.END_EPOCH"] = 100_000
    process = sweep.start()
    (child,) = map(int, Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split())
    process.kill()
    process.wait()
    try:
        done = sweep.run("--seeds", 0, "--only", "one")
        assert done.returncode == 1 and "another process" in sweep.rows()["one", 0]["fault"]
    finally:
        os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"colour": 1}, "'colour'"),
        ({"seeds": []}, "seeds"),
        ({"seeds": ["a"]}, "'a'"),
        ({"settings": {"one": {"epochs": 1}}}, "settings: one: unknown key 'epochs'"),
        ({"settings": {"one": {"script": "fit"}}}, "script: 'fit'"),
        ({"settings": {"one": {"flags": {"emma": 1}}}}, "flags: unknown key 'emma'"),
        ({"settings": {"one": {"flags": {"pose": "much"}}}}, "WEIGHT.LOSS_POSE"),
        ({"settings": {"one": {"overrides": {"TRAIN.RATE": 1}}}}, "TRAIN.RATE"),
        ({"settings": {"one": {"cfg": "nowhere.yaml"}}}, "nowhere.yaml"),
        ({"settings": {"../one": {}}}, "../one"),
        ({"metrics": {"AP": {"scale": "x"}}}, "metrics: AP: scale: 'x'"),
        ({"base": {"script": "train"}}, "cfg"),
        ({"prepare": "tools/make_demo_data.py"}, "prepare"),
        ({"settings": {"one": {"title": ["a"]}}}, "title"),
        ({"settings": {"one": {"gap": {"supervised": "one"}}}}, "all_labels"),
        ({"settings": {"one": {"gap": {"supervised": "one", "all_labels": "two"}}}}, "gap: all_labels: there is no"),
    ],
)
def test_a_bad_plan_is_refused_in_one_line(sweep, change, named):
    sweep.plan.write_text(yaml.safe_dump(sweep.content | change))
    with pytest.raises(ConfigError) as error:
        read_plan(sweep.plan)
    assert str(sweep.plan) in str(error.value) and named in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "arguments", "named"),
    [({"colour": 1}, (), "colour"), ({}, ("--only", "three"), "three"), ({}, ("--jobs", 0), "--jobs")],
)
def test_mistakes_end_with_exit_code_2_and_one_line(sweep, change, arguments, named):
    sweep.content |= change
    done = sweep.run(*arguments)
    assert done.returncode == 2 and named in done.stderr and len(done.stderr.splitlines()) == 1
    assert not sweep.out.exists()


def test_a_setting_is_the_base_with_its_own_differences(sweep):
    sweep.content["base"]["flags"] = {"workers": 1}
    own = {"script": "cotrain1", "cfg": [COTRAIN], "flags": {"ema": 1}, "overrides": {"DATASET.ROOT": "data/s{seed}"}}
    sweep.content["settings"]["three"] = own
    sweep.command()
    one, _, three = read_plan(sweep.plan).settings
    assert (one.script, one.files, one.flags, one.title) == ("train", [SUPERVISED], {"workers": "1"}, "one")
    assert (three.script, three.files, three.flags) == ("cotrain1", [COTRAIN], {"workers": "1", "ema": "1"})
    pairs = three.pairs(7)
    assert pairs[-2:] == ["DATASET.ROOT", "data/s7"] and len(pairs) == 2 * (len(SMALL) + 1)


def test_the_table_has_the_share_of_the_gap_that_each_setting_gives_back(sweep):
    sweep.content["base"]["gap"] = {"supervised": "few", "all_labels": "all"}
    sweep.content["settings"] = {"few": {}, "pool": {}, "all": {}, "few_2": {"gap": {"supervised": "few_2"}}}
    sweep.command()
    plan = read_plan(sweep.plan)
    found = {"few": (10, 14), "pool": (17, 21, 99), "all": (20, 24), "few_2": (15, 15)}  # of seeds 0, 1 and 2
    results = [
        Result(Run(setting, seed, sweep.out), "finished", {"AP (%)": value}, 1.0, "")
        for setting in plan.settings
        for seed, value in enumerate(found[setting.name])
    ]
    back = dict(zip(found, (given_back(plan, results, setting, plan.metrics[0]) for setting in plan.settings)))
    assert back == {"few": "0", "pool": "70", "all": "100", "few_2": "0"}
    head, _, *rows = to_markdown(plan, results).split("\n\n")[0].splitlines()
    column = [cell.strip() for cell in head.split("|")].index("% of the gap in AP (%)")
    assert [row.split("|")[column].strip() for row in rows] == [*back.values()]
    assert given_back(plan, results[:5], plan.settings[1], plan.metrics[0]) == "-"
    error = Metric("AP (%)", ["EPE"])  # the same numbers as an error: all labels are worse
    assert given_back(plan, results, plan.settings[1], error) == "-"


def test_a_plan_without_a_gap_has_no_such_column(finished):
    assert "gap" not in (finished.out / "results.md").read_text()


def test_the_first_pattern_that_fits_counts_and_what_it_finds_is_averaged():
    metric = Metric("single", ["AP_ema*", "AP_student"], scale=100)
    older, newer = {"AP_ema_first": 0.9, "AP_student": 0.9}, {"AP_ema_first": 0.2, "AP_ema_second": 0.4, "AP": 0.1}
    assert metric.of([older, newer]) == pytest.approx(30)
    assert metric.of([{"AP_student": 0.1, "AP": 0.9}, {"lr": 1}]) == pytest.approx(10)
    assert metric.of([{"AP_student": None, "AP": 0.9}]) is None


@pytest.mark.parametrize("name", ["demo", "mouse", "codecs", "lsp", "lsp_counts", "lsp_parts", "few_labels"])
def test_the_plans_of_the_repository_can_be_read(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    plan = read_plan(Path(f"experiments/sweeps/{name}.yaml"))
    assert len(plan.seeds) >= 2 or name in ("lsp_counts", "lsp_parts")
    distinct = {(s.script, *s.files, *s.flags.items(), *s.pairs(0)) for s in plan.settings}
    assert len(distinct) == len(plan.settings)
