"""The collapse alarm: silent for what is healthy, and one warning for each kind of collapse."""

import logging
import math
import re

import pytest

from semipose.config import default_config
from semipose.engine.checkpoint import save_atomic
from semipose.errors import CollapseError, DivergedError
from semipose.pseudo_labels.collapse import ADVICE, CHOICE, START_EPOCHS, CollapseAlarm

GOOD = {"health_peak": 0.6, "health_kept": 0.9}
FLAT = {"health_peak": 0.01, "health_kept": 0.9}
BARE = {"health_peak": 0.3, "health_kept": 0.001}


def epoch(health=GOOD, cons=1e-3, ramp=1.0, **losses):
    return ramp, health, {"loss_pose": 1e-3, "loss_cons": cons, **losses}


def warnings_of(caplog, epochs, alarm=None) -> list[str]:
    """For each epoch which alarms are new: the first words after the number of the epoch."""
    alarm, found = alarm or CollapseAlarm(stop=False), []
    for number, arguments in enumerate(epochs, start=1):
        caplog.clear()
        alarm.check(number, *arguments)
        texts = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
        assert all(f"epoch {number}" in text for text in texts)
        kinds = [kind for text in texts for kind, advice in ADVICE.items() if advice in text]
        assert len(kinds) == len(texts)
        found.append(" ".join(kinds))
    return found


def test_heatmaps_that_become_flat(caplog):
    assert warnings_of(caplog, [epoch(), epoch(), epoch(FLAT)]) == ["", "", "flat"]
    assert "0.01" in caplog.text


def test_what_is_flat_depends_on_the_score_of_a_network_that_knows_nothing(caplog):
    unsure, sure = epoch({"health_peak": 0.5, "health_kept": 1.0}), epoch({"health_peak": 0.6, "health_kept": 1.0})
    assert warnings_of(caplog, [sure, unsure], CollapseAlarm(False, unsure=0.495)) == ["", "flat"]
    assert "0.5, below 0.52" in caplog.text
    assert warnings_of(caplog, [sure, unsure]) == ["", ""]
    assert warnings_of(caplog, [sure, unsure], CollapseAlarm(False, unsure=1.0)) == ["", ""]  # there are no scores


def test_a_log_likelihood_may_pass_zero(caplog):
    alarm = CollapseAlarm(False, log_losses={"loss_cons": 2.0})
    healthy = [epoch(cons=cons) for cons in (1.5, 0.01, 0.6, -3.0, -2.0, -4.0)]
    assert warnings_of(caplog, healthy, alarm) == [""] * 6
    state = alarm.state_dict()
    assert warnings_of(caplog, [epoch(cons=3.0)], alarm) == ["diverging"]  # up by 7 at a weight of 2, 90 % kept
    again = CollapseAlarm(False, log_losses={"loss_cons": 2.0})
    again.load_state_dict(state)
    assert warnings_of(caplog, [epoch(cons=3.0)], again) == ["diverging"]


def test_a_log_likelihood_of_fewer_joints_is_no_rise(caplog):
    alarm = CollapseAlarm(False, log_losses={"loss_cons": 1.0})
    few = {"health_peak": 0.6, "health_kept": 0.1}
    assert warnings_of(caplog, [epoch(cons=-4.5), epoch(few, cons=-0.5)], alarm) == ["", ""]


def test_few_kept_joints(caplog):
    assert warnings_of(caplog, [epoch(), epoch(BARE)]) == ["", "kept"]
    assert "0.1 %" in caplog.text


@pytest.mark.parametrize("name", ["loss_cons", "loss_cons_second", "loss_mix_first", "loss_worst"])
def test_a_growing_loss(caplog, name):
    means = (2e-3, 1e-3, 4.9e-3, 5.1e-3)
    assert warnings_of(caplog, [epoch(**{name: value}) for value in means]) == ["", "", "", "diverging"]
    assert f"{name} is 0.0051, 5.1 times" in caplog.text


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite(caplog, value):
    assert warnings_of(caplog, [epoch(cons=value)]) == ["diverging"]


def test_heatmaps_that_grow_without_bound(caplog):
    wild = epoch({"health_peak": 1e4, "health_kept": 1.0}, 1e8)
    assert warnings_of(caplog, [epoch({"health_peak": 0.01, "health_kept": 1.0}, 1e8), wild]) == ["", "diverging"]
    assert "1e+04" in caplog.text
    assert warnings_of(caplog, [wild] * 4) == ["", "", "diverging", ""]


def test_other_losses_do_not_count(caplog):
    assert warnings_of(caplog, [epoch(loss_pose=1e-4), epoch(loss_pose=1.0)]) == ["", ""]


def test_the_lowest_of_two_networks_counts_and_is_named(caplog):
    both = {"health_peak_first": 0.6, "health_peak_second": 0.7, "health_kept_first": 0.9, "health_kept_second": 0.8}
    joints = {"health_peak_first/nose": 0.0, "health_kept_second/nose": 0.0, "health_persons_first": 0.0}
    collapsed = both | {"health_peak_second": 0.02, "health_kept_first": 0.0}
    assert warnings_of(caplog, [epoch(both | joints), epoch(collapsed)]) == ["", "flat kept"]
    assert "of second is 0.02" in caplog.text and "of first" in caplog.text


def test_once_and_again_when_it_comes_back(caplog):
    epochs = [epoch(), epoch(FLAT), epoch(FLAT), epoch(), epoch(FLAT), epoch(BARE), epoch(BARE)]
    assert warnings_of(caplog, epochs) == ["", "flat", "", "", "flat", "kept", ""]


