"""Means of logged values between two log lines, kept as tensors so that no step waits for the device."""

from torch import Tensor

from semipose.runtime.ranks import mean


class Averages:
    """Sums and counts by name; both go into a checkpoint, so a resumed run logs the same means."""

    def __init__(self):
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}

    def add(self, values: dict[str, Tensor]) -> None:
        for name, value in values.items():
            self._sums[name] = self._sums[name] + value if name in self._sums else value
            self._counts[name] = self._counts.get(name, 0) + 1

    def take(self) -> dict[str, float]:
        """The means since the last call, over all ranks; starts again from zero."""
        means = {name: float(total) / self._counts[name] for name, total in mean(self._sums).items()}
        self._sums, self._counts = {}, {}
        return means

    def state_dict(self) -> dict:
        return {"sums": {name: total.cpu() for name, total in self._sums.items()}, "counts": dict(self._counts)}

    def load_state_dict(self, state: dict) -> None:
        self._sums, self._counts = dict(state["sums"]), dict(state["counts"])
