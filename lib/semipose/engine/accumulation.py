"""Gradients of several steps, applied together."""

from collections.abc import Sequence

from torch import Tensor, nn


class GradientSums:
    """Sums of the gradients since the last update.

    They are kept apart from `.grad`: a skipped step leaves nothing in them, and a checkpoint can hold them. So a run
    that is stopped between two updates goes on exactly.

    Attributes:
        count: steps in the sums.
    """

    def __init__(self, parameters: Sequence[nn.Parameter]):
        self._parameters, self.count = parameters, 0
        self._sums: list[Tensor | None] = [None] * len(parameters)

    def add(self) -> None:
        """Add what is in `.grad`; a parameter may have none in some of the steps."""
        for number, parameter in enumerate(self._parameters):
            found, total = parameter.grad, self._sums[number]
            if found is not None:
                self._sums[number] = found.clone() if total is None else total.add_(found)
        self.count += 1

    def apply(self) -> None:
        """Put the sums into `.grad` and start again from zero."""
        for parameter, total in zip(self._parameters, self._sums):
            parameter.grad = total
        self._sums, self.count = [None] * len(self._parameters), 0

    def state_dict(self) -> dict:
        return {"count": self.count, "sums": list(self._sums) if self.count else []}

    def load_state_dict(self, state: dict) -> None:
        self.count = state["count"]
        saved = state["sums"] or [None] * len(self._parameters)
        pairs = zip(saved, self._parameters, strict=True)
        self._sums = [None if total is None else total.to(parameter.device, copy=True) for total, parameter in pairs]
