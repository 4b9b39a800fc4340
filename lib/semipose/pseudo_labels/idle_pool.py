"""The warning for a pool that has no effect, as no pseudo-label is good enough to be learned."""

import logging

logger = logging.getLogger(__name__)

# terms that learn each joint as its pseudo-label is trusted; a joint that is kept costs something
TAUGHT = ("loss_cons", "loss_mix")


class IdlePool:
    """Warns once, in the first epoch in which the pool was looked at and taught nothing.

    Such a run is the same run whatever weight the unlabelled losses have.

    Args:
        min_score, instance_score: of PSEUDO; the latter counts bottom-up.
    """

    def __init__(self, min_score: float, instance_score: float = 0.0):
        self.min_score, self.instance_score, self._said = min_score, instance_score, False

    def check(self, epoch: int, health: dict[str, float], losses: dict[str, float]) -> None:
        """
        Args:
            epoch: its number, from 1, for the message.
            health: of `PseudoLabelHealth.report`.
            losses: mean of each logged loss over the steps of the epoch.
        """
        taught = [value for name, value in losses.items() if name.startswith(TAUGHT)]
        instances = _of_networks(health, "health_instances")
        if self._said or not taught or any(instances or taught):
            return
        self._said = True
        peaks = _of_networks(health, "health_peak")
        mean = f" (their mean score is {max(peaks):.2g})" if peaks else ""
        logger.warning("no pseudo-label is kept in epoch %d%s: %s", epoch, mean, self._reason(bool(instances)))

    def _reason(self, bottom_up: bool) -> str:
        key, value = ("INSTANCE_SCORE", self.instance_score) if bottom_up else ("MIN_SCORE", self.min_score)
        if value == 0:
            return "the weights of all of them are 0 (see REWEIGHT and PSEUDO.MULTIVIEW_PAIRS)"
        return (
            f"PSEUDO.{key} is {value:g}, so the unlabelled losses teach nothing and WEIGHT.LOSS_CONS has no effect. "
            f"Lower PSEUDO.{key}, or train longer on labels first (TRAIN.UNSUP_START, TRAIN.END_EPOCH)"
        )


def _of_networks(health: dict[str, float], number: str) -> list[float]:
    """A number of each network, without those of single joints."""
    return [value for name, value in health.items() if name.startswith(number) and "/" not in name]
