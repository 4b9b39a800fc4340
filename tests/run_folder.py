"""What a run has written, and whether two runs are the same."""

import json
from pathlib import Path

import torch


def rows(folder: Path) -> list[dict]:
    """The whole lines of its record; a run that goes on may be writing another one."""
    path = folder / "metrics.jsonl"
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def same_state(a, b) -> bool:
    """Equal to the last bit."""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same_state(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same_state, a, b))
    return a == b
