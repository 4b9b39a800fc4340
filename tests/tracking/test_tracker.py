import json
import logging
import os
import struct
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from refusals import refused

from semipose.errors import ConfigError, NoSpaceError
from semipose.pseudo_labels import Difficulty, SplitReport
from semipose.tracking.console_sink import FILE_ONLY
from semipose.tracking.sinks import JsonlSink, Sink
from semipose.tracking.tracker import Tracker, make_tracker
from semipose.tracking.wandb_sink import WandbSink, has_wandb_key


@pytest.fixture(autouse=True)
def _no_account(tmp_path_factory, monkeypatch):
    """No test may find the account of whoever runs it, and none may reach the network."""
    home = tmp_path_factory.mktemp("home")
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("NETRC", str(home / "netrc"))
    monkeypatch.setenv("WANDB_ERROR_REPORTING", "false")


def tracker_of(folder, wandb_mode="off", tensorboard=False, **options) -> Tracker:
    return make_tracker(folder, "500+ema", wandb_mode, tensorboard, "semipose", **options)


def record(tracker: Tracker, steps=range(1, 5)) -> None:
    """A run of two steps an epoch."""
    for step in steps:
        tracker.log_step(step, {"loss": torch.tensor(1 / step), "lr": 0.001})
        if step % 2 == 0:
            scores = {"AP_first": 0.1 * step, "AP_ensemble": 0.125 * step, "AP": 0.125 * step}
            tracker.log_epoch(step // 2, step, scores)


def whole_run(folder, **options) -> bytes:
    tracker = tracker_of(folder, **options)
    tracker.start({"TRAIN": {"LR": 0.001}})
    record(tracker)
    tracker.finish({"best_AP": 0.5, "best_epoch": 2})
    return (folder / "metrics.jsonl").read_bytes()


def split_report(seed: int = 0, joints: int = 5) -> SplitReport:
    """Of 30 hard and 50 easy images."""
    rng = np.random.default_rng(seed)
    peaks = np.concatenate([rng.normal(0.2, 0.02, (30, joints)), rng.normal(0.8, 0.02, (50, joints))])
    report = Difficulty(joints).refit(peaks)
    assert not report.reason
    return report


NO_SPLIT = Difficulty(5).refit(np.full((20, 5), 0.01))


def picture(report: SplitReport, title: str) -> np.ndarray:
    """A chart in one colour, as high as its title is long."""
    return np.full((len(title), 7, 3), (200, 100, 50), np.uint8)


def split_run(folder, steps=(2, 4), **options) -> list[dict]:
    tracker = tracker_of(folder, draw_split=picture, **options)
    tracker.start({})
    for step in steps:
        for seed, network in enumerate(("first", "second")):
            tracker.log_split(step // 2, step, network, split_report(10 * step + seed))
        tracker.log_epoch(step // 2, step, {"AP": 0.1 * step})
    tracker.finish({})
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_a_split_in_the_metrics_file(tmp_path):
    rows, expected = split_run(tmp_path), split_report(41)
    assert [(row["step"], row.get("epoch"), "split" in row) for row in rows] == [
        (2, None, True), (2, None, True), (2, 1, False), (4, None, True), (4, None, True), (4, 2, False)
    ]  # fmt: skip
    split = rows[4]["split"]
    assert (split["epoch"], split["network"], split["count"], split["dropped"]) == (2, "second", 80, 0)
    for name in ("edges", "counts", "means", "sds", "weights"):
        assert split[name] == getattr(expected, name).tolist()
    assert sum(split["counts"]) == 80 and len(split["edges"]) == len(split["counts"]) + 1
    assert split["easy_share"] == 50 / 80 and split["reason"] == "" and split["converged"] is True


def test_an_epoch_without_split(tmp_path, capsys):
    tracker = tracker_of(tmp_path)
    tracker.start({})
    tracker.log_split(1, 2, "student", NO_SPLIT)
    tracker.finish({})
    row = json.loads((tmp_path / "metrics.jsonl").read_text())
    assert row["split"].keys() == {"epoch", "network", "count", "dropped", "reason", "edges", "counts"}
    assert "epoch 1: no easy/hard split of student: all scores are 0.05" in capsys.readouterr().out


def test_a_number_that_is_not_finite_is_null_in_lists_too(tmp_path):
    sink = JsonlSink(tmp_path / "metrics.jsonl")
    sink.start({})
    sink._write({"step": 1, "split": {"means": [1.0, float("nan")], "deeper": {"sd": float("inf")}, "counts": [3]}})
    sink.finish({}, 0)
    row = json.loads((tmp_path / "metrics.jsonl").read_text())
    assert row == {"step": 1, "split": {"means": [1.0, None], "deeper": {"sd": None}, "counts": [3]}}


@pytest.mark.parametrize("resume_step", [0, 1, 2, 3])
def test_a_split_is_not_doubled_by_a_resume(tmp_path, resume_step):
    """Also where the run stopped between the lines of an epoch, and makes all of them again."""
    undisturbed = split_run(tmp_path)
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines(keepends=True)
    for kept in range(6):
        (tmp_path / "metrics.jsonl").write_text("".join(lines[:kept]))
        assert split_run(tmp_path, resume_step=resume_step) == undisturbed


def test_what_wandb_is_told_of_a_split(tmp_path, monkeypatch):
    run = FakeRun()
    fake_wandb(monkeypatch, run)
    split_run(tmp_path, wandb_mode="offline")
    report = split_report(41)
    row = [row for row in run.rows if "split_second/scores" in row][1]
    assert (row["epoch"], row["step"], row["split_second/easy_share"]) == (2, 4, 50 / 80)
    assert [values.tolist() for values in row["split_second/scores"]] == [report.counts.tolist(), report.edges.tolist()]
    assert row["split_second/chart"].shape == (len("second, epoch 2"), 7, 3)
    assert run.metrics["split_first/*"] == run.metrics["split_second/*"] == {"step_metric": "epoch"}


@pytest.mark.parametrize("options", [{"tensorboard": True}, {"wandb_mode": "offline"}])
def test_a_chart_that_fails_switches_off_its_sink_only(tmp_path, monkeypatch, caplog, options):
    run = FakeRun()
    fake_wandb(monkeypatch, run)
    expected = split_run(tmp_path / "off")
    monkeypatch.setitem(globals(), "picture", fail)
    assert split_run(tmp_path / "broken", **options) == expected
    (warning,) = [r.message for r in caplog.records if r.levelname == "WARNING"]
    assert next(iter(options)).removesuffix("_mode") in warning and "no network" in warning


HEALTH = {
    "health_persons": 80.0, "health_kept": 0.955, "health_peak": 0.7, "health_kept/nose": 0.9, "health_peak/nose": 0.8,
    "easy_share": 0.625, "agreement_px": 1.25, "agreement_mean_px": 2.0, "agreement_within_1px": 0.4,
    "pseudo_PCK": 0.8, "pseudo_PCK_kept": 0.85, "pseudo_PCK_easy": 0.9, "pseudo_PCK_kept_easy": 0.95,
}  # fmt: skip


def test_the_console_shows_the_gist_and_the_record_all(tmp_path):
    tracker = tracker_of(tmp_path)
    tracker.start({})
    tracker.log_epoch(1, 2, {"AP_student": 0.5, "AP": 0.5} | HEALTH)
    tracker.log_epoch(2, 4, {f"{name}_first": value for name, value in HEALTH.items() if "/" not in name})
    tracker.finish({})
    log = (tmp_path / "run.log").read_text()
    kept = "95.5 % of the joints kept, 85.0 % of those right, 62.5 % of the pictures easy"
    assert f"epoch 1 pseudo-labels: {kept}" in log and f"epoch 2 pseudo-labels: {kept}" in log
    assert "epoch 1: student: AP 50.0 %" in log and "health_peak" not in log and "90.0" not in log
    row = json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[0])
    assert row == {"epoch": 1, "step": 2, "AP_student": 0.5, "AP": 0.5} | HEALTH


@pytest.mark.parametrize("resume_step", [0, 1, 2, 3, 4])
def test_a_resumed_run_leaves_the_record_of_an_undisturbed_one(tmp_path, resume_step):
    undisturbed = whole_run(tmp_path)
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write('{"step": 5, "lo')  # killed in the middle of a line
    tracker = tracker_of(tmp_path, resume_step=resume_step)
    tracker.start({})
    kept = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [row["step"] for row in kept] == [s for s in (1, 2, 2, 3, 4, 4) if s <= resume_step]
    record(tracker, range(resume_step + 1, 5))
    tracker.finish({})
    assert (tmp_path / "metrics.jsonl").read_bytes() == undisturbed


def test_the_record_is_not_optional(tmp_path):
    tracker = Tracker([JsonlSink("/dev/full")])
    tracker.sinks[0]._file = open("/dev/full", "w")  # noqa: SIM115
    with pytest.raises(NoSpaceError, match="/dev/full"):
        tracker.log_step(1, {"loss": 0.5})


def test_log_file_is_appended_to_and_handlers_are_taken_off(tmp_path, capsys):
    for _ in range(2):
        whole_run(tmp_path)
    log, printed = (tmp_path / "run.log").read_text(), capsys.readouterr().out
    for text in (log, printed):
        assert text.count("epoch 1: ensemble: AP 25.0 %") == text.count("epoch 2: ensemble: AP 50.0 %") == 2
        assert text.count("ensemble: AP 50.0 % (epoch 2, the last one and the best by AP)") == 2
    assert logging.getLogger("semipose").handlers == []


@pytest.mark.parametrize(("summary", "exit_code"), [({"best_AP": 0.5, "best_epoch": 1}, 1), ({}, 1), ({}, 0)])
def test_a_run_that_was_ended_does_not_look_finished(tmp_path, monkeypatch, summary, exit_code):
    run = FakeRun()
    fake_wandb(monkeypatch, run)
    tracker = tracker_of(tmp_path, wandb_mode="offline")
    tracker.start({})
    tracker.log_epoch(1, 2, {"AP_student": 0.5, "AP": 0.5})
    tracker.finish(summary, exit_code)
    log = (tmp_path / "run.log").read_text()
    assert ("finished" in log) == (exit_code == 0) and ("the best by AP" in log) == bool(summary)
    assert run.summary == summary and run.exit_code == exit_code
    assert logging.getLogger("semipose").handlers == []


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file/run", tmp_path / "file"):
        tracker = tracker_of(folder)
        refused(lambda: tracker.start({}), str(folder))  # noqa: B023  called at once
        tracker.finish({}, 1)


def test_before_the_start_messages_are_shown_and_nothing_is_written(tmp_path, monkeypatch, capsys):
    calls = fake_wandb(monkeypatch, FakeRun())
    tracker = tracker_of(tmp_path / "run", wandb_mode="offline", tensorboard=True)
    tracker.prepare()
    logging.getLogger("semipose.data").warning("a broken annotation")
    tracker.finish({}, 1)
    assert not (tmp_path / "run").exists() and calls == [] and "a broken annotation" in capsys.readouterr().out
    assert logging.getLogger("semipose").handlers == []


def test_the_log_file_has_what_was_said_before_the_start_and_what_is_for_it_only(tmp_path, capsys):
    tracker = tracker_of(tmp_path / "run")
    tracker.prepare()
    logging.getLogger("semipose.data").warning("8 persons")
    logging.getLogger("semipose.runs").info("machine: a laptop", extra=FILE_ONLY)
    tracker.start({})
    tracker.finish({}, 1)
    log, printed = (tmp_path / "run/run.log").read_text(), capsys.readouterr().out
    assert (
        log.count("8 persons") == printed.count("8 persons") == log.count("a laptop") == 1 and "laptop" not in printed
    )


class Broken(Sink):
    name = "broken"
    optional = True

    def __init__(self):
        self.calls = 0

    def log_step(self, step, values):
        self.calls += 1
        raise ConnectionError("no route to host\nsecond line")


def test_an_optional_sink_that_fails_is_off_after_one_warning(caplog):
    sink = Broken()
    tracker = Tracker([sink])
    for step in range(3):
        tracker.log_step(step, {})
    assert sink.calls == 1
    (warning,) = [r.message for r in caplog.records]
    assert "broken" in warning and "no route to host" in warning and "\n" not in warning


def fail(*_, **__):
    raise RuntimeError("no network")


class FakeRun:
    def __init__(self):
        self.rows, self.metrics, self.summary, self.exit_code = [], {}, {}, None

    def define_metric(self, name, **options):
        self.metrics[name] = options

    def log(self, row):
        self.rows.append(row)

    def finish(self, exit_code):
        self.exit_code = exit_code


def fake_wandb(monkeypatch, run, base_url="https://api.wandb.ai", init=None, **settings):
    calls = []
    module = SimpleNamespace(
        init=init or (lambda **options: calls.append(options) or run),
        Histogram=lambda np_histogram: np_histogram,
        Image=lambda array: array,
        Settings=type("Settings", (dict,), {"model_fields": {}}),
        setup=lambda: SimpleNamespace(settings=SimpleNamespace(base_url=base_url, api_key=None, **settings)),
    )
    monkeypatch.setitem(sys.modules, "wandb", module)
    return calls


def broken_run(method) -> FakeRun:
    run = FakeRun()
    setattr(run, method, fail)
    return run


OUTAGES = {
    "import error": lambda patch: patch.setitem(sys.modules, "wandb", None),
    "init raises": lambda patch: fake_wandb(patch, None, init=fail),
    "define raises": lambda patch: fake_wandb(patch, broken_run("define_metric")),
    "log raises": lambda patch: fake_wandb(patch, broken_run("log")),
    "finish raises": lambda patch: fake_wandb(patch, broken_run("finish")),
}


@pytest.mark.parametrize("mode", ["auto", "online", "offline"])
@pytest.mark.parametrize("outage", OUTAGES.values(), ids=OUTAGES.keys())
@pytest.mark.promise("R17")
def test_a_wandb_outage_leaves_the_same_record(tmp_path, monkeypatch, caplog, outage, mode):
    expected = whole_run(tmp_path / "off")
    outage(monkeypatch)
    assert whole_run(tmp_path / "outage", wandb_mode=mode) == expected
    assert len([r for r in caplog.records if r.levelname == "WARNING" and "wandb is off" in r.message]) == 1


def test_what_wandb_is_told(tmp_path, monkeypatch):
    run = FakeRun()
    (init,) = [fake_wandb(monkeypatch, run)]
    whole_run(tmp_path, wandb_mode="offline", wandb_run_id="abc123")
    (options,) = init
    assert options["name"] == "500+ema" and options["project"] == "semipose" and options["id"] == "abc123"
    assert options["config"] == {"TRAIN": {"LR": 0.001}} and options["dir"] == str(tmp_path)
    assert run.metrics["epoch/AP_ensemble"] == {"step_metric": "epoch", "summary": "max"}
    assert run.metrics["train/*"] == {"step_metric": "step"}
    assert {"epoch": 2, "step": 4, "epoch/AP_first": 0.4, "epoch/AP_ensemble": 0.5, "epoch/AP": 0.5} in run.rows
    assert {"step": 4, "train/loss": 0.25, "train/lr": 0.001} in run.rows
    assert run.summary == {"best_AP": 0.5, "best_epoch": 2} and run.exit_code == 0


def test_run_id_is_known_from_the_start_and_reused(tmp_path, monkeypatch):
    first = tracker_of(tmp_path, wandb_mode="offline").wandb_run_id
    assert len(first) == 8
    calls = fake_wandb(monkeypatch, FakeRun())
    tracker = tracker_of(tmp_path, wandb_mode="online", resume_step=2, wandb_run_id=first)
    tracker.start({})
    tracker.finish({})
    assert tracker.wandb_run_id == first
    assert (calls[0]["id"], calls[0]["resume"], calls[0]["mode"]) == (first, "allow", "online")


def mode_used(monkeypatch, tmp_path, mode="auto", **fake) -> str | None:
    calls = fake_wandb(monkeypatch, FakeRun(), **fake)
    WandbSink("run", "project", tmp_path, mode).start({})
    return calls[0]["mode"] if calls else None


def test_auto_mode(tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO, logger="semipose")
    assert mode_used(monkeypatch, tmp_path) == "offline"
    assert ["wandb" in r.message and "offline" in r.message for r in caplog.records] == [True]
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    assert mode_used(monkeypatch, tmp_path) == "online"
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert mode_used(monkeypatch, tmp_path) == "offline"
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert mode_used(monkeypatch, tmp_path) is None
    assert mode_used(monkeypatch, tmp_path, mode="online") == "online"  # said on the command line


@pytest.mark.parametrize(
    ("server", "machine", "found"),
    [
        ("https://api.wandb.ai", "api.wandb.ai", True), ("https://api.forge.coreweave.com", "api.wandb.ai", True),
        ("https://wandb.example.org", "api.wandb.ai", False), ("https://api.wandb.ai", "github.com", False),
        ("https://wandb.example.org", "wandb.example.org", True), ("https://api.wandb.ai", "no\nnetrc", False),
    ],
)  # fmt: skip
def test_key_in_netrc(tmp_path, monkeypatch, server, machine, found):
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine {machine} login user password {'0' * 40}\n")
    monkeypatch.setenv("NETRC", str(netrc))
    fake_wandb(monkeypatch, None, base_url=server)
    assert has_wandb_key() is found


def test_unknown_wandb_mode(tmp_path):
    with pytest.raises(ConfigError, match="'on'.*auto"):
        tracker_of(tmp_path, wandb_mode="on")


def test_tensorboard(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    whole_run(tmp_path, tensorboard=True)
    split_run(tmp_path / "split", tensorboard=True)
    folders, every = (tmp_path / "tensorboard", tmp_path / "split/tensorboard"), {"images": 0, "histograms": 0}
    events, splits = (EventAccumulator(str(folder), size_guidance=every).Reload() for folder in folders)
    assert [(e.step, round(e.value, 6)) for e in events.Scalars("epoch/AP_first")] == [(2, 0.2), (4, 0.4)]
    assert [e.step for e in events.Scalars("train/loss")] == [1, 2, 3, 4]
    assert [e.step for e in splits.Histograms("split_first/scores")] == [2, 4]
    histogram, report = splits.Histograms("split_second/scores")[1].histogram_value, split_report(41)
    assert histogram.num == 80 and list(histogram.bucket) == report.counts.tolist()
    assert list(histogram.bucket_limit) == report.edges[1:].tolist()
    assert splits.Scalars("split_second/easy_share")[1].value == pytest.approx(50 / 80)
    image = splits.Images("split_first/chart")[-1]
    assert (image.step, image.width, image.height) == (4, 7, len("first, epoch 2"))


OFFLINE_RUN = """
import sys
import numpy as np
from semipose.tracking.tracker import make_tracker
from semipose.pseudo_labels import SplitReport
def picture(report, title):
    return np.zeros((4, 6, 3), np.uint8)
tracker = make_tracker(sys.argv[1], "500+ema", "auto", False, "semipose", draw_split=picture)
tracker.start({"TRAIN": {"LR": 0.001}, "DATASET": {"TRAIN_LEN": 500}})
for epoch, AP in enumerate((0.25, 0.5, 0.375), start=1):
    tracker.log_step(10 * epoch, {"loss": 1 / epoch})
    report = SplitReport(20, 0, "too few", np.linspace(0, 1, 5), np.array([3, 7, 0, 10]))
    tracker.log_split(epoch, 10 * epoch, "first", report)
    tracker.log_epoch(epoch, 10 * epoch, {"AP_first": AP, "AP_ensemble": AP + 0.125})
tracker.finish({"best_AP": 0.625})
print(tracker.wandb_run_id)
"""


def wandb_records(path) -> list:
    """The records of a .wandb file: after 7 bytes, a LevelDB log (blocks of 32 KiB) of protobuf messages."""
    from wandb.proto.wandb_internal_pb2 import Record

    content, records, message, position = path.read_bytes(), [], b"", 7
    while position + 7 <= len(content):
        if 32768 - position % 32768 < 7:
            position += 32768 - position % 32768
            continue
        _, length, kind = struct.unpack_from("<IHB", content, position)
        message += content[position + 7 : position + 7 + length]
        position += 7 + length
        if kind in (1, 4):  # whole, or the last part
            records.append(Record.FromString(message))
            message = b""
    return records


def items(entries) -> dict:
    return {entry.key or "/".join(entry.nested_key): json.loads(entry.value_json) for entry in entries}


def test_wandb_offline_for_real(tmp_path):
    pytest.importorskip("wandb")
    result = subprocess.run(
        [sys.executable, "-c", OFFLINE_RUN, str(tmp_path)], capture_output=True, text=True, timeout=60
    )
    assert result.returncode == 0, result.stderr
    run_id = result.stdout.split()[-1]
    (path,) = tmp_path.glob(f"wandb/offline-run-*-{run_id}/run-{run_id}.wandb")
    records = wandb_records(path)
    (run,) = [r.run for r in records if r.WhichOneof("record_type") == "run"]
    assert (run.display_name, run.project, run.run_id) == ("500+ema", "semipose", run_id)
    config = items(run.config.update)
    assert config["TRAIN"] == {"LR": 0.001} and config["DATASET"] == {"TRAIN_LEN": 500}
    history = [items(r.history.item) for r in records if r.WhichOneof("record_type") == "history"]
    evaluated = [
        (row["epoch"], row["epoch/AP_first"], row["epoch/AP_ensemble"]) for row in history if "epoch/AP_first" in row
    ]
    assert evaluated == [(1, 0.25, 0.375), (2, 0.5, 0.625), (3, 0.375, 0.5)]
    assert [row["train/loss"] for row in history if "train/loss" in row] == [1, 1 / 2, 1 / 3]
    splits = [row for row in history if "split_first/scores/_type" in row]
    assert [row["epoch"] for row in splits] == [1, 2, 3]
    assert splits[0]["split_first/scores/values"] == [3, 7, 0, 10] and splits[0]["split_first/scores/bins"][1] == 0.25
    assert splits[0]["split_first/chart/_type"] == "image-file" and splits[0]["split_first/chart/width"] == 6
    summary = {}
    for r in records:
        summary |= items(r.summary.update) if r.WhichOneof("record_type") == "summary" else {}
    assert summary["best_AP"] == 0.625 and summary["epoch/AP_ensemble"]["max"] == 0.625
