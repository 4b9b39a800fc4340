"""What `semipose valid` says of lifters."""

import json
from pathlib import Path

from semipose.errors import ConfigError, write_error
from semipose.evaluation import format_rows
from semipose.runtime.ranks import is_first


def tell_scores(scores: dict[str, dict[str, dict[str, float]]], out: str | None, show_dir: str | None) -> int:
    """Print a table for each set, and write all numbers, by set and network, to the JSON file `out`; returns 0.

    Raises:
        ConfigError: pictures are asked for. SemiposeError: `out` cannot be written.
    """
    if show_dir:
        raise ConfigError("--show-dir: not for a run that lifts; semipose predict --lift draws what it does")
    for name, rows in scores.items():
        print(format_rows(name, rows))
    if out and is_first():
        try:
            Path(out).write_text(json.dumps(scores), encoding="utf-8")
        except OSError as error:
            raise write_error(error, out) from error
    return 0