# Healthy runs


@pytest.mark.parametrize("ramp", [0.0, 0.5, 0.999])
def test_epochs_before_the_full_weight_are_passed_over(caplog, ramp):
    """Neither alarmed at nor compared with, and the epochs that a network may begin with are not used up."""
    beginning = [epoch(FLAT | BARE, 1e-9, ramp), epoch(GOOD, 1e-9, ramp), epoch(FLAT, math.nan, ramp)]
    assert warnings_of(caplog, [*beginning * 2, epoch(FLAT), epoch(), epoch()]) == [""] * 9


def test_a_network_that_begins_to_learn(caplog):
    """From scratch and without a ramp: flat at first, nothing kept, and the loss grows with the peaks."""
    peaks, kept = (0.02, 0.04, 0.2, 0.5, 0.7), (0.0, 0.005, 0.1, 0.6, 0.9)
    losses = (0.0, 2e-6, 1e-4, 5e-4, 5e-4)
    epochs = [epoch({"health_peak": p, "health_kept": k}, c) for p, k, c in zip(peaks, kept, losses)]
    assert warnings_of(caplog, epochs) == [""] * 5


def test_a_network_that_does_not_begin_to_learn(caplog):
    found = warnings_of(caplog, [epoch(FLAT)] * (START_EPOCHS + 1))
    assert found == [""] * (START_EPOCHS - 1) + ["flat", ""]


def test_a_measured_run_is_healthy(caplog):
    """Mean Teacher on the drawn people, unlabelled losses from the first step, 20 steps an epoch: from its first epoch
    to the fourth the loss grows 8 times."""
    peaks, losses = (0.0117, 0.14, 0.262, 0.353, 0.385), (8.43e-5, 2.69e-4, 4.83e-4, 7.05e-4, 6.86e-4)
    epochs = [epoch({"health_peak": peak, "health_kept": 1.0}, loss) for peak, loss in zip(peaks, losses)]
    assert warnings_of(caplog, epochs) == [""] * 5


def test_confident_teachers_excuse_a_loss_up_to_a_perfect_gaussian(caplog):
    def at(peak, cons):
        return epoch({"health_peak": peak, "health_kept": 1.0}, cons)

    assert warnings_of(caplog, [at(0.1, 1e-5), at(0.8, 6.3e-4)]) == ["", ""]
    assert warnings_of(caplog, [at(0.1, 1e-5), at(0.1, 6.3e-4)]) == ["", "diverging"]
    assert warnings_of(caplog, [at(1.0, 1e-3), at(1.9, 6e-3)]) == ["", "diverging"]


def test_a_collapse_is_not_called_diverging(caplog):
    falling = [epoch({"health_peak": 0.5 / 4**n, "health_kept": 1.0}, 1e-3 / 2**n) for n in range(4)]
    assert warnings_of(caplog, falling) == ["", "", "flat", ""]


def test_nothing_is_known(caplog):
    assert (
        warnings_of(caplog, [(1.0, {}, {}), (1.0, {}, {"loss_pose": 1.0}), (1.0, {"health_persons": 0.0}, {})])
        == [""] * 3
    )


# Stop, resume, text


def test_stop_raises_the_text_of_the_warning(caplog):
    alarm = CollapseAlarm(stop=True)
    alarm.check(1, *epoch())
    with pytest.raises(CollapseError) as caught:
        alarm.check(2, *epoch(FLAT))
    assert [record.getMessage() for record in caplog.records] == [str(caught.value)]
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == DivergedError.exit_code
    with pytest.raises(CollapseError):
        alarm.check(3, *epoch(FLAT))


RUN = [
    epoch({"health_peak": 0.02, "health_kept": 0.0}, 1e-5), epoch(cons=2e-3), epoch(cons=1e-3), epoch(FLAT, 1e-3),
    epoch(FLAT, 1e-3), epoch(cons=6e-3), epoch(BARE, 1e-3), epoch({"health_peak": 0.02, "health_kept": 0.0}, 2e-3),
]  # fmt: skip


BEGINNING = [epoch(FLAT)] * (START_EPOCHS + 1)
STOPS = [(run, n) for run in (RUN, BEGINNING) for n in range(1, len(run))]


@pytest.mark.parametrize(("run", "stopped"), STOPS)
def test_a_resumed_run_alarms_at_the_same_moments(caplog, tmp_path, run, stopped):
    expected = warnings_of(caplog, run)
    first, second = CollapseAlarm(stop=False), CollapseAlarm(stop=False)
    before = warnings_of(caplog, run[:stopped], first)
    state = first.state_dict()
    save_atomic(state, tmp_path / "state.pth")  # plain values only
    second.load_state_dict(state)
    assert second.state_dict() == state
    assert before + warnings_of(caplog, run[stopped:], second) == expected
    assert first.state_dict() == state, "shared with the alarm that was resumed"


def test_the_keys_in_the_advice_exist():
    words = set(re.findall(r"\b[A-Z]+(?:[._][A-Z]+)+\b", " ".join([*ADVICE.values(), CHOICE])))
    assert {"TRAIN.STOP_ON_COLLAPSE", "PSEUDO.MIN_SCORE", "TRAIN.UNSUP_START", "USE_EMA"} <= words
    for word in words:
        node = default_config()
        for key in word.split("."):
            assert key in node, word
            node = node[key]
