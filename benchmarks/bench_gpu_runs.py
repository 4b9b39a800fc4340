"""Whole runs on a GPU, as a user starts them: the tests, a run on packed crops, and losses in 16 bits."""

import itertools
import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from bench_data import ROOT
from bench_gpu_steps import PRECISIONS

from semipose.prepare.drawn_people import write_demo_data

DEMO = ROOT / "experiments/demo/cotrain.yaml"
MOST = 150  # seconds that a run may take
PLACES = ("passed", "failed", "skipped", "error", "errors")


@dataclass(frozen=True)
class Data:
    """A configuration, the DATASET.ROOT for it, and keys that differ."""

    config: Path
    root: Path
    pairs: dict[str, object] = field(default_factory=dict)


def drawn_people(scale, folder: Path) -> Data:
    write_demo_data(str(folder), *scale.pictures, size=80, seed=0)
    size = "[{},{}]".format(*scale.size)
    return Data(DEMO, folder, {"MODEL.BACKBONE": scale.backbone, "MODEL.IMAGE_SIZE": size, "MODEL.SIGMA": 2.0})


def real_run_rows(scale, device: torch.device, data: Data, folder: Path) -> Iterator[tuple[str, str, str]]:
    """Two epochs of cotrain1 with crops packed on the disk: the first one packs them, the second one counts."""
    pairs = {
        "TRAIN.BATCH_SIZE": scale.run_batch, "TRAIN.BATCH_SIZE_UNSUP": scale.run_batch,
        "TRAIN.STEPS_PER_EPOCH": scale.run_steps, "TRAIN.END_EPOCH": 2, "TRAIN.PRINT_FREQ": scale.run_steps,
        "TRAIN.UNSUP_START": 0.0, "DATASET.CACHE": "disk", "DATASET.CACHE_DIR": folder / "cache",
        "WORKERS": 4 if device.type == "cuda" else 0, "TRAIN.AMP": "bf16" if device.type == "cuda" else "off",
    }  # fmt: skip
    start = time.perf_counter()
    log = train(device, data, folder / "real", pairs)
    took = time.perf_counter() - start
    seconds, waited = last_speed(log)
    title = f"run of {2 * scale.run_steps} steps, crops on disk, {data.config.stem}"
    more = f"{seconds} s a step, {waited} % of them waiting for data; {took:.0f} s with start and evaluation"
    yield title, f"{2 * scale.run_batch / float(seconds):.1f} images/s", more


def precision_rows(scale, device: torch.device, data: Data, folder: Path) -> Iterator[tuple[str, str, str]]:
    """Losses of cotrain1 in 16 bits against float32, from the same seed."""
    batch, steps = scale.curve
    pairs = {
        "TRAIN.BATCH_SIZE": batch, "TRAIN.BATCH_SIZE_UNSUP": batch, "TRAIN.STEPS_PER_EPOCH": steps,
        "TRAIN.END_EPOCH": 1, "TRAIN.PRINT_FREQ": max(1, steps // 12), "TRAIN.UNSUP_START": 0.0,
        "TRAIN.UNSUP_RAMP": 0.0, "WORKERS": 2 if device.type == "cuda" else 0,
    }  # fmt: skip
    curves = {}
    for amp, name in PRECISIONS.items():
        if amp == "fp16" and device.type == "cpu":
            continue
        train(device, data, folder / name, pairs | {"TRAIN.AMP": amp})
        curves[name] = losses(folder / name / "run/metrics.jsonl")
    whole = curves.pop("float32")
    yield f"loss of {steps} steps, float32", f"{whole[0]:.3g} to {whole[-1]:.3g}", "sum of all terms"
    for name, curve in curves.items():
        apart = [abs(a - b) / b for a, b in zip(curve, whole, strict=True)]
        more = f"from float32: {100 * sum(apart) / len(apart):.2g} % on average, {100 * max(apart):.2g} % at most"
        yield f"loss of {steps} steps, {name}", f"{curve[0]:.3g} to {curve[-1]:.3g}", more


def gpu_test_rows(limit: int) -> Iterator[tuple[str, str, str]]:
    """The tests that are marked gpu."""
    command = [sys.executable, "-m", "pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", str(ROOT / "tests")]
    command += ["--continue-on-collection-errors"]  # of what needs a package that is not there
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        yield "gpu tests", "FAILED", f"not done after {limit} s"
        return
    counts = {what: int(number) for number, what in re.findall(r"(\d+) (\w+)", done.stdout[-300:]) if what in PLACES}
    result = ", ".join(f"{number} {what}" for what, number in counts.items())
    lines = re.findall(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
    yield "gpu tests", result if done.returncode == 0 else f"FAILED: {result or done.returncode}", ", ".join(lines[:6])


def train(device: torch.device, data: Data, folder: Path, pairs: dict) -> str:
    """The log of a run of cotrain1. Raises RuntimeError with the end of what it said, if it fails."""
    pairs = data.pairs | pairs | {
        "GPUS": "cpu" if device.type == "cpu" else "0", "DATASET.ROOT": data.root, "TRACKING.WANDB": "off",
        "TRACKING.TENSORBOARD": False,
    }  # fmt: skip
    command = [ROOT / "pose_estimation/cotrain1.py", "--cfg", data.config, "--output-dir", folder, "--name", "run"]
    command = [sys.executable, *map(str, [*command, *itertools.chain(*pairs.items())])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=MOST)
    if done.returncode:
        raise RuntimeError(done.stderr[-300:])
    return (folder / "run/run.log").read_text(encoding="utf-8")


def last_speed(log: str) -> tuple[str, str]:
    """Seconds of a step, and the percentage of them that it waited for data, from the last line of steps."""
    return re.findall(r"([\d.]+) s a step \((\d+) % loading\)", log)[-1]


def losses(path: Path) -> list[float]:
    """The sum of all loss terms at each line of steps."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    found = [[value for key, value in row.items() if key.startswith("loss_")] for row in rows]
    return [sum(values) for values in found if values]
