import io
import logging
import re
import sys

import pytest
import torch

from semipose.tracking.progress import Progress, peak_memory_mb


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
        values = {"lr": 0.002, "loss_pose": 0.00123, "acc_pose": 0.8125}
        progress.update(step, values, data_time=0.004, step_time=0.25, samples=64)
    times = r"eta 0:00:\d\d time 0\.250 data 0\.004 speed 256\.0 samples/s memory [1-9]\d+ MB"
    numbers = r"lr 0\.002 loss_pose 0\.00123 acc_pose 0\.8125"
    assert len(lines()) == 2
    for line, step in zip(lines(), (120, 240)):
        assert re.fullmatch(rf"Epoch: \[3\]\[{step}/800\] {times} {numbers}", line)


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
    assert [line.partition("time ")[2].partition(" speed")[0] for line in lines()] == [
        "1.500 data 0.150", "7.000 data 0.700",
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
        progress.update(step, {"loss": loss}, data_time=0.0, step_time=0.0)
    progress.close()
    assert 10 <= loss.reads <= 15


def test_bar_shows_epoch_count_and_values(monkeypatch):
    screen = io.StringIO()
    monkeypatch.setattr(sys, "stderr", screen)
    progress = Progress(10, initial=4, epoch=7, terminal=True)
    progress._bar.mininterval = 0
    for step in range(5, 11):
        progress.update(step, {"loss": 0.25}, data_time=0.01, step_time=0.1)
    progress.close()
    assert "epoch 7" in screen.getvalue() and "10/10" in screen.getvalue() and "loss 0.25" in screen.getvalue()
