"""How far one epoch is: a bar on a terminal, and a plain log line every few steps."""

import logging
import resource
import sys
import time
from datetime import timedelta

import torch

logger = logging.getLogger(__name__)


class Progress:
    """Shows the steps of one epoch. Values stay tensors until they are shown, so no step waits for the device.

    Args:
        total: steps in an epoch.
        initial: steps of this epoch that were made before a resume.
        epoch, epochs: number of this epoch (from 1) and of the last one; the ETA is that of the whole run.
        every: steps between two log lines.
        device: where the networks are; its memory is shown.
        terminal: show a bar; by default where stderr is a terminal. The log lines are written in both cases.
    """

    def __init__(
        self, total: int, initial: int = 0, epoch: int = 1, epochs: int = 1, every: int = 50,
        device: torch.device | None = None, terminal: bool | None = None,
    ):  # fmt: skip
        self.total, self.initial, self.epoch, self.epochs, self.every = total, initial, epoch, epochs, every
        self.device = device or torch.device("cpu")
        self._started = time.monotonic()
        self._data_times, self._step_times = [], []
        self._bar = self._make_bar() if (sys.stderr.isatty() if terminal is None else terminal) else None

    def update(self, step: int, values: dict, data_time: float, step_time: float) -> None:
        """Report that step `step` (1 to total, in this epoch) is done.

        Args:
            values: numbers or one-element tensors by name, such as "loss_pose"; read only if they are shown.
            data_time, step_time: seconds that the step waited for its batch, and seconds of the whole step.
        """
        self._data_times.append(data_time)
        self._step_times.append(step_time)
        # tqdm redraws at most a few times a second and tells when; the text appears at its next drawing.
        if self._bar is not None and self._bar.update(step - self._bar.n):
            self._bar.set_postfix_str(loss_text(values), refresh=False)
        if step % self.every == 0 or step == self.total:
            logger.info(
                "epoch %d/%d step %d/%d: %s", self.epoch, self.epochs, step, self.total, self._line(step, values)
            )
            self._data_times, self._step_times = [], []

    def eta(self, step: int) -> float:
        """Seconds to the end of the run, at the mean rate of this epoch so far."""
        left = self.total - step + (self.epochs - self.epoch) * self.total
        return (time.monotonic() - self._started) / max(1, step - self.initial) * left

    def close(self) -> None:
        """End the bar; no update may follow."""
        if self._bar is not None:
            self._bar.close()

    def _make_bar(self):
        from tqdm import tqdm

        return tqdm(
            total=self.total, initial=self.initial, desc=f"epoch {self.epoch}", leave=False, mininterval=0.5,
            dynamic_ncols=True, file=sys.stderr,
        )  # fmt: skip

    def _line(self, step: int, values: dict) -> str:
        """loss 0.0118 (pose 0.0113, cons 0.0005), 0.213 s a step (2 % loading), 812 MB, 0:03:12 left"""
        seconds, waited = sum(self._step_times), sum(self._data_times)
        left = timedelta(seconds=round(self.eta(step)))
        loading = f"{100 * waited / seconds:.0f} % loading" if seconds > 0 else "no time"
        each = f"{seconds / max(1, len(self._step_times)):.3f} s a step ({loading})"
        losses = [text] if (text := loss_text(values)) else []
        return ", ".join([*losses, each, f"{peak_memory_mb(self.device):.0f} MB", f"{left} left"])


def peak_memory_mb(device: torch.device) -> float:
    """The most that was in use so far, in MB: tensors on a GPU, or what this process held in memory."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def loss_text(values: dict) -> str:
    """The loss of a step and its terms, each summed over the networks; "" without losses.

    `{"loss_pose_first": 1, "loss_pose_second": 2, "loss_cons_first": 4}` is `loss 7 (pose 3, cons 4)`.
    """
    terms: dict[str, float] = {}
    for name, value in values.items():
        if name.startswith("loss_"):
            term = name.split("_")[1]
            terms[term] = terms.get(term, 0.0) + float(value)
    parts = ", ".join(f"{term} {value:.4g}" for term, value in terms.items())
    whole = f"loss {sum(terms.values()):.4g}"
    return f"{whole} ({parts})" if len(terms) > 1 else whole if terms else ""
