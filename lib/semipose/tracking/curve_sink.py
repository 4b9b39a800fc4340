"""The learning curve as a picture in the run folder, drawn again after each epoch."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from semipose.data.images import write_png
from semipose.tracking.sinks import Sink, read_rows

# rows of metrics.jsonl -> (H, W, 3) uint8 RGB; given from outside, since this package does not draw
DrawCurve = Callable[[list[dict]], np.ndarray]


class CurveSink(Sink):
    """Draws what is in metrics.jsonl, so it must come after the sink that writes it. A resumed run shows all epochs.

    Args:
        path: of the picture.
        record: the run's metrics.jsonl.
    """

    name = "learning curve"
    optional = True

    def __init__(self, path, record, draw: DrawCurve):
        self.path, self.record, self.draw = Path(path), Path(record), draw

    def log_epoch(self, epoch, step, values):
        write_png(str(self.path), self.draw(list(read_rows(self.record))))
