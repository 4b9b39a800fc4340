"""A pool that teaches nothing is named, once."""

import logging

import pytest

from semipose.pseudo_labels.idle_pool import IdlePool

IDLE = {"loss_pose_first": 0.5, "loss_cons_first": 0.0, "loss_cons_second": 0.0}
PEAKS = {"health_peak_first": 0.125, "health_peak_second": 0.25, "health_peak_first/nose": 0.75}


def told(caplog) -> list[str]:
    return [record.message for record in caplog.records if record.levelno == logging.WARNING]


def test_it_is_said_once_with_key_value_and_what_the_teachers_reach(caplog):
    idle = IdlePool(0.5)
    for epoch in (1, 2, 3):
        idle.check(epoch, PEAKS, {"loss_pose_first": 0.5} if epoch == 1 else IDLE)
    (line,) = told(caplog)
    assert "epoch 2" in line and "PSEUDO.MIN_SCORE is 0.5" in line and "0.25" in line and "0.75" not in line


@pytest.mark.parametrize(
    "losses", [{"loss_pose": 0.0}, IDLE | {"loss_cons_second": 1e-6}, IDLE | {"loss_cons_second": -0.1}, {}]
)
def test_nothing_is_said_of_a_pool_that_acts_or_is_not_looked_at(caplog, losses):
    IdlePool(0.5).check(1, {}, losses)
    assert told(caplog) == []


def test_bottom_up_background_is_learned_though_nobody_is_found(caplog):
    idle = IdlePool(0.0, 0.4)
    idle.check(1, {"health_instances_first": 0.5, "health_instances_second": 0.0}, {"loss_cons_first": 0.1})
    assert told(caplog) == []
    idle.check(2, {"health_instances_first": 0.0, "health_instances_second": 0.0}, {"loss_cons_first": 0.1})
    (line,) = told(caplog)
    assert "PSEUDO.INSTANCE_SCORE is 0.4" in line and "epoch 2" in line
