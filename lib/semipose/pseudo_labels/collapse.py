"""The alarm for pseudo-labels that have collapsed, with the likely cause and the keys to look at."""

import logging
import math
from collections.abc import Callable

from semipose.errors import CollapseError

logger = logging.getLogger(__name__)

# Below this mean heatmap peak (1 = a perfect Gaussian), or share of kept joints, pseudo-labels teach nothing. Where a
# network that knows nothing has a score above 0, FLAT_PEAK is a share of the way from there to 1.
FLAT_PEAK, FEW_KEPT = 0.05, 0.01
# a mean heatmap peak above what Gaussian targets can teach
WILD_PEAK = 2.0
# a loss is diverging above this many times its smallest epoch mean
GROWTH = 5.0
# A negative log-likelihood is diverging so far above its smallest epoch mean, times its weight. About what it costs if
# errors grow to GROWTH times: `rle` has the log of their scale twice.
RISE = 2 * math.log(GROWTH)
# a score that nearly all outputs reach says nothing
MOST_UNSURE = 0.75
# a network that has only begun to learn looks like a collapsed one, but not for long
START_EPOCHS = 3
PSEUDO_LOSSES = ("loss_cons", "loss_mix", "loss_worst")

ADVICE = {
    "flat": (
        "the teachers predict background everywhere. Likely causes: the hard view is hardly harder than the easy one "
        "(AUGMENT.HARD, AUGMENT.HARD_VIEWS), TRAIN.LR is too high, WEIGHT.LOSS_CONS is too large, or the unlabelled "
        "losses began before the labels were learned (TRAIN.UNSUP_START, TRAIN.UNSUP_RAMP)"
    ),
    "kept": (
        "nearly nothing is taught. Likely causes: PSEUDO.MIN_SCORE (bottom-up: PSEUDO.INSTANCE_SCORE) is too high for "
        "this teacher, or it had too few labelled steps before the unlabelled losses began (TRAIN.UNSUP_START, "
        "TRAIN.WARM_EPOCH)"
    ),
    "diverging": (
        "students and teachers drive each other to larger and larger values. Likely causes: TRAIN.LR is too high "
        "(TRAIN.CLIP_NORM limits a step), the teachers move too fast (USE_EMA, EMA_DECAY), an unlabelled loss has too "
        "much weight (WEIGHT.LOSS_CONS, WEIGHT.LOSS_MIX, WEIGHT.LOSS_WORST), or the unlabelled losses began before the "
        "labels were learned (TRAIN.UNSUP_START, TRAIN.UNSUP_RAMP)"
    ),
}
CHOICE = "TRAIN.STOP_ON_COLLAPSE decides whether the run goes on."


