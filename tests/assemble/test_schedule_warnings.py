"""Schedules that are longer than their run are named before it starts."""

from pathlib import Path

import pytest

from semipose.assemble.schedule_warnings import schedule_warnings
from semipose.config import load_config

CFG = Path(__file__).resolve().parents[2] / "experiments/demo/cotrain.yaml"


def warnings_of(*pairs: str, algorithm: str = "cotrain1", steps: int = 100) -> list[str]:
    return schedule_warnings(load_config(CFG, {"ALGORITHM": algorithm}, list(pairs)), steps)


@pytest.mark.parametrize("algorithm", ["cotrain1", "supervised", "cotrain"])
def test_nothing_is_said_where_all_fits(algorithm):
    assert warnings_of(algorithm=algorithm) == []


@pytest.mark.parametrize(
    ("pairs", "steps", "words"),
    [
        ("TRAIN.STEPS_PER_EPOCH 0 TRAIN.END_EPOCH 70", 1, ["PER_EPOCH is 0 (one pass", "1 step", "70 steps"]),
        ("TRAIN.STEPS_PER_EPOCH 9", 9, ["TRAIN.STEPS_PER_EPOCH is 9", "9 steps"]),
        ("TRAIN.UNSUP_START 1", 100, ["TRAIN.UNSUP_START is 1", "step 1200", "the pool is never used"]),
        ("TRAIN.WARM_EPOCH 12", 100, ["TRAIN.WARM_EPOCH is 12", "the pool is never used"]),
        ("TRAIN.UNSUP_START 0.5 TRAIN.UNSUP_RAMP 1", 100, ["START 0.5", "RAMP 1", "step 1800 of 1200", "50 %"]),
        ("WEIGHT.LOSS_WORST 1 WORST.STEPS 1081", 100, ["WORST.STEPS is 1081", "1080 steps", "HIGH 0.1", "to 270"]),
        ("WEIGHT.LOSS_WORST 1 WORST.STEPS 600 WORST.ALPHA 0.5", 100, ["WORST.STEPS is 600", "to 135"]),
        ("PSEUDO.TEMPORAL track TRAIN.END_EPOCH 1 TRAIN.UNSUP_START 0", 500, ["TEMPORAL track", "END_EPOCH is 1"]),
        ("TRAIN.WARMUP_STEPS 1200", 100, ["TRAIN.WARMUP_STEPS is 1200", "1200 updates", "TRAIN.LR"]),
        ("TRAIN.WARMUP_STEPS 400 TRAIN.ACCUMULATE 3", 100, ["TRAIN.WARMUP_STEPS is 400", "400 updates"]),
    ],
)  # fmt: skip
def test_a_line_with_key_value_and_remedy(pairs, steps, words):
    more = [] if steps >= 10 else ["TRAIN.WARMUP_STEPS", "0"]
    (line,) = warnings_of(*pairs.split(), *more, steps=steps)
    assert all(word in line for word in words) and "\n" not in line


@pytest.mark.parametrize(
    "pairs",
    [
        "TRAIN.UNSUP_START 0.5 TRAIN.UNSUP_RAMP 0.5", "TRAIN.UNSUP_START 0.99 TRAIN.UNSUP_RAMP 0",
        "TRAIN.WARM_EPOCH 11 TRAIN.UNSUP_START 0", "PSEUDO.TEMPORAL weight TRAIN.WARM_EPOCH 10 TRAIN.UNSUP_START 0.4",
        "WEIGHT.LOSS_WORST 1 WORST.STEPS 1080", "WEIGHT.LOSS_WORST 0 WORST.STEPS 100000",
        "TRAIN.WARMUP_STEPS 1199", "TRAIN.WARMUP_STEPS 399 TRAIN.ACCUMULATE 3",
    ],
)  # fmt: skip
def test_just_long_enough(pairs):
    assert warnings_of(*pairs.split()) == []


def test_the_pool_is_no_matter_of_a_supervised_run():
    assert warnings_of("TRAIN.UNSUP_START", "1", algorithm="supervised") == []


def test_steps_of_sequential_cotraining_are_those_of_each_network():
    """Each of its networks has half of the steps of an epoch."""
    assert len(warnings_of("TRAIN.STEPS_PER_EPOCH", "9", "TRAIN.WARMUP_STEPS", "0", algorithm="cotrain", steps=18)) == 1
    (line,) = warnings_of("TRAIN.WARMUP_STEPS", "1200", algorithm="cotrain", steps=200)
    assert "1200 updates" in line
