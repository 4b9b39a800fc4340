"""The ablation tool: whole, in a subprocess on small data, and its plans row by row."""

import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from semipose.config import flat_keys, load_config, to_plain
from semipose.errors import ConfigError
from semipose.prepare.drawn_people import write_demo_data

ROOT = Path(__file__).resolve().parent.parent
TOOL = ROOT / "tools/ablation.py"
PLANS = sorted((ROOT / "experiments/ablation").glob("*.yaml"))
SMALL = {
    "MODEL.IMAGE_SIZE": [32, 32], "MODEL.HEATMAP_SIZE": [8, 8], "TRAIN.BATCH_SIZE": 3, "TRAIN.BATCH_SIZE_UNSUP": 4,
    "TRAIN.STEPS_PER_EPOCH": 2, "TRAIN.END_EPOCH": 2, "PSEUDO.MIN_SCORE": 0.0, "TRACKING.TENSORBOARD": False,
}  # fmt: skip


@pytest.fixture
def plan_module(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    import ablation_plan

    return ablation_plan


@pytest.fixture
def table_module(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    import ablation_table

    return ablation_table


class Ablation:
    """A folder with a plan of two rows and two seeds, and the tool on it."""

    def __init__(self, folder: Path, pictures: Path):
        self.out, self.plan, self.pictures = folder / "out", folder / "plan.yaml", pictures
        draw = ["tools/make_demo_data.py", "--out", "{data}", "--labeled", 5, "--unlabeled", 12, "--val", 6]
        self.content = {
            "output": str(self.out), "seeds": [0, 1], "prepare": [[*draw, "--size", 40]],
            "common": SMALL | {"DATASET.ROOT": str(pictures)},
            "metrics": [{"name": "AP", "keys": ["AP"], "scale": 100}, {"name": "PCK", "keys": ["PCK_s*"]}],
            "rows": [
                {"name": "one", "script": "train", "cfg": "experiments/demo/supervised.yaml"},
                {"name": "two", "title": "higher rate", "base": "one", "overrides": {"TRAIN.LR": 0.004}},
            ],
        }  # fmt: skip

    def command(self, *arguments) -> list[str]:
        self.plan.write_text(yaml.safe_dump(self.content))
        return [sys.executable, *map(str, [TOOL, self.plan, "--data", self.pictures, "--jobs", 2, *arguments])]

    def run(self, *arguments) -> subprocess.CompletedProcess:
        return subprocess.run(self.command(*arguments), capture_output=True, text=True, timeout=120)

    def start(self, *arguments) -> subprocess.Popen:
        """The tool in a process group of its own, while its run `one, seed 0` is in the middle."""
        process = subprocess.Popen(self.command("--seeds", 0, "--only", "one", *arguments), start_new_session=True)
        record, limit = self.out / "one/seed0/metrics.jsonl", time.monotonic() + 60
        while not (record.exists() and record.read_text()):
            assert process.poll() is None and time.monotonic() < limit
            time.sleep(0.01)
        return process

    def epochs(self, row: str, seed: int) -> list[dict]:
        lines = (self.out / row / f"seed{seed}/metrics.jsonl").read_text().splitlines()
        return [row for row in map(json.loads, lines) if "epoch" in row]

    def table(self) -> dict:
        return json.loads((self.out / "ablation.json").read_text())


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    return tmp_path_factory.mktemp("people") / "drawn"


@pytest.fixture(scope="module")
def finished(pictures, tmp_path_factory):
    """An ablation that was run: two rows with two seeds, and a row that fails."""
    ablation = Ablation(tmp_path_factory.mktemp("finished"), pictures)
    nowhere = {"name": "three", "base": "one", "overrides": {"DATASET.TEST_SET": "nowhere"}}
    ablation.content["rows"].append(nowhere)
    ablation.done = ablation.run()
    return ablation


@pytest.fixture
def ablation(pictures, tmp_path):
    write_demo_data(str(pictures), labeled=5, unlabeled=12, val=6, size=40, seed=0)
    return Ablation(tmp_path, pictures)


def test_the_table_holds_the_numbers_of_the_runs(finished):
    table = finished.table()
    assert [row["name"] for row in table["rows"]] == ["one", "two"], finished.done.stdout
    for row in table["rows"]:
        for name, key, scale in (("AP", "AP", 100), ("PCK", "PCK_student", 1)):
            found = row["metrics"][name]
            expected = [scale * finished.epochs(row["name"], seed)[-1][key] for seed in (0, 1)]
            assert list(found["each"].values()) == pytest.approx(expected)
            assert found["mean"] == pytest.approx(sum(expected) / 2)
            assert found["spread"] == pytest.approx(abs(expected[0] - expected[1])) and found["spread_is"] == "range"
    one, two = (row["metrics"]["PCK"] for row in table["rows"])
    assert two["difference"] == pytest.approx(two["mean"] - one["mean"]) and "difference" not in one
    assert one["each"] != two["each"] and len(set(one["each"].values())) == 2
    assert all(row["seconds"] > 0 for row in table["rows"])
    text = (finished.out / "ablation.md").read_text()
    assert "| higher rate | " in text and f"| {two['mean']:.1f} |" in text and text in finished.done.stdout


def test_a_row_that_fails_is_named(finished):
    assert finished.done.returncode == 1
    lines = finished.table()["failed"]
    assert [line[:26] for line in sorted(lines)] == [f"three, seed {seed}: exit code 2" for seed in (0, 1)]
    assert all("error: " in line and "nowhere" in line for line in lines)
    assert f"Failed: {lines[0]}" in (finished.out / "ablation.md").read_text()


def test_finished_runs_are_left_alone_and_changed_ones_made_again(finished, ablation):
    shutil.copytree(finished.out, ablation.out)
    before = {name: (ablation.out / name / "seed0/last.pth").read_bytes() for name in ("one", "two")}
    ablation.content["rows"][1]["overrides"] = {"TRAIN.LR": 0.003}
    assert "seed 0 made with other settings (TRAIN.LR)" in ablation.run("--list", "--seeds", 0).stdout
    done = ablation.run("--seeds", 0)
    assert done.returncode == 0 and "1 of 2 runs to train" in done.stdout
    after = {name: (ablation.out / name / "seed0/last.pth").read_bytes() for name in ("one", "two")}
    assert after["one"] == before["one"] and after["two"] != before["two"]
    assert (ablation.out / "two/seed0.old1/last.pth").read_bytes() == before["two"]
    assert load_config(ablation.out / "two/seed0/config.yaml").TRAIN.LR == 0.003


def test_a_metric_that_no_run_has_is_named(finished, ablation):
    shutil.copytree(finished.out, ablation.out)
    ablation.content["metrics"].append({"name": "error", "keys": ["EPE"]})
    done = ablation.run("--seeds", 0, "--only", "one")
    assert done.returncode == 1
    assert "ended without the metrics of the plan" in done.stdout and "AP_student" in done.stdout


def test_a_stopped_run_saves_and_goes_on(ablation):
    ablation.content["common"] |= {"TRAIN.STEPS_PER_EPOCH": 30, "TRAIN.PRINT_FREQ": 5, "TRAIN.END_EPOCH": 3}
    process = ablation.start()
    os.killpg(process.pid, signal.SIGTERM)
    assert process.wait(timeout=60) == 128 + signal.SIGTERM
    assert ablation.table()["failed"] == [] == ablation.table()["rows"]
    seconds = json.loads((ablation.out / "one/seed0.json").read_text())["seconds"]
    done = ablation.run("--seeds", 0, "--only", "one")
    assert done.returncode == 0, done.stdout
    assert "resumed from" in (ablation.out / "one/seed0/run.log").read_text()
    assert [row["epoch"] for row in ablation.epochs("one", 0)] == [1, 2, 3]
    assert ablation.table()["rows"][0]["seconds"] > seconds > 0


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the child in /proc")
def test_runs_of_a_killed_tool_are_not_trained_twice(ablation):
    ablation.content["common"] |= {"TRAIN.STEPS_PER_EPOCH": 100_000, "TRAIN.PRINT_FREQ": 5}
    process = ablation.start()
    (child,) = map(int, Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split())
    process.kill()
    process.wait()
    try:
        done = ablation.run("--seeds", 0, "--only", "one")
        assert done.returncode == 1 and "one, seed 0: another process trains it" in done.stdout
    finally:
        os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": [{"name": "one", "script": "train"}]}, "row one"),
        ({"rows": [{"name": "one", "script": "fit", "cfg": "experiments/demo/supervised.yaml"}]}, "'fit'"),
        ({"colour": 1}, "unknown key 'colour'"),
        ({"seeds": ["a"]}, "seeds"),
        ({"common": {"TRAIN.RATE": 1}}, "row one: command line: unknown key TRAIN.RATE"),
    ],
)
def test_a_wrong_plan_is_refused_in_one_line(plan_module, ablation, change, message):
    path = ablation.plan
    path.write_text(yaml.safe_dump(ablation.content | change))
    with pytest.raises(ConfigError) as error:
        plan_module.read_plan(path)
    assert message in str(error.value) and "\n" not in str(error.value) and str(path) in str(error.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--only", "three"), "no row 'three'"),
        (("--jobs", 0), "--jobs: 0"),
    ],
)
def test_wrong_arguments_end_with_exit_code_2(ablation, arguments, message):
    done = ablation.run(*arguments)
    assert done.returncode == 2 and message in done.stderr and "Traceback" not in done.stderr


