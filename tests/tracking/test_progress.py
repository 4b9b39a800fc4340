import io
import logging
import re
import sys

import pytest
import torch

from semipose.tracking.progress import Progress, loss_text, peak_memory_mb


class Counted:
    """A number that counts how often it was turned to a float, as a tensor would wait for its device."""

    def __init__(self, value):
        self.value, self.reads = value, 0

    def __float__(self):
        self.reads += 1
        return self.value


@pytest.fixture
def lines(caplog):
    caplog.set_level(logging.INFO, logger="semipose")
    return lambda: [record.message for record in caplog.records]


def test_log_line(lines):
    progress = Progress(800, epoch=3, epochs=3, every=120, terminal=False)
    for step in range(1, 241):
        values = {
            "loss_pose_first": 0.001,
            "loss_pose_second": 0.002,
            "loss_cons_first": 0.004,
            "loss_cons_second": 0.0,
        }
        progress.update(step, values, data_time=0.005, step_time=0.25)
    assert len(lines()) == 2
    for line, step in zip(lines(), (120, 240)):
        loss = rf"epoch 3/3 step {step}/800: loss 0\.007 \(pose 0\.003, cons 0\.004\)"
        assert re.fullmatch(loss + r", 0\.250 s a step \(2 % loading\), [1-9]\d+ MB, 0:00:\d\d left", line)


def test_the_loss_of_one_term_and_of_none():
    assert loss_text({"loss_pose": 0.25}) == "loss 0.25" and loss_text({"lr": 0.1}) == ""
    worst = {"loss_pose": 1.0, "loss_worst_labeled": 2.0, "loss_worst_unlabeled": 4.0}
    assert loss_text(worst) == "loss 7 (pose 1, worst 6)"


def test_memory_is_the_most_that_this_process_held():
    before = peak_memory_mb(torch.device("cpu"))
    block = bytearray(b"1" * (int(before) + 64) * 2**20)  # touched, so that it is really there
    assert before + 32 < peak_memory_mb(torch.device("cpu")) < 2 * before + 4 * len(block) / 2**20
    del block
    assert peak_memory_mb(torch.device("cpu")) > before + 32


def test_times_are_means_since_the_last_line_and_the_last_step_is_logged(lines):
    progress = Progress(3, every=2, terminal=False)
    for step, seconds in ((1, 1.0), (2, 2.0), (3, 7.0)):
        progress.update(step, {}, data_time=seconds / 10, step_time=seconds)
    assert [line.partition(": ")[2].partition(")")[0] for line in lines()] == [
        "1.500 s a step (10 % loading", "7.000 s a step (10 % loading",
    ]  # fmt: skip


def test_eta_is_that_of_the_whole_run_and_counts_only_steps_made_here(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    progress = Progress(100, initial=40, epoch=2, epochs=4, terminal=False)
    clock[0] += 30.0  # 10 steps of 3 seconds
    assert progress.eta(50) == 3.0 * (50 + 200)


@pytest.mark.parametrize("terminal", [False, True])
def test_values_are_read_only_when_shown(monkeypatch, terminal):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    loss = Counted(0.5)
    progress = Progress(1000, every=100, terminal=terminal)
    for step in range(1, 1001):
        progress.update(step, {"loss_pose": loss}, data_time=0.0, step_time=0.0)
    progress.close()
    assert 10 <= loss.reads <= 15


def test_bar_shows_epoch_count_and_values(monkeypatch):
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stderr", screen)
    progress = Progress(10, initial=4, epoch=7, terminal=True)
    progress._bar.mininterval = 0
    for step in range(5, 11):
        progress.update(step, {"loss_pose": 0.25}, data_time=0.01, step_time=0.1)
    progress.close()
    assert "epoch 7" in screen.getvalue() and "10/10" in screen.getvalue() and "loss 0.25" in screen.getvalue()
