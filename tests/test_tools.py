"""The tools, each in its own process on small data."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SMALL = """MODEL.IMAGE_SIZE [32,32] MODEL.HEATMAP_SIZE [8,8] TRAIN.BATCH_SIZE 3 TRAIN.BATCH_SIZE_UNSUP 4
TRAIN.STEPS_PER_EPOCH 2 TRAIN.END_EPOCH 1 PSEUDO.MIN_SCORE 0 TRACKING.TENSORBOARD false""".split()


def run(*command) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True, timeout=300)


def test_demo_writes_summary_and_report_for_each_seed(tmp_path):
    where = ["--out", tmp_path / "out", "--data", tmp_path / "data", "--labeled", 6, "--unlabeled", 12, "--val", 8]
    summaries = []
    for seed in (0, 1):
        done = run(ROOT / "tools/demo.py", *where, "--seed", seed, *SMALL)
        assert done.returncode == 0, done.stderr
        assert "Supervised, 6 labels" in done.stdout
        summaries.append(json.loads((tmp_path / "out/summary.json").read_text()))
        assert (tmp_path / "out/report.html").stat().st_size > 10_000
    first, second = summaries
    assert first["labeled"] == 6 and first["unlabeled"] == 12 and first["steps"] == 2
    assert set(first["supervised"]) == {"AP", "PCK"}
    names = ("first", "second", "ema_first", "ema_second", "ensemble")
    assert set(first["cotrain"]) == {f"{metric}_{name}" for metric in ("AP", "PCK") for name in names}
    assert "given_back" not in first
    assert (first["seed"], second["seed"]) == (0, 1)
    runs = [(tmp_path / f"out/seed{seed}-6-12-8/cotrain/metrics.jsonl").read_text() for seed in (0, 1)]
    assert runs[0] != runs[1]


def test_demo_ends_with_the_exit_code_of_what_failed(tmp_path):
    (tmp_path / "data").write_text("in the way")
    done = run(ROOT / "tools/demo.py", "--out", tmp_path / "out", "--data", tmp_path / "data")
    assert done.returncode == 2 and "Traceback" not in done.stderr


@pytest.mark.parametrize("group", [False, True], ids=["the demo alone", "its whole group"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_demo_saves(tmp_path, number, group):
    where = ["--out", tmp_path / "out", "--data", tmp_path / "data", "--labeled", 6, "--unlabeled", 12, "--val", 8]
    long = ["TRAIN.STEPS_PER_EPOCH", "100000", "TRAIN.PRINT_FREQ", "5"]
    command = [sys.executable, *map(str, [ROOT / "tools/demo.py", *where, *SMALL, *long])]
    process = subprocess.Popen(command, start_new_session=True, stderr=subprocess.PIPE, text=True)
    limit = time.monotonic() + 60
    run_folder = tmp_path / "out/seed0-6-12-8/supervised"
    record = run_folder / "metrics.jsonl"
    while not (record.exists() and record.read_text()):
        assert process.poll() is None and time.monotonic() < limit
        time.sleep(0.05)
    (os.killpg if group else os.kill)(process.pid, number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number and "Traceback" not in err
    assert (run_folder / "last.pth").exists()


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="memory is read from Linux's /proc")
def test_bench_of_annotations_prints_seconds_and_memory():
    done = run(ROOT / "benchmarks/bench_annotations.py", "--persons", "100")
    assert done.returncode == 0, done.stderr
    for text in ("100 persons, COCO file", "read 100 persons", "MiB, of which imports", "4 workers: "):
        assert text in done.stdout


@pytest.mark.slow
def test_bench_prints_its_tables():
    done = run(ROOT / "benchmarks/bench.py", "--quick")
    assert done.returncode == 0, done.stderr
    for text in (
        "decode and crop",
        "from the cache, RAM",
        "pose_dual",
        "cotrain1",
        "channels-last",
        "joint / sequential",
        "timm/test_vit",
    ):
        assert text in done.stdout