def test_bases_and_patterns(plan_module, ablation):
    ablation.content["rows"] += [{"name": "three", "base": "two", "overrides": {"TRAIN.WD": 0.1}, "against": "one"}]
    ablation.command()
    three = plan_module.read_plan(ablation.plan).rows[2]
    assert (three.script, three.against, three.title) == ("train", "one", "three")
    assert three.settings == {"TRAIN.LR": 0.004, "TRAIN.WD": 0.1} and three.overrides == {"TRAIN.WD": 0.1}
    metric = plan_module.Metric("single", ["AP_ema*", "AP_student"], scale=100)
    assert metric.of({"AP_first": 0.1, "AP_ema_first": 0.2, "AP_ema_second": 0.4}) == pytest.approx(30)
    assert metric.of({"AP_student": 0.1, "AP": 0.9}) == pytest.approx(10)
    assert metric.of({"AP_student": None, "AP": 0.9}) is None


def test_spread_and_comparison(table_module, plan_module):
    assert table_module.spread_of([1.0]) == (None, None)
    assert table_module.spread_of([1.0, 4.0]) == (3.0, "range")
    values = [1.0, 4.0, 10.0]
    assert table_module.spread_of(values) == (pytest.approx(statistics.stdev(values)), "sd")
    own = {seed: {"metrics": {"m": value}} for seed, value in ((0, 2.0), (1, 3.0), (2, 100.0))}
    other = {seed: {"metrics": {"m": value}} for seed, value in ((0, 4.0), (1, 4.0))}
    ratio = table_module._statistics(plan_module.Metric("m", ["m"], compare="ratio"), own, other)
    assert ratio["ratio"] == pytest.approx(5 / 8) and ratio["mean"] == pytest.approx(35)


