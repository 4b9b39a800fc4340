"""How far one epoch is: a bar on a terminal, and a plain log line every few steps."""

import logging
import sys
import time
from datetime import timedelta

logger = logging.getLogger(__name__)


class Progress:
    """Shows the steps of one epoch. Values stay tensors until they are shown, so no step waits for the device.

    Args:
        total: steps in an epoch.
        initial: steps of this epoch that were made before a resume.
        epoch, epochs: number of this epoch (from 1) and of the last one; the ETA is that of the whole run.
        every: steps between two log lines.
        terminal: show a bar; by default where stderr is a terminal. The log lines are written in both cases.
    """

    def __init__(
        self, total: int, initial: int = 0, epoch: int = 1, epochs: int = 1, every: int = 50, terminal=None
    ):  # fmt: skip
        self.total, self.initial, self.epoch, self.epochs, self.every = total, initial, epoch, epochs, every
        self._started = time.monotonic()
        self._data_times, self._step_times = [], []
        self._bar = self._make_bar() if (sys.stderr.isatty() if terminal is None else terminal) else None

    def update(self, step: int, values: dict, data_time: float, step_time: float) -> None:
        """Report that step `step` (1 to total, in this epoch) is done.

        Args:
            values: numbers or one-element tensors by name, such as "lr" and "loss".
            data_time, step_time: seconds this step waited for its batch, and took in all.
        """
        self._data_times.append(data_time)
        self._step_times.append(step_time)
        # tqdm redraws a few times a second at most and says when; the text then shows at its next drawing.
        if self._bar is not None and self._bar.update(step - self._bar.n):
            self._bar.set_postfix_str(self._text(values), refresh=False)
        if step % self.every == 0 or step == self.total:
            logger.info("epoch %d [%d/%d] %s", self.epoch, step, self.total, self._text(values, self.eta(step)))
            self._data_times, self._step_times = [], []

    def eta(self, step: int) -> float:
        """Seconds to the end of the run, at the mean rate of this epoch so far."""
        left = self.total - step + (self.epochs - self.epoch) * self.total
        return (time.monotonic() - self._started) / max(1, step - self.initial) * left

    def close(self) -> None:
        """Leave the bar as it is; further updates are not allowed."""
        if self._bar is not None:
            self._bar.close()

    def _make_bar(self):
        from tqdm import tqdm

        return tqdm(
            total=self.total, initial=self.initial, desc=f"epoch {self.epoch}", leave=False, mininterval=0.5,
            dynamic_ncols=True, file=sys.stderr,
        )  # fmt: skip

    def _text(self, values: dict, eta: float | None = None) -> str:
        """lr 0.002 eta 0:03:12 time 0.213 data 0.004 loss 0.00123; times are means since the last log line."""
        parts = [f"lr {float(values['lr']):.4g}"] if "lr" in values else []
        parts += [] if eta is None else [f"eta {timedelta(seconds=round(eta))}"]
        parts += [f"time {_mean(self._step_times):.3f}", f"data {_mean(self._data_times):.3f}"]
        parts += [f"{name} {float(value):.4g}" for name, value in values.items() if name != "lr"]
        return " ".join(parts)


def _mean(values: list[float]) -> float:
    return sum(values) / max(1, len(values))
