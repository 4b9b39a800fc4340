"""What may change when a run goes on."""

import logging

from yacs.config import CfgNode

from semipose.config import default_config, flat_keys, to_plain
from semipose.errors import ConfigError

log = logging.getLogger(__name__)

# what may differ from the run that is resumed, by the start of the key; END_EPOCH: to train longer (same ramp)
FREE_ON_RESUME = (
    "NAME", "OUTPUT_DIR", "WORKERS", "GPUS", "TRACKING", "CHECKPOINT", "TEST", "MODEL.PRETRAINED", "DATASET.ROOT",
    "DATASET.LINKS", "DATASET.CACHE", "DATASET.MAX_BAD", "TRAIN.PRINT_FREQ", "TRAIN.EVAL_INTERVAL", "TRAIN.END_EPOCH",
    "TRAIN.STOP_ON_COLLAPSE", "TRAIN.PATIENCE", "MODEL.SECOND.PRETRAINED", "TRAIN.MAX_NONFINITE", "TRAIN.PROFILE",
)  # fmt: skip
# what may differ between the processes of a run, as they may be on several machines
MACHINE_KEYS = (
    "OUTPUT_DIR", "WORKERS", "GPUS", "TRACKING", "DATASET.ROOT", "DATASET.LINKS", "DATASET.CACHE", "MODEL.PRETRAINED",
    "MODEL.SECOND.PRETRAINED",
)  # fmt: skip


def refuse_changes(before: dict, config: CfgNode, source: str) -> None:
    """A run can only go on as what it was; raises ConfigError for the first key that has changed.

    A key that is younger than the run had its default: a new key does nothing by default.
    """
    before = flat_keys(to_plain(default_config())) | before
    for key, value in keys_without(FREE_ON_RESUME, config).items():
        if before[key] != value:
            raise ConfigError(
                f"{key} is {value!r}, but the run in {source} has {before[key]!r}; "
                "go on with the same value, or start a new run with another --name"
            )


def warn_of_another_cosine(before: dict, config: CfgNode) -> None:
    """Where a run is made longer, or shorter."""
    epochs = before["TRAIN.END_EPOCH"], config.TRAIN.END_EPOCH
    if config.TRAIN.SCHEDULE == "cosine" and epochs[0] != epochs[1]:
        text = "TRAIN.END_EPOCH was %d: from here on the learning rate is that of a cosine of %d epochs, a jump"
        log.warning(text, *epochs)


def keys_without(starts: tuple[str, ...], config: CfgNode) -> dict:
    """All keys and values but those of keys that begin so."""
    return {key: value for key, value in sorted(flat_keys(to_plain(config)).items()) if not key.startswith(starts)}
