"""benchmarks/gpu.sh: its parts run on a CPU, and one that fails does not stop the others."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def load(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module


def run(*arguments: str, **more) -> subprocess.CompletedProcess:
    command = ["bash", str(ROOT / "benchmarks/gpu.sh"), *arguments]
    environment = os.environ | {"PYTHON": sys.executable, "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run(command, capture_output=True, text=True, env=environment, **more)


@pytest.mark.slow
def test_all_parts_run_on_a_cpu(tmp_path):
    done = run("--device", "cpu", "--quick", "--out", str(tmp_path / "table.md"))
    assert done.returncode == 0, done.stderr
    table = (tmp_path / "table.md").read_text()
    assert table in done.stdout and "FAILED" not in table
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[4:]]
    results = {row[0]: row[1].split() for row in cells}
    units = [words[-1] for words in results.values()]
    assert units.count("images/s") == 4 and units.count("ms") == 2 and len(results) == 9
    assert all(float(words[0]) > 0 for words in results.values())
    assert "networks" in cells[0][2] and "from float32" in cells[7][2]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so():
    done = run("--no-tests")
    assert done.returncode == 2 and "--device cpu" in done.stderr and "Traceback" not in done.stderr


def test_a_part_that_fails_is_a_row(load):
    def part():
        yield "a", "1 ms", ""
        raise RuntimeError("out of\nmemory")

    rows = list(load("bench_gpu").attempt("b", part))
    assert rows == [("a", "1 ms", ""), ("b", "FAILED", "RuntimeError: out of memory")]


def test_what_bounds_a_step(load):
    steps, gpu = load("bench_gpu_steps"), torch.device("cuda")
    assert "the GPU" in steps.bound(0.1, 0.02, 0.35, gpu) and "4 loader" in steps.bound(0.1, 0.02, 0.35, gpu)
    assert "the CPU" in steps.bound(0.1, 0.099, 0.05, gpu)


def test_only_missing_packages_are_named(load, monkeypatch):
    module = load("missing_packages")
    assert module.missing() == []
    monkeypatch.setitem(module.NEEDED, "no_such_module", "some-package")
    assert module.missing() == ["some-package"]
