"""Tensors of a file against those of a network: what fits is loaded, and all else is named."""

from dataclasses import dataclass

from torch import Tensor, nn

COUNTER = "num_batches_tracked"  # of BatchNorm; old files lack it


@dataclass(frozen=True)
class MatchReport:
    """Names of tensors: loaded; in the network only; in the file only; in both with unlike shapes.

    BatchNorm's `num_batches_tracked` counters are loaded when present but not listed: old files lack them.

    Attributes:
        origin: what kind of file it was, and what was done to its tensors; "" for a backbone's weights.
    """

    matched: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    shape_mismatch: tuple[str, ...]
    origin: str = ""

    def __str__(self) -> str:
        total = len(self.matched) + len(self.missing) + len(self.shape_mismatch)
        parts = (("left out", self.unexpected), ("not in file", self.missing), ("other shape", self.shape_mismatch))
        line = f"{self.origin}: " if self.origin else ""
        line += f"{len(self.matched)} of {total} tensors matched"
        return line + "".join(f"; {title}: {shorten(names)}" for title, names in parts if names)


def fitting(network: nn.Module, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of `state` that `network` has, with the same shape."""
    own = network.state_dict()
    return {name: t for name, t in state.items() if name in own and own[name].shape == t.shape}


def load_matching(network: nn.Module, state: dict[str, Tensor], origin: str = "") -> MatchReport:
    """Load into `network` in place all tensors that match by name and shape."""
    report, fits = compare(network, state, origin), fitting(network, state)
    network.load_state_dict(fits, strict=False)
    return report


def compare(network: nn.Module, state: dict[str, Tensor], origin: str = "") -> MatchReport:
    """What `load_matching` would load."""
    own, fits = own_names(network), fitting(network, state)
    return MatchReport(
        matched=tuple(n for n in own if n in fits),
        missing=tuple(n for n in own if n not in state),
        unexpected=tuple(n for n in _without_counters(state) if n not in own),
        shape_mismatch=tuple(n for n in own if n in state and n not in fits),
        origin=origin,
    )


def own_names(network: nn.Module) -> list[str]:
    """Names of the tensors of `network`, without BatchNorm's counters."""
    return _without_counters(network.state_dict())


def shorten(names: tuple[str, ...], most: int = 5, between: str = ", ") -> str:
    """The first names, and how many more there are."""
    rest = len(names) - most
    return between.join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


def _without_counters(names) -> list[str]:
    return [n for n in names if not n.endswith(COUNTER) and not n.endswith("_extra_state")]
