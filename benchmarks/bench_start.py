"""Seconds from the start of a training script to its first step, and the share of its imports."""

import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from bench_data import ROOT, Scale
from bench_turns import in_turns, markdown, spread

from semipose.prepare.drawn_people import write_demo_data

IMPORTS = "from semipose import runs"  # what cli.py imports for a run
HEAVIEST = 8


def tables(scale: Scale) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        write_demo_data(f"{folder}/data", *scale.demo, size=80, seed=0)
        functions = {
            "imports alone": lambda: subprocess.run([sys.executable, "-c", IMPORTS], check=True),
            "to the first step of the demo's cotrain1.py": lambda: first_step(Path(folder)),
        }
        times = in_turns(functions, scale.starts)
        log = first_step(Path(folder), "-X", "importtime")
    rows = [(name, spread(seconds, 1)) for name, seconds in times.seconds.items()]
    yield markdown("Start-up, seconds", ("from process start", "seconds (quartiles)"), rows)
    yield markdown(
        "Imports up to the first step, those that wait until then included",
        ("package", "seconds"),
        heaviest_imports(log),
    )


def first_step(folder: Path, *python: str) -> str:
    """Start a run, and end it when its first step is recorded; returns what it wrote to stderr.

    Args:
        python: options of the interpreter.
    """
    with tempfile.TemporaryDirectory(dir=folder) as out, open(Path(out, "stderr"), "w+") as errors:
        command = [
            *python, ROOT / "pose_estimation/cotrain1.py", "--cfg", ROOT / "experiments/demo/cotrain.yaml",
            "--output-dir", out, "--name", "run", "DATASET.ROOT", folder / "data", "TRAIN.PRINT_FREQ", "1",
        ]  # fmt: skip
        process = subprocess.Popen([sys.executable, *map(str, command)], stdout=subprocess.DEVNULL, stderr=errors)
        record = Path(out, "run/metrics.jsonl")
        while process.poll() is None and not (record.exists() and record.stat().st_size):
            time.sleep(0.05)
        code = process.poll()
        process.kill()
        process.wait()
        text = Path(out, "stderr").read_text()
    if code is not None:
        raise SystemExit(f"cotrain1.py ended with {code} before its first step: {text}")
    return text


def heaviest_imports(log: str) -> list[tuple[str, str]]:
    """Packages by the time that their modules take without what these import, from a log of `-X importtime`."""
    seconds = Counter()
    for line in log.splitlines():
        if found := re.fullmatch(r"import time: +(\d+) \| +\d+ \| +([\w.]+)", line):
            parts = found[2].split(".")
            seconds[".".join(parts[: 2 if parts[0] == "torch" else 1])] += int(found[1]) / 1e6
    rows = [("all", seconds.total()), *seconds.most_common(HEAVIEST)]
    return [(name, f"{value:.1f}") for name, value in rows]
