import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from semipose.runtime.signals import INTERRUPTED_EXIT, WORKER_GRACE_SECONDS, Interrupted, Interrupts

STOPS = [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1]

TRAINING = """
import sys, time
from semipose.runtime.signals import INTERRUPTED_EXIT, Interrupts
with Interrupts() as interrupts:
    print("ready", flush=True)
    while not interrupts.requested:
        time.sleep(0.005)
    print("flag", flush=True)
    time.sleep(float(sys.argv[1]))  # the checkpoint is written here
    print("saved", flush=True)
sys.exit(INTERRUPTED_EXIT[interrupts.requested])
"""

LOADING = """
import sys, time
import torch
from semipose.runtime.signals import INTERRUPTED_EXIT, Interrupts, worker_init

class Slow(torch.utils.data.Dataset):
    def __len__(self):
        return 10_000
    def __getitem__(self, index):
        time.sleep(0.01)
        return index

loader = torch.utils.data.DataLoader(
    Slow(), batch_size=4, num_workers=2, worker_init_fn=worker_init, multiprocessing_context="fork"
)
with Interrupts() as interrupts:
    batches = iter(loader)
    seen = 0
    while not (interrupts.requested and seen > 20):  # goes on for a while after the signal
        next(batches)
        seen += 1
        if seen == 2:
            print("ready", *(worker.pid for worker in batches._workers), flush=True)
    print("saved", flush=True)
    del batches
sys.exit(INTERRUPTED_EXIT[interrupts.requested])
"""


def start(script: str, *arguments, **variables) -> subprocess.Popen:
    environment = {name: value for name, value in os.environ.items() if name != "TORCHELASTIC_RUN_ID"}
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=environment | variables, start_new_session=True,
    )  # fmt: skip


@pytest.mark.parametrize("number", STOPS)
def test_first_signal_lets_the_run_save(number):
    with start(TRAINING, "0.1") as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        output, errors = process.communicate(timeout=10)
    assert (output, errors) == ("flag\nsaved\n", "")
    assert process.returncode == INTERRUPTED_EXIT[number] == 128 + number


@pytest.mark.parametrize("second", STOPS)
@pytest.mark.parametrize("first", STOPS)
@pytest.mark.promise("R4")
def test_second_signal_ends_at_once(first, second):
    with start(TRAINING, "30") as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(first)
        assert process.stdout.readline() == "flag\n"
        process.send_signal(second)
        output, _ = process.communicate(timeout=10)
    assert output == ""
    assert process.returncode == -second


def test_the_copy_of_a_stop_that_torchrun_forwards_is_not_a_second_signal():
    with start(TRAINING, "0.2", TORCHELASTIC_RUN_ID="none") as process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "flag\n"
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=10)
    assert (output, process.returncode) == ("saved\n", 130)


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, signal.SIGUSR1, pytest.param(signal.SIGINT, marks=pytest.mark.slow)]
)
@pytest.mark.promise("R4")
def test_loader_workers_outlive_a_signal_to_the_whole_group(number):
    with start(LOADING) as process:
        ready, *workers = process.stdout.readline().split()
        started = time.monotonic()
        os.killpg(process.pid, number)
        output, errors = process.communicate(timeout=30)
    assert (ready, len(workers)) == ("ready", 2)
    assert (output, process.returncode) == ("saved\n", 128 + number), errors
    assert time.monotonic() - started < 10
    assert not any(is_alive(int(pid)) for pid in workers)


WORKER = """
import os, signal
from semipose.runtime.signals import worker_init
worker_init(0)  # a worker that was started, not forked, has no other handlers
for number in (signal.SIGINT, signal.SIGUSR1, signal.SIGTERM):
    os.kill(os.getpid(), number)
print(signal.alarm(0) > 30)
"""


def test_a_worker_goes_on_after_each_signal_and_ends_a_minute_after_sigterm():
    with start(WORKER) as process:
        output, errors = process.communicate(timeout=60)
    assert (output, process.returncode) == ("True\n", 0), errors


def test_old_handlers_come_back():
    before = [signal.getsignal(number) for number in STOPS]
    with Interrupts() as interrupts:
        assert interrupts.requested == 0
        interrupts.check()
        assert [signal.getsignal(number) for number in STOPS] != before
        signal.raise_signal(signal.SIGTERM)
        assert interrupts.requested == signal.SIGTERM
        with pytest.raises(Interrupted) as caught:
            interrupts.check()
        assert caught.value.signal == signal.SIGTERM
    assert [signal.getsignal(number) for number in STOPS] == before
    assert interrupts.requested == signal.SIGTERM


def test_outside_the_main_thread_it_does_nothing():
    before = [signal.getsignal(number) for number in STOPS]
    seen = []

    def run():
        with Interrupts() as interrupts:
            seen.append((interrupts.requested, [signal.getsignal(number) for number in STOPS]))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [(0, before)]


ENDS_WITH_A_LOADER = """
import torch
from torch.utils.data import DataLoader
from semipose.runtime.signals import worker_init
loader = DataLoader([1, 2, 3], num_workers=1, persistent_workers=True, worker_init_fn=worker_init)
next(iter(loader))
held = [loader]
held.append(held)  # a circle of references, that nobody takes apart before the end
"""


def test_a_loader_that_is_still_there_does_not_hold_up_the_end():
    subprocess.run([sys.executable, "-c", ENDS_WITH_A_LOADER], check=True, timeout=WORKER_GRACE_SECONDS / 2)
