"""Where and by what a run was made: command line, versions, machine."""

import os
import platform
import shlex
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

PACKAGES = ("torch", "torchvision", "numpy", "scipy", "opencv-python", "opencv-python-headless", "timm")


def command_line(words: Sequence[str]) -> str:
    """`sys.argv` as it can be typed again: `semipose train --cfg ...`, or `python train.py --cfg ...`."""
    program, arguments = words[0], words[1:]
    typed = program.split() if program.startswith("semipose ") else [program]
    return shlex.join([*(["python"] if program.endswith(".py") else []), *typed, *arguments])


def versions() -> str:
    """`python 3.12.3, torch 2.9.0+cpu, numpy 2.3.4, ...`, as far as they are installed."""
    found = [f"python {platform.python_version()}"]
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            found.append(f"{name} {version(name)}")
    return ", ".join(found)


def machine() -> str:
    """Name, system, cores, memory and GPUs."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    found = [platform.node(), platform.platform(), f"{_processor()}, {cores} cores, {torch.get_num_threads()} threads"]
    with suppress(ValueError, OSError, AttributeError):
        found.append(f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GB memory")
    gpus = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
    return ", ".join([*found, f"GPUs: {'; '.join(gpus)}" if gpus else "no GPU"])


def environment(words: Sequence[str]) -> list[str]:
    """All of it, as lines for a log; `words` is `sys.argv`."""
    return [
        f"command: {command_line(words)}",
        f"folder: {Path.cwd()}",
        f"versions: {versions()}",
        f"machine: {machine()}",
    ]


def _processor() -> str:
    with suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return platform.processor() or platform.machine()
