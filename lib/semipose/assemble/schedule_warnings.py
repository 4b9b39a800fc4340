"""What a configuration asks for and its run is too short for: said before the first step."""

from yacs.config import CfgNode

from semipose.assemble.recipe import build_ramp
from semipose.assemble.tasks import find_task

FEWEST_STEPS = 10  # of an epoch; below it evaluation and learning rate take turns with hardly any learning
PERCENT = "{:.0f} %"


def schedule_warnings(config: CfgNode, epoch_steps: int) -> list[str]:
    """A line for each schedule that does not fit the run: key, value, what happens, remedy.

    Args:
        epoch_steps: steps of an epoch over all phases.
    """
    found = [_few_steps(config, epoch_steps), _warm_up(config, epoch_steps)]
    if find_task(config).entry(config).takes_unlabeled:
        found += [_pool(config, epoch_steps), _time(config, epoch_steps), _worst_case(config, epoch_steps)]
    return [line for line in found if line]


def _few_steps(config: CfgNode, epoch_steps: int) -> str:
    """An epoch is one pass over the data, which is soon done where there are few."""
    passes = len(find_task(config).entry(config).phases)
    if epoch_steps >= FEWEST_STEPS * passes:
        return ""
    train, whole = config.TRAIN, epoch_steps * config.TRAIN.END_EPOCH
    meaning = "" if train.STEPS_PER_EPOCH else " (one pass over the data)"
    return (
        f"TRAIN.STEPS_PER_EPOCH is {train.STEPS_PER_EPOCH}{meaning}: an epoch has {_steps(epoch_steps)} and the run of "
        f"{train.END_EPOCH} epochs {_steps(whole)}. Set TRAIN.STEPS_PER_EPOCH to 100 or so"
    )


def _warm_up(config: CfgNode, epoch_steps: int) -> str:
    train, passes = config.TRAIN, len(find_task(config).entry(config).phases)
    updates = train.END_EPOCH * epoch_steps // passes // train.ACCUMULATE
    if max(updates, 1) > train.WARMUP_STEPS:
        return ""
    return (
        f"TRAIN.WARMUP_STEPS is {train.WARMUP_STEPS} and the run has {updates} updates: TRAIN.LR {train.LR:g} is never "
        "reached. Lower it, or train longer (TRAIN.END_EPOCH)"
    )


def _pool(config: CfgNode, epoch_steps: int) -> str:
    """Unlabelled losses that never start, or never come to their full weight."""
    train, ramp, whole = config.TRAIN, build_ramp(config, epoch_steps), config.TRAIN.END_EPOCH * epoch_steps
    if ramp.start >= whole:
        key = "TRAIN.UNSUP_START" if train.WARM_EPOCH < train.END_EPOCH else "TRAIN.WARM_EPOCH"
        value = train.UNSUP_START if key == "TRAIN.UNSUP_START" else train.WARM_EPOCH
        return (
            f"{key} is {value:g}: the unlabelled losses would start at step {ramp.start} and the run has {whole}, so "
            f"the pool is never used. Lower {key}, or train longer (TRAIN.END_EPOCH)"
        )
    if ramp.end <= whole:
        return ""
    return (
        f"TRAIN.UNSUP_START {train.UNSUP_START:g} and TRAIN.UNSUP_RAMP {train.UNSUP_RAMP:g} are more than 1 together: "
        f"the ramp would end at step {ramp.end} of {whole}, and the unlabelled losses reach "
        f"{PERCENT.format(100 * ramp(whole - 1))} of their weight. Lower one of them"
    )


def _time(config: CfgNode, epoch_steps: int) -> str:
    """What a teacher said of other frames is known from the second epoch of pseudo-labels on."""
    last, whole = (config.TRAIN.END_EPOCH - 1) * epoch_steps, config.TRAIN.END_EPOCH * epoch_steps
    if config.PSEUDO.TEMPORAL == "none" or not last <= build_ramp(config, epoch_steps).start < whole:
        return ""
    return (
        f"PSEUDO.TEMPORAL {config.PSEUDO.TEMPORAL} does nothing in the first epoch of pseudo-labels, which is the last "
        f"of this run. Make more, shorter epochs (TRAIN.END_EPOCH is {config.TRAIN.END_EPOCH}, TRAIN.STEPS_PER_EPOCH "
        f"{config.TRAIN.STEPS_PER_EPOCH})"
    )


def _worst_case(config: CfgNode, epoch_steps: int) -> str:
    worst, ramp = config.WORST, build_ramp(config, epoch_steps)
    left = config.TRAIN.END_EPOCH * epoch_steps - ramp.start
    if config.WEIGHT.LOSS_WORST == 0 or left <= 0 or worst.ALPHA * left >= worst.STEPS:
        return ""
    fitting = max(1, round(worst.ALPHA * left / 4))
    return (
        f"WORST.STEPS is {worst.STEPS} and {_steps(left)} are left once the unlabelled losses start: the worst-case "
        f"schedule does not come near WORST.LAMBDA_HIGH {worst.LAMBDA_HIGH:g}. Set WORST.STEPS to {fitting} "
        "or so, or train longer (TRAIN.END_EPOCH)"
    )


def _steps(count: int) -> str:
    return f"{count} step" if count == 1 else f"{count} steps"
