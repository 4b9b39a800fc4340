import builtins
import errno
import io
import os
import pathlib
import pickle
import random
import resource
import subprocess
import sys
import tracemalloc
import zipfile
from collections import defaultdict

import numpy as np
import pytest
import torch

from semipose.engine import checkpoint
from semipose.engine.checkpoint import CheckpointFolder, load_checkpoint, save_atomic
from semipose.errors import ModelError, NoSpaceError, SemiposeError


def state_of(step: int) -> dict:
    return {"step": step, "weights": torch.full((5000,), float(step)), "config": "TRAIN:\n  LR: 0.001\n"}


def saved_twice(folder) -> CheckpointFolder:
    checkpoints = CheckpointFolder(folder)
    checkpoints.save_last(state_of(1))
    checkpoints.save_last(state_of(2))
    return checkpoints


def test_round_trip_of_training_state(tmp_path):
    network = torch.nn.Linear(3, 2)
    optimizer = torch.optim.AdamW(network.parameters())
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimizer, [2, 5])
    network(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    state = {"network": network.state_dict(), "optimizer": optimizer.state_dict(), "schedule": schedule.state_dict()}
    save_atomic({**state, "best": 0.5, "run_id": None}, tmp_path / "last.pth")
    loaded = load_checkpoint(tmp_path / "last.pth")
    assert loaded["best"] == 0.5 and loaded["run_id"] is None
    assert torch.equal(loaded["network"]["weight"], network.weight)
    assert torch.equal(loaded["optimizer"]["state"][0]["exp_avg"], optimizer.state_dict()["state"][0]["exp_avg"])
    assert loaded["schedule"] == schedule.state_dict()
    assert [path.name for path in tmp_path.iterdir()] == ["last.pth"]


@pytest.mark.parametrize("value", [np.float64(1), np.zeros(2), pathlib.Path("a"), defaultdict(int), object()])
def test_what_could_not_be_loaded_again_is_refused_when_saving(tmp_path, value):
    with pytest.raises(TypeError, match=r"state\['logs'\]\[1\]\['AP'\]"):
        save_atomic({"logs": [0, {"AP": value}]}, tmp_path / "last.pth")
    assert list(tmp_path.iterdir()) == []


def steps_in(folder) -> dict[str, int]:
    return {path.name: load_checkpoint(path)["step"] for path in sorted(folder.iterdir())}


OLDER = ("last.previous.pth", "last.previous_2.pth", "last.previous_3.pth")


@pytest.mark.parametrize("links", [True, False])
@pytest.mark.parametrize("keep", [1, 2, 4])
def test_as_many_are_kept_as_asked_for(tmp_path, monkeypatch, keep, links):
    if not links:
        no_hard_links(monkeypatch)
    checkpoints = CheckpointFolder(tmp_path, keep)
    for step in range(1, 7):
        checkpoints.save_last(state_of(step))
        kept = dict(zip(("last.pth", *OLDER[: keep - 1]), range(step, 0, -1)))
        assert steps_in(tmp_path) == kept


def test_the_newest_of_many_is_found_and_a_smaller_number_removes_the_oldest(tmp_path, caplog):
    checkpoints = CheckpointFolder(tmp_path, 4)
    for step in range(1, 5):
        checkpoints.save_last(state_of(step))
    for path in (checkpoints.last, checkpoints.previous):
        path.write_bytes(b"damaged")
    fewer = CheckpointFolder(tmp_path, 2)
    state, path = fewer.find_resume("auto")
    assert (state["step"], path.name) == (2, "last.previous_2.pth") and len(caplog.records) == 2
    fewer.save_last(state_of(5))
    fewer.save_last(state_of(6))
    assert steps_in(tmp_path) == {"last.pth": 6, "last.previous.pth": 5}


@pytest.mark.parametrize("links", [True, False])
def test_the_best_has_a_second_name_that_tells_of_what(tmp_path, monkeypatch, links):
    if not links:
        no_hard_links(monkeypatch)
    checkpoints = CheckpointFolder(tmp_path)
    names = {("AP", 3): "best_AP_epoch_3.pth", ("AP", 12): "best_AP_epoch_12.pth"}
    names |= {("../val 2/PCKh@0.5", 12): "best_.._val_2_PCKh@0.5_epoch_12.pth"}
    for step, ((metric, epoch), name) in enumerate(names.items(), 1):
        for _ in range(2):  # an epoch that a resumed run evaluates again
            checkpoints.save_best(state_of(step), metric, epoch)
            assert steps_in(tmp_path) == {"best.pth": step, name: step}
        assert os.path.samefile(tmp_path / name, checkpoints.best) == links


def raising(code: int):
    """A function that the operating system refuses."""

    def refuse(*_):
        raise OSError(code, os.strerror(code))

    return refuse


def no_hard_links(monkeypatch) -> None:
    monkeypatch.setattr(os, "link", raising(errno.EPERM))


def test_one_of_the_pair_can_be_loaded_between_any_two_renamings(tmp_path, monkeypatch):
    checkpoints = saved_twice(tmp_path)
    steps_seen = []

    def watch(name):
        original = getattr(os, name)

        def watched(*arguments, **options):
            steps_seen.append(CheckpointFolder(tmp_path).find_resume("auto")[0]["step"])
            result = original(*arguments, **options)
            steps_seen.append(CheckpointFolder(tmp_path).find_resume("auto")[0]["step"])
            return result

        monkeypatch.setattr(os, name, watched)

    for name in ("replace", "link", "fsync", "unlink"):
        watch(name)
    checkpoints.save_last(state_of(3))
    assert sorted(steps_seen) == steps_seen and set(steps_seen) == {2, 3}


def test_find_resume(tmp_path):
    assert CheckpointFolder(tmp_path).find_resume("auto") is None
    checkpoints = saved_twice(tmp_path)
    checkpoints.save_best(state_of(1))
    for asked, path, step in (("auto", checkpoints.last, 2), (str(checkpoints.best), checkpoints.best, 1)):
        state, found = checkpoints.find_resume(asked)
        assert (state["step"], found) == (step, path)
    with pytest.raises(ModelError, match="absent.pth"):
        checkpoints.find_resume(tmp_path / "absent.pth")


def flip_a_bit_of_the_weights(content: bytes) -> bytes:
    at = content.index(torch.full((100,), 2.0).numpy().tobytes()) + 50
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


DAMAGES = {f"cut at {share:.0%}": lambda c, share=share: c[: int(share * len(c))] for share in np.linspace(0, 0.99, 12)}
DAMAGES |= {
    "last byte missing": lambda c: c[:-1],
    "one bit": flip_a_bit_of_the_weights,
    "zeros": lambda c: bytes(len(c)),
    "zeros at the end": lambda c: c[: len(c) // 2] + bytes(len(c) - len(c) // 2),
    "text": lambda _: b"<html>502 Bad Gateway</html>\n",
    "another archive": lambda _: b"PK\x05\x06" + bytes(18),
    "a list": lambda _: saved_bytes([1, 2]),
    "a number": lambda _: pickle.dumps(1, protocol=2),
}


def saved_bytes(value, **options) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
@pytest.mark.promise("R2")
def test_a_damaged_newest_falls_back_and_says_so(tmp_path, caplog, damage):
    checkpoints = saved_twice(tmp_path)
    checkpoints.last.write_bytes(damage(checkpoints.last.read_bytes()))
    state, path = checkpoints.find_resume("auto")
    assert (state["step"], path) == (1, checkpoints.previous)
    assert torch.equal(state["weights"], torch.ones(5000))
    assert [str(checkpoints.last) in record.message for record in caplog.records] == [True]
    with pytest.raises(ModelError) as caught:
        load_checkpoint(checkpoints.last)
    assert str(checkpoints.last) in str(caught.value) and "\n" not in str(caught.value)


def test_a_damaged_file_never_replaces_the_good_one_before(tmp_path):
    checkpoints = saved_twice(tmp_path)
    checkpoints.last.write_bytes(b"damaged")
    checkpoints.find_resume("auto")
    for step, kept in ((3, 1), (4, 3)):
        checkpoints.save_last(state_of(step))
        assert steps_in(tmp_path) == {"last.pth": step, "last.previous.pth": kept}


def test_a_folder_of_only_damaged_files_is_an_error_not_a_new_run(tmp_path):
    checkpoints = saved_twice(tmp_path)
    for path in (checkpoints.last, checkpoints.previous):
        path.write_bytes(b"damaged")
    with pytest.raises(ModelError, match=r"last\.pth.*last\.previous\.pth"):
        checkpoints.find_resume("auto")


class Hostile:
    """An object that calls `function(*arguments)` when it is unpickled."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


ATTACKS = {
    "os.system": lambda marker: Hostile(os.system, f"touch '{marker}'"),
    "eval": lambda marker: Hostile(builtins.eval, f"open({str(marker)!r}, 'w').close()"),
    "exec": lambda marker: Hostile(builtins.exec, f"open({str(marker)!r}, 'w').close()"),
    "open": lambda marker: Hostile(builtins.open, str(marker), "w"),
    "Path.touch": lambda marker: Hostile(pathlib.Path.touch, marker),
    "Popen": lambda marker: Hostile(subprocess.Popen, ["touch", str(marker)]),
}
FORMATS = {
    "zip": saved_bytes,
    "legacy": lambda value: saved_bytes(value, _use_new_zipfile_serialization=False),
    "pickle": lambda value: pickle.dumps(value, protocol=2),
}


@pytest.mark.parametrize("layout", FORMATS.values(), ids=FORMATS.keys())
@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS.keys())
@pytest.mark.promise("R12")
def test_hostile_checkpoint_is_refused_and_not_run(tmp_path, attack, layout):
    path, marker = tmp_path / "hostile.pth", tmp_path / "marker"
    path.write_bytes(layout({"step": 1, "weights": attack(marker)}))
    with pytest.raises(ModelError) as caught:
        load_checkpoint(path)
    assert not marker.exists()
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.promise("R11")
def test_an_archive_that_unpacks_to_far_more_is_refused_at_once(tmp_path):
    path = tmp_path / "bomb.pth"
    path.write_bytes(saved_bytes({"step": 1}))
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive, archive.open("data/0", "w") as member:
        for _ in range(64):
            member.write(bytes(2**20))
    assert path.stat().st_size < 2**17
    tracemalloc.start()
    with pytest.raises(ModelError, match="bomb.pth"):
        load_checkpoint(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


def assert_old_pair_intact(checkpoints):
    assert steps_in(checkpoints.folder) == {"last.pth": 2, "last.previous.pth": 1}


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.promise("R14")
def test_full_disk_leaves_the_old_files(tmp_path, monkeypatch, code):
    checkpoints = saved_twice(tmp_path)

    monkeypatch.setattr(os, "fsync", raising(code))
    with pytest.raises(SemiposeError, match="last.pth") as caught:
        checkpoints.save_last(state_of(3))
    assert caught.value.exit_code == 4
    assert_old_pair_intact(checkpoints)


@pytest.mark.promise("R14")
def test_a_real_size_limit_leaves_the_old_files(tmp_path):
    checkpoints = saved_twice(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (8192, limits[1]))
    try:
        with pytest.raises(NoSpaceError) as caught:
            checkpoints.save_last(state_of(3))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.exit_code == 4
    assert_old_pair_intact(checkpoints)


KILL_TRIALS = """
import os, random, signal, sys, time
import torch
from semipose.engine.checkpoint import CheckpointFolder

folder, trials = sys.argv[1], int(sys.argv[2])
torch.set_num_threads(1)
generator = random.Random(0)
newest = caught = 0
for _ in range(trials):
    child = os.fork()
    if child == 0:
        checkpoints, step = CheckpointFolder(folder), newest
        while True:
            step += 1
            checkpoints.save_last({"step": step, "weights": torch.full((500_000,), float(step))})
    time.sleep(generator.uniform(0.02, 0.12))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    caught += os.path.exists(os.path.join(folder, "last.pth.tmp"))
    found = CheckpointFolder(folder).find_resume("auto")
    assert found is not None or newest == 0, "no checkpoint"
    if found is not None:
        state, path = found
        assert path.name == "last.pth", f"last.pth unreadable, fell back to {path}"
        assert state["step"] >= newest and bool((state["weights"] == state["step"]).all())
        newest = state["step"]
print(newest, caught)
"""


@pytest.mark.parametrize(
    "trials", [20, pytest.param(100, marks=[pytest.mark.slow, pytest.mark.promise("R1", trials=100)])]
)
def test_sigkill_while_saving_never_leaves_half_a_file(tmp_path, trials):
    command = [sys.executable, "-c", KILL_TRIALS, str(tmp_path), str(trials)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    newest, caught = map(int, result.stdout.split())
    assert newest > 0, "no trial got as far as one save"
    assert caught > trials // 10, "hardly any kill came in the middle of a save"


def draw() -> list:
    return [torch.rand(3).tolist(), np.random.rand(3).tolist(), np.random.randn(), random.random(), random.gauss(0, 1)]


def test_rng_state_round_trip_through_a_file(tmp_path):
    random.gauss(0, 1)  # leaves a second number in the cache
    np.random.randn()
    save_atomic({"rng": checkpoint.rng_state()}, tmp_path / "last.pth")
    first = draw()
    assert draw() != first
    checkpoint.restore_rng_state(load_checkpoint(tmp_path / "last.pth")["rng"])
    assert draw() == first


def test_rng_state_round_trip_of_a_device(tmp_path, device):
    save_atomic({"rng": checkpoint.rng_state()}, tmp_path / "last.pth")
    first = torch.rand(3, device=device)
    checkpoint.restore_rng_state(load_checkpoint(tmp_path / "last.pth", device=device)["rng"])
    assert torch.equal(torch.rand(3, device=device), first)
