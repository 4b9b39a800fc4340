"""Where every second of an epoch goes, as `TRAIN.PROFILE` books it in a real run."""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench_data import ROOT, Scale
from bench_turns import markdown

from semipose.prepare.drawn_people import write_demo_data

EPOCHS = 2  # the last one is shown: the first one imports and fills the cache
RESNET = """MODEL.BACKBONE resnet18 MODEL.IMAGE_SIZE [192,256] MODEL.HEATMAP_SIZE [48,64] TRAIN.BATCH_SIZE 8
TRAIN.BATCH_SIZE_UNSUP 8"""
RUNS = {
    "the demo (cotrain1, light_unet, 64x64, batch 16+32)": ("cotrain1", "cotrain", ""),
    "pose_dual, ResNet-18, 256x192, batch 8+8": ("train", "pose_dual", RESNET),
}


def tables(scale: Scale) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        write_demo_data(f"{folder}/data", *scale.epoch_pictures, size=80, seed=0)
        for number, title in enumerate(list(RUNS)[: scale.epoch_runs]):
            script, experiment, pairs = RUNS[title]
            command = [
                ROOT / f"pose_estimation/{script}.py", "--cfg", ROOT / f"experiments/demo/{experiment}.yaml",
                "--output-dir", folder, "--name", f"run{number}", "DATASET.ROOT", f"{folder}/data",
                "TRAIN.PROFILE", "true", "TRAIN.UNSUP_START", "0.0", "TRAIN.STEPS_PER_EPOCH", scale.epoch_steps,
                "TRAIN.END_EPOCH", EPOCHS, *pairs.split(),
            ]  # fmt: skip
            subprocess.run([sys.executable, *map(str, command)], check=True, capture_output=True)
            seconds = seconds_of_last_epoch(Path(folder, f"run{number}/run.log").read_text())
            whole = sum(seconds.values())
            rows = [(name, f"{value:.2f}", f"{100 * value / whole:.1f} %") for name, value in seconds.items()]
            steps = f"{scale.epoch_steps} steps, {scale.epoch_pictures[2]} validation pictures"
            yield markdown(f"Seconds of an epoch, {title}: {steps}", ("part", "seconds", "share"), rows)


def seconds_of_last_epoch(log: str) -> dict[str, float]:
    """By part, from the line that the trainer writes."""
    line = [line for line in log.splitlines() if "time of epoch" in line][-1]
    return {name: float(value) for name, value in re.findall(r"([\w-]+) ([\d.]+) s \(", line)}
