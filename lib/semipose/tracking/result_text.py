"""The last lines of a run: its result, the file to use, and what can be done next."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from semipose.tracking.score_text import ScoreText, main_network

# one line, so that the result stays the last thing to be seen
NEXT = (
    "next: semipose predict {run} PICTURES --out found --overlay; semipose report {run}; "
    "semipose label {run} PICTURES --out to_label"
)
NEXT_OF_LIFTER = "next: semipose predict RUN VIDEO --out found --lift {run}"


def result_lines(folder: Path, rows: Sequence[Mapping], summary: Mapping[str, float], text: ScoreText) -> list[str]:
    """What a finished run says, the main result first.

    Args:
        folder: of the run.
        rows: of its metrics.jsonl.
        summary: `Trainer.summary`.
    """
    following = NEXT_OF_LIFTER if any("MPJPE" in row for row in rows) else NEXT
    return [*score_lines(folder, rows, summary, text), following.format(run=shlex.quote(str(folder)))]


def score_lines(folder: Path, rows: Sequence[Mapping], summary: Mapping[str, float], text: ScoreText) -> list[str]:
    """The scores of the best epoch, by which best.pth was chosen, and those of the last one; only the former where
    they are the same."""
    epochs = {row["epoch"]: row for row in rows if "epoch" in row and main_network(row) != "result"}
    if not epochs:
        return [f"no validation set, so no scores; the networks of the last step: {folder / 'last.pth'}"]
    last, best = max(epochs), int(summary.get("best_epoch", 0))
    if best not in epochs:
        return [f"{text.result(epochs[last])}, epoch {last}: {folder / 'last.pth'}"]
    metric = next(name[5:] for name in summary if name.startswith("best_") and name != "best_epoch")
    where = (
        f"epoch {best}, the last one and the best by {metric}" if best == last else f"epoch {best}, best by {metric}"
    )
    lines = [f"{text.result(epochs[best])} ({where}): {folder / 'best.pth'}"]
    if best != last:
        lines.append(f"{text.result(epochs[last])} (epoch {last}, the last one): {folder / 'last.pth'}")
    return lines