@pytest.fixture(params=PLANS, ids=[path.stem for path in PLANS])
def plan(plan_module, request):
    return plan_module.read_plan(request.param)


def test_rows_differ_from_their_bases_as_they_say(plan_module, plan):
    """And each differs from every other one."""
    configs = {row.name: to_plain(plan_module.row_config(plan, row, plan.seeds[0])) for row in plan.rows}
    flat = {name: flat_keys(tree) for name, tree in configs.items()}
    for row in plan.rows:
        if row.base:
            changed = {key for key, value in flat[row.name].items() if value != flat[row.base][key]}
            base = next(other for other in plan.rows if other.name == row.base)
            other_algorithm = {"ALGORITHM"} if (row.script, row.cfg) != (base.script, base.cfg) else set()
            assert changed == set(row.overrides) | other_algorithm, row.name
    assert len({json.dumps(config, sort_keys=True) for config in configs.values()}) == len(configs)


def test_what_the_plans_promise():
    demo, mouse = (
        yaml.safe_load((ROOT / f"experiments/ablation/{name}.yaml").read_text()) for name in ("demo", "mouse")
    )
    assert len(demo["seeds"]) >= 2 and len(mouse["seeds"]) >= 3
    assert {row["name"] for row in mouse["rows"]} == {
        f"{name}_{labels}"
        for name in ("supervised", "supervised_long", "mean_teacher", "cotrain1")
        for labels in (8, 15)
    }
