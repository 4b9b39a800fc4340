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

from semipose.errors import ConfigError, NoSpaceError, SemiposeError
from semipose.pseudo_labels import Difficulty, SplitReport
from semipose.tracking.sinks import JsonlSink, Sink, format_scores
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
            tracker.log_epoch(step // 2, step, {"AP_first": 0.1 * step, "AP_ensemble": 0.125 * step})


def whole_run(folder, **options) -> bytes:
    tracker = tracker_of(folder, **options)
    tracker.start({"TRAIN": {"LR": 0.001}})
    record(tracker)
    tracker.finish({"best_AP": 0.5})
    return (folder / "metrics.jsonl").read_bytes()


def test_metrics_file(tmp_path):
    tracker = tracker_of(tmp_path)
    tracker.start({})
    tracker.log_step(3, {"loss": torch.tensor(0.5), "lr": 1e-3})
    tracker.log_step(4, {"loss": float("nan"), "mix": float("-inf")})
    tracker.log_epoch(1, 4, {"AP_first": 0.25})
    lines = (tmp_path / "metrics.jsonl").read_text().splitlines()  # before finish: each line is flushed
    tracker.finish({})
    assert lines == [
        '{"step": 3, "loss": 0.5, "lr": 0.001}',
        '{"step": 4, "loss": null, "mix": null}',
        '{"epoch": 1, "step": 4, "AP_first": 0.25}',
    ]


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


def test_a_split_in_tensorboard(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    split_run(tmp_path, tensorboard=True)
    events = EventAccumulator(str(tmp_path / "tensorboard"), size_guidance={"images": 0, "histograms": 0})
    events.Reload()
    assert [e.step for e in events.Histograms("split_first/scores")] == [2, 4]
    histogram, report = events.Histograms("split_second/scores")[1].histogram_value, split_report(41)
    assert (
        list(histogram.bucket) == report.counts.tolist() and list(histogram.bucket_limit) == report.edges[1:].tolist()
    )
    assert histogram.num == 80 and (histogram.min, histogram.max) == (report.edges[0], report.edges[-1])
    assert histogram.sum / 80 == pytest.approx(report.weights @ report.means, abs=0.1)
    assert events.Scalars("split_second/easy_share")[1].value == pytest.approx(50 / 80)
    image = events.Images("split_first/chart")[1]
    assert (image.step, image.width, image.height) == (4, 7, len("first, epoch 2"))


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
    assert [r.message for r in caplog.records if r.levelname == "WARNING"] == [
        f"{next(iter(options)).removesuffix('_mode')} is off for this run: RuntimeError: no network"
    ]


def test_without_a_drawing_function_there_is_no_chart(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "picture", None)
    run = FakeRun()
    fake_wandb(monkeypatch, run)
    split_run(tmp_path, wandb_mode="offline")
    assert sum("split_first/scores" in row for row in run.rows) == 2
    assert not any("chart" in key for row in run.rows for key in row)


HEALTH = {
    "health_persons": 80.0, "health_kept": 0.955, "health_peak": 0.7, "health_kept/nose": 0.9, "health_peak/nose": 0.8,
    "easy_share": 0.625, "agreement_px": 1.25, "agreement_mean_px": 2.0, "agreement_within_1px": 0.4,
    "pseudo_PCK": 0.8, "pseudo_PCK_kept": 0.85, "pseudo_PCK_easy": 0.9, "pseudo_PCK_kept_easy": 0.95,
}  # fmt: skip


def test_the_console_shows_the_gist_and_the_record_all(tmp_path):
    tracker = tracker_of(tmp_path)
    tracker.start({})
    tracker.log_epoch(1, 2, {"AP": 0.5} | HEALTH)
    tracker.log_epoch(2, 4, {f"{name}_first": value for name, value in HEALTH.items() if "/" not in name})
    tracker.finish({})
    lines = [line.partition("INFO ")[2] for line in (tmp_path / "run.log").read_text().splitlines()]
    assert lines[:3] == [
        "epoch 1 step 2: AP 50.0",
        "epoch 1 pseudo-labels: health_kept 95.5  easy_share 62.5  agreement_px 1.25  pseudo_PCK 80.0  "
        "pseudo_PCK_easy 90.0",
        "epoch 2 pseudo-labels: health_kept_first 95.5  easy_share_first 62.5  agreement_px_first 1.25  "
        "pseudo_PCK_first 80.0  pseudo_PCK_easy_first 90.0",
    ]
    row = json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[0])
    assert row == {"epoch": 1, "step": 2, "AP": 0.5} | HEALTH


def test_shares_are_shown_as_percent():
    shown = format_scores({"AP": 0.5, "AR": -1.0, "agreement_within_1px": 0.4, "health_peak": 0.7, "lr": 0.001})
    assert shown == "AP 50.0  agreement_within_1px 40.0  health_peak 0.7  lr 0.001"


def test_a_new_run_starts_an_empty_record(tmp_path):
    assert whole_run(tmp_path) == whole_run(tmp_path)


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


def test_an_epoch_that_is_evaluated_again_after_a_resume_is_not_doubled(tmp_path):
    undisturbed = whole_run(tmp_path)
    tracker = tracker_of(tmp_path, resume_step=2)
    tracker.start({})
    tracker.log_epoch(1, 2, {"AP_first": 0.2, "AP_ensemble": 0.25})
    record(tracker, range(3, 5))
    tracker.finish({})
    assert (tmp_path / "metrics.jsonl").read_bytes() == undisturbed


def test_the_record_is_not_optional(tmp_path):
    tracker = Tracker([JsonlSink("/dev/full")])
    tracker.sinks[0]._file = open("/dev/full", "w")  # noqa: SIM115
    with pytest.raises(NoSpaceError, match="/dev/full: cannot write"):
        tracker.log_step(1, {"loss": 0.5})


def test_log_file_is_appended_to_and_handlers_are_taken_off(tmp_path, capsys):
    for _ in range(2):
        whole_run(tmp_path)
    lines = (tmp_path / "run.log").read_text().splitlines()
    assert [line.partition("INFO ")[2] for line in lines] == 2 * [
        "epoch 1 step 2: AP_first 20.0  AP_ensemble 25.0",
        "epoch 2 step 4: AP_first 40.0  AP_ensemble 50.0",
        "finished: best_AP 50.0",
    ]
    assert capsys.readouterr().out.splitlines()[2] == "finished: best_AP 50.0"
    assert logging.getLogger("semipose").handlers == []


@pytest.mark.parametrize(
    ("summary", "exit_code", "last"),
    [({"best_AP": 0.5}, 1, ["stopped: best_AP 50.0"]), ({}, 1, []), ({"best_AP": 0.5}, 0, ["finished: best_AP 50.0"])],
)
def test_a_run_that_was_ended_does_not_look_finished(tmp_path, monkeypatch, summary, exit_code, last):
    run = FakeRun()
    fake_wandb(monkeypatch, run)
    tracker = tracker_of(tmp_path, wandb_mode="offline")
    tracker.start({})
    tracker.finish(summary, exit_code)
    lines = (tmp_path / "run.log").read_text().splitlines()
    assert [line.partition("INFO ")[2] for line in lines] == last
    assert run.summary == summary and run.exit_code == exit_code
    assert logging.getLogger("semipose").handlers == []


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    for folder, reason in ((tmp_path / "file/run", "Not a directory"), (tmp_path / "file", "File exists")):
        with pytest.raises(SemiposeError) as caught:
            tracker_of(folder)
        assert str(caught.value) == f"{folder}: cannot write: {reason}"


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
    assert [r.message for r in caplog.records] == ["broken is off for this run: ConnectionError: no route to host"]


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


def test_wandb_off_does_not_import_it(tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "wandb", None)
    tracker = tracker_of(tmp_path)
    tracker.start({})
    tracker.finish({})
    assert tracker.wandb_run_id is None
    assert "wandb" not in caplog.text


def test_what_wandb_is_told(tmp_path, monkeypatch):
    run = FakeRun()
    (init,) = [fake_wandb(monkeypatch, run)]
    whole_run(tmp_path, wandb_mode="offline", wandb_run_id="abc123")
    (options,) = init
    assert options["name"] == "500+ema" and options["project"] == "semipose" and options["id"] == "abc123"
    assert options["config"] == {"TRAIN": {"LR": 0.001}} and options["dir"] == str(tmp_path)
    assert run.metrics["epoch/AP_ensemble"] == {"step_metric": "epoch", "summary": "max"}
    assert run.metrics["train/*"] == {"step_metric": "step"}
    assert {"epoch": 2, "step": 4, "epoch/AP_first": 0.4, "epoch/AP_ensemble": 0.5} in run.rows
    assert {"step": 4, "train/loss": 0.25, "train/lr": 0.001} in run.rows
    assert run.summary == {"best_AP": 0.5} and run.exit_code == 0


def test_run_id_is_known_from_the_start_and_reused(tmp_path, monkeypatch):
    first = tracker_of(tmp_path, wandb_mode="offline").wandb_run_id
    assert len(first) == 8
    calls = fake_wandb(monkeypatch, FakeRun())
    tracker = tracker_of(tmp_path, wandb_mode="online", resume_step=2, wandb_run_id=first)
    tracker.start({})
    tracker.finish({})
    assert tracker.wandb_run_id == first
    assert (calls[0]["id"], calls[0]["resume"], calls[0]["mode"]) == (first, "allow", "online")


@pytest.mark.parametrize("fields", [None, {}, {"finish_timeout": None}])
def test_a_limit_that_wandb_does_not_know_is_not_set(tmp_path, monkeypatch, fields):
    calls = fake_wandb(monkeypatch, FakeRun())
    members = {} if fields is None else {"model_fields": fields}  # pydantic 1 has no such list
    monkeypatch.setattr(sys.modules["wandb"], "Settings", type("Settings", (dict,), members))
    WandbSink("run", "project", tmp_path, "offline").start({})
    limits = {"console": "off", "init_timeout": 60.0}
    assert calls[0]["settings"] == (limits | {"finish_timeout": 120.0} if fields else limits)


def mode_used(monkeypatch, tmp_path, mode="auto", **fake) -> str | None:
    calls = fake_wandb(monkeypatch, FakeRun(), **fake)
    WandbSink("run", "project", tmp_path, mode).start({})
    return calls[0]["mode"] if calls else None


def test_auto_mode(tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO, logger="semipose")
    assert mode_used(monkeypatch, tmp_path) == "offline"
    assert [r.message.startswith("wandb: no API key found, recording offline") for r in caplog.records] == [True]
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    assert mode_used(monkeypatch, tmp_path) == "online"
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert mode_used(monkeypatch, tmp_path) == "offline"
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert mode_used(monkeypatch, tmp_path) is None
    assert mode_used(monkeypatch, tmp_path, mode="online") == "online"  # said on the command line


@pytest.mark.parametrize(
    ("server", "entry", "found"),
    [
        ("https://api.wandb.ai", "machine api.wandb.ai login user password " + "0" * 40, True),
        ("https://api.forge.coreweave.com", "machine api.wandb.ai login user password " + "0" * 40, True),
        ("https://wandb.example.org", "machine api.wandb.ai login user password " + "0" * 40, False),
        ("https://wandb.example.org", "machine wandb.example.org login user password " + "0" * 40, True),
        ("https://api.wandb.ai", "machine github.com login user password x", False),
        ("https://api.wandb.ai", "not a netrc file", False),
    ],
)
def test_key_in_netrc(tmp_path, monkeypatch, server, entry, found):
    netrc = tmp_path / "netrc"
    netrc.write_text(entry + "\n")
    monkeypatch.setenv("NETRC", str(netrc))
    fake_wandb(monkeypatch, None, base_url=server)
    assert has_wandb_key() is found


def test_unknown_wandb_mode(tmp_path):
    with pytest.raises(ConfigError, match="'on'; allowed: auto, online, offline, off"):
        tracker_of(tmp_path, wandb_mode="on")


def test_tensorboard(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    whole_run(tmp_path, tensorboard=True)
    events = EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(e.step, round(e.value, 6)) for e in events.Scalars("epoch/AP_first")] == [(2, 0.2), (4, 0.4)]
    assert [e.step for e in events.Scalars("train/loss")] == [1, 2, 3, 4]


def test_missing_tensorboard_is_one_warning(tmp_path, monkeypatch, caplog):
    expected = whole_run(tmp_path / "off")
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    assert whole_run(tmp_path / "missing", tensorboard=True) == expected
    assert len([r for r in caplog.records if r.message.startswith("tensorboard is off")]) == 1


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
    assert "wandb: no API key found, recording offline" in result.stdout
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