class CollapseAlarm:
    """Looks at each epoch's pseudo-labels and warns, once for each kind of collapse until that kind is over.

    Three kinds: `flat` (the mean heatmap peak is below FLAT_PEAK), `kept` (fewer than FEW_KEPT of the joints are
    kept) and `diverging` (a pseudo-label loss is not finite, or above GROWTH times its smallest epoch mean; or the mean
    peak is above WILD_PEAK). A network that was never good may only have begun to learn: it has START_EPOCHS epochs.

    Args:
        stop: raise a CollapseError instead of going on.
        unsure: score of a network that knows nothing, see `Codec.unsure_score`.
        log_losses: weights of the losses, by their names without those of networks, where they are negative
            log-likelihoods; {} where they are not.
    """

    def __init__(self, stop: bool, unsure: float = 0.0, log_losses: dict[str, float] | None = None):
        self.stop, self.log_losses = stop, log_losses or {}
        self.flat_peak = unsure + FLAT_PEAK * (1 - unsure) if unsure < MOST_UNSURE else 0.0
        self._sounding: list[str] = []
        self._bad_epochs = {"flat": 0, "kept": 0, "wild": 0}
        self._was_good: list[str] = []
        self._smallest: dict[str, list[float]] = {}

    def check(self, epoch: int, ramp: float, health: dict[str, float], losses: dict[str, float]) -> None:
        """Look at one epoch.

        Args:
            epoch: its number, from 1, for the message.
            ramp: factor of the unlabelled losses at the *first* step of the epoch. Below 1 the epoch is not looked at,
                because losses that are still ramped up cannot be compared.
            health: of `PseudoLabelHealth.report`.
            losses: mean of each logged loss over the epoch's steps.

        Raises:
            CollapseError: pseudo-labels have collapsed, and the alarm is to stop the run.
        """
        if ramp < 1:
            return
        faults = {
            "flat": self._flat(health),
            "kept": self._few_kept(health),
            "diverging": self._diverging(health, losses),
        }
        texts = {
            kind: f"pseudo-labels collapse in epoch {epoch}: {fault}: {ADVICE[kind]}. {CHOICE}"
            for kind, fault in faults.items() if fault
        }  # fmt: skip
        for kind, text in texts.items():
            if kind not in self._sounding:
                logger.warning("%s", text)
        self._sounding = sorted(texts)
        if texts and self.stop:
            raise CollapseError(next(iter(texts.values())))

    def state_dict(self) -> dict:
        """Plain values, for a checkpoint."""
        return {
            "sounding": list(self._sounding), "bad_epochs": dict(self._bad_epochs), "was_good": list(self._was_good),
            "smallest": {name: list(pair) for name, pair in self._smallest.items()},
        }  # fmt: skip

    def load_state_dict(self, state: dict) -> None:
        self._sounding, self._was_good = list(state["sounding"]), list(state["was_good"])
        self._bad_epochs = dict(state["bad_epochs"])
        self._smallest = {name: list(pair) for name, pair in state["smallest"].items()}

    def _flat(self, health: dict[str, float]) -> str:
        network, peak = _extreme(health, "health_peak", min)
        bad = self._lasts("flat", peak, peak < self.flat_peak)
        return f"the mean heatmap peak{network} is {peak:.3g}, below {self.flat_peak:.3g}" if bad else ""

    def _few_kept(self, health: dict[str, float]) -> str:
        network, kept = _extreme(health, "health_kept", min)
        bad = self._lasts("kept", kept, kept < FEW_KEPT)
        return f"{100 * kept:.2g} % of the joints{network} are kept, below {100 * FEW_KEPT:g} %" if bad else ""

    def _wild(self, health: dict[str, float]) -> str:
        network, peak = _extreme(health, "health_peak", max)
        bad = self._lasts("wild", peak, peak > WILD_PEAK)
        return f"the mean heatmap peak{network} is {peak:.3g}, above {WILD_PEAK:g}" if bad else ""

    def _lasts(self, fault: str, value: float, bad: bool) -> bool:
        """Whether a bad value is a collapse and not a beginning: it was good before, or bad for START_EPOCHS epochs."""
        if math.isnan(value):
            return False
        if not bad:
            self._was_good = sorted({*self._was_good, fault})
            return False
        self._bad_epochs[fault] += 1
        return fault in self._was_good or self._bad_epochs[fault] >= START_EPOCHS

    def _diverging(self, health: dict[str, float], losses: dict[str, float]) -> str:
        scale = _signal(health)
        pseudo = {name: float(value) for name, value in losses.items() if name.startswith(PSEUDO_LOSSES)}
        found = [self._growth(name, loss, scale, health) for name, loss in pseudo.items()] + [self._wild(health)]
        return next((text for text in found if text), "")

    def _growth(self, name: str, loss: float, scale: float, health: dict[str, float]) -> str:
        """Compare a loss, and the loss per signal of the teachers, with the smallest so far: both must have grown.

        The loss alone also grows where teachers become more confident, as they should: a flat heatmap costs nothing.
        """
        if not math.isfinite(loss):
            return f"{name} is {loss}"
        weight = next((weight for start, weight in self.log_losses.items() if name.startswith(start)), 0.0)
        if weight:
            return self._rise(name, loss, weight * max(_mean_kept(health), FEW_KEPT))
        if loss <= 0 or scale <= 0:
            return ""
        now = [loss, loss / scale]
        before = self._smallest.get(name, now)
        self._smallest[name] = [min(pair) for pair in zip(before, now)]
        if not all(value > GROWTH * smallest for value, smallest in zip(now, before)):
            return ""
        return f"{name} is {loss:.3g}, {loss / before[0]:.1f} times its smallest epoch mean {before[0]:.3g}"

    def _rise(self, name: str, loss: float, weight: float) -> str:
        """Compare a negative log-likelihood, which is about 0 somewhere on its way down, with the smallest so far."""
        now = loss / weight
        before = self._smallest.get(name, [now])[0]
        self._smallest[name] = [min(now, before)]
        if now - before <= RISE:
            return ""
        return f"{name} is {loss:.3g}, {now - before:.1f} for each kept joint above its smallest epoch mean"


def _values(health: dict[str, float], number: str) -> dict[str, float]:
    """`number` by network; the only network of a run has no name."""
    return {
        key.removeprefix(number).removeprefix("_"): value for key, value in health.items()
        if key == number or (key.startswith(f"{number}_") and "/" not in key)
    }  # fmt: skip


def _extreme(health: dict[str, float], number: str, choose: Callable) -> tuple[str, float]:
    """The network with the lowest or highest value, as text, and the value; NaN where there is none."""
    values = _values(health, number)
    if not values:
        return "", math.nan
    network = choose(values, key=values.__getitem__)
    return f" of {network}" if network else "", values[network]


def _mean_kept(health: dict[str, float]) -> float:
    """Share of the joints that are kept, over all networks; 1 where it is not known."""
    kept = _values(health, "health_kept").values()
    return sum(kept) / len(kept) if kept else 1.0


def _signal(health: dict[str, float]) -> float:
    """Roughly the energy of the taught heatmaps: the kept share times the squared peak.

    A peak above 1, that of a perfect Gaussian, counts as 1. Otherwise growing heatmaps would hide a growing loss.
    """
    peaks, kept = _values(health, "health_peak"), _values(health, "health_kept")
    shared = [kept[name] * min(peak, 1.0) ** 2 for name, peak in peaks.items() if name in kept]
    return sum(shared) / len(shared) if shared else 1.0
