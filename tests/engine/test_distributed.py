"""Several processes train what one process trains with the joined batch."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import ranks_script
import torch

from semipose import build
from semipose.config import load_config
from semipose.data.drawn_people import write_demo_data
from semipose.engine.checkpoint import load_checkpoint
from semipose.engine.distributed import by_first, gather, highest, mean, shared
from semipose.engine.launch import _exit_code
from semipose.errors import ModelError
from semipose.models.sync_batch_norm import sync_batch_norm

ROOT = Path(__file__).resolve().parents[2]
PERSONS = 23  # unlabelled: batches of 6, the last of which has 3 rows for one rank and 2 for the other
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": f"{ROOT / 'lib'}:{ROOT}"}


def sizes(ranks: int) -> list[str]:
    return ["TRAIN.BATCH_SIZE", str(4 // ranks), "TRAIN.BATCH_SIZE_UNSUP", str(6 // ranks)]


def epochs(count: int) -> list[str]:
    return ["TRAIN.END_EPOCH", str(count)]


# 6, 8, 20 and 16 steps; of the 7 labelled persons the last batch of `supervised` has 3, 2 of them on one rank
EQUAL = {"supervised": epochs(3), "pose_dual": epochs(2), "cotrain1": epochs(5), "cotrain": epochs(2)}
# every loss term, EMA teachers, BatchNorms of their own, and pseudo-labels that depend on the split
ALL_TERMS = """TRAIN.END_EPOCH 2 TRAIN.SYNC_BN false WEIGHT.LOSS_MIX 0.5 WEIGHT.LOSS_WORST 0.5 WORST.PSEUDO_HEAD true
REWEIGHT true AUGMENT.HARD_VIEWS [[by_difficulty],[cutmix]] MIX.WHERE manifold AUGMENT.HARD.COLOR 0.3""".split()
# looks: 8 steps, then 2 rounds of evaluation batches
STOPPED = {"in step 2": 2, "in evaluation": 10}


@pytest.fixture(scope="module")
def data_root(tmp_path_factory):
    root = tmp_path_factory.mktemp("people")
    write_demo_data(str(root), labeled=7, unlabeled=PERSONS, val=7, size=48, seed=0)
    return root


def start_torchrun(*command, count: int = 2, **options) -> subprocess.Popen:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(count)]
    return subprocess.Popen(
        [*launcher, *map(str, command)], env=ENVIRONMENT, cwd=ROOT, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options,
    )  # fmt: skip


@pytest.fixture(scope="module")
def two_ranks(data_root, tmp_path_factory):
    out = tmp_path_factory.mktemp("two")
    jobs = {name: [name, [*pairs, *sizes(2)]] for name, pairs in EQUAL.items()}
    jobs["all terms"] = ["cotrain1", [*ALL_TERMS, *sizes(2)]]
    jobs |= {name: ["cotrain1", [*ALL_TERMS, *sizes(2)], looks] for name, looks in STOPPED.items()}
    process = start_torchrun(ROOT / "tests/engine/ranks_script.py", data_root, out, json.dumps(jobs))
    printed, errors = finish(process)
    assert process.returncode == 0, errors
    assert "a line of 0" in printed and "a line of 1" not in printed
    return out


def finish(process, seconds: float = 300) -> tuple[str, str]:
    """Standard output and error of a process that ends in time, or is ended with its children."""
    try:
        return process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.terminate()  # torchrun ends its children
        raise


def states(folder: Path) -> list[dict]:
    return [torch.load(folder / f"rank{rank}.pth", weights_only=True) for rank in (0, 1)]


def rows(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def equal(a, b) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(equal, a, b))
    return a == b


def numbers(row: dict) -> dict:
    """The numbers of a line that do not depend on the rank that wrote it."""
    return {key: value for key, value in row.items() if isinstance(value, (int, float)) and key != "acc_pose"}


@pytest.mark.parametrize("algorithm", EQUAL)
@pytest.mark.promise("R7")
def test_two_ranks_are_one_process_with_the_joined_batch(data_root, two_ranks, tmp_path, algorithm):
    one = ranks_script.train(data_root, tmp_path, algorithm, [*EQUAL[algorithm], *sizes(1)])
    two, other = states(two_ranks / algorithm)
    assert one["step"] == two["step"] >= 6
    for name, value in one["algorithm"].items():
        if name.endswith("_extra_state"):
            continue
        torch.testing.assert_close(two["algorithm"][name], value, rtol=1e-5, atol=1e-5)
    for name, record in one["records"].items():
        assert torch.equal(record["bank.stamp"], two["records"][name]["bank.stamp"])
        torch.testing.assert_close(two["records"][name]["bank.peaks"], record["bank.peaks"], rtol=0, atol=1e-5)
    for line, expected in zip(rows(two_ranks / algorithm), rows(tmp_path), strict=True):
        assert numbers(line) == pytest.approx(numbers(expected), rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("job", [*EQUAL, "all terms", *STOPPED])
def test_ranks_end_with_the_same_networks_and_numbers(two_ranks, job):
    first, second = states(two_ranks / job)
    assert equal(first | {"wandb_run_id": None}, second | {"wandb_run_id": None})


def test_the_weights_have_moved(data_root, two_ranks, tmp_path):
    """Else the comparisons above say nothing."""
    start = ranks_script.make_trainer(data_root, tmp_path, "pose_dual", [*epochs(1), *sizes(1)])
    moved = states(two_ranks / "pose_dual")[0]["algorithm"]
    name = "first.network.head.final.weight"
    assert (start.algorithm.state_dict()[name] - moved[name]).abs().max() > 1e-3
    start.tracker.finish({})


@pytest.mark.parametrize("stop", STOPPED)
@pytest.mark.promise("R5")
def test_a_signal_to_one_rank_stops_both_and_the_run_goes_on_as_if_it_had_not(two_ranks, stop):
    whole, stopped = (states(two_ranks / job)[0] for job in ("all terms", stop))
    assert equal(whole, stopped)
    assert rows(two_ranks / stop) == rows(two_ranks / "all terms")


def test_banks_are_complete(two_ranks):
    for record in states(two_ranks / "all terms")[0]["records"].values():
        # an epoch has 4 steps; in the last one each person was seen by one of the ranks
        assert record["bank.stamp"].min() >= 4 and record["bank.stamp"].bincount()[4:].tolist() == [6, 6, 6, 5]


def test_validation_equals_that_of_one_process(data_root, two_ranks):
    """To the last bit: four batches, two for each rank."""
    state = load_checkpoint(two_ranks / "cotrain1/last.pth")
    pairs = [*ranks_script.SMALL, *EQUAL["cotrain1"], *sizes(1)]
    config = load_config(ranks_script.CFG, {"DATASET.ROOT": str(data_root), "ALGORITHM": "cotrain1"}, pairs)
    algorithm = build.build_algorithm(config)
    algorithm.load_state_dict(state["algorithm"])
    validator = build.build_validator(config, build.read_validation(config))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    assert validator(algorithm.predictors(), algorithm.main_predictors()) == state["metrics"]
    torch.set_num_threads(threads)


def test_faults_and_results_of_the_first_rank_are_known_to_all(two_ranks):
    (faults, first), other = (json.loads((two_ranks / f"said{rank}.json").read_text()) for rank in (0, 1))
    assert [faults, first] == other and first == 0
    lines = ["image 0", "image 1"]
    assert faults[0] == faults[1] == [lines, ["", "image 1; that is unreadable image 2, DATASET.MAX_BAD is 1", ""]]


def test_another_number_of_processes_is_refused(data_root, two_ranks, tmp_path):
    trainer = ranks_script.make_trainer(data_root, tmp_path, "cotrain1", [*EQUAL["cotrain1"], *sizes(1)])
    with pytest.raises(ModelError, match="last.pth: the run had 2 processes, now it has 1"):
        trainer.load_state_dict(load_checkpoint(two_ranks / "cotrain1/last.pth"), "last.pth")
    trainer.tracker.finish({})


def test_one_process_needs_nobody():
    values = {"loss": torch.ones(())}
    assert mean(values) is values and gather(values) == [values] and highest(3) == 3 and by_first(lambda: 4) == 4
    assert shared(numbers) is numbers


def test_synced_norms_keep_their_tensors():
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 1), torch.nn.Sequential(torch.nn.BatchNorm2d(4, momentum=0.3)))
    before, keys, x = list(network.parameters()), list(network.state_dict()), torch.rand(2, 3, 5, 4)
    expected = network.eval()(x)
    sync_batch_norm(network)
    assert all(a is b for a, b in zip(before, network.parameters(), strict=True))
    assert list(network.state_dict()) == keys and network[1][0].momentum == 0.3 and not network[1][0].training
    assert torch.equal(network(x), expected)


@pytest.mark.parametrize(
    ("codes", "code", "text"),
    [
        ({1: 2}, 2, ""), ({0: 5, 1: 3}, 3, ""), ({0: 5}, 5, ""), ({0: 143, 1: 143}, 143, ""),
        ({0: 5, 1: -9}, 137, "error: rank 1 was ended by SIGKILL"),
    ],
)  # fmt: skip
def test_the_exit_code_is_that_of_the_process_that_ended_by_itself(codes, code, text, capsys):
    assert _exit_code(codes) == code
    assert capsys.readouterr().err.strip() == text


SMALL_RUN = """MODEL.IMAGE_SIZE [32,48] MODEL.HEATMAP_SIZE [8,12] TRAIN.STEPS_PER_EPOCH 15 TRAIN.END_EPOCH 4
TRAIN.PRINT_FREQ 5 PSEUDO.MIN_SCORE 0 TEST.BATCH_SIZE 2 TRACKING.TENSORBOARD false""".split()


def arguments(script: str, data_root, *more: str) -> list[str]:
    cfg = ["--cfg", str(ROOT / "experiments/demo/cotrain.yaml")]
    return [str(ROOT / "pose_estimation" / script), *cfg, *more, "DATASET.ROOT", str(data_root), *SMALL_RUN, *sizes(2)]


def start(data_root, out, *more: str) -> subprocess.Popen:
    where = ["--output-dir", str(out), "--name", "run", "--gpus", "cpu,cpu"]
    command = [sys.executable, *arguments("cotrain1.py", data_root, *where, *more)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)


def wait_for_step(process, out: Path, step: int) -> None:
    path, limit = out / "run/metrics.jsonl", time.monotonic() + 120
    while not (path.exists() and f'"step": {step},' in path.read_text()):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < limit, "the run does not come on"
        time.sleep(0.02)


def child(process, rank: int) -> int:
    """Process id of a rank."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    return int(next(pid for pid in children if f"\0RANK={rank}\0" in Path(f"/proc/{pid}/environ").read_text()))


@pytest.fixture(scope="module")
def undisturbed(data_root, tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed")
    process = start(data_root, out)
    _, errors = finish(process)
    assert process.returncode == 0, errors
    return out


@pytest.mark.slow
@pytest.mark.parametrize("to", ["launcher", 0, 1])
@pytest.mark.promise("R5")
def test_a_stopped_run_is_saved_and_goes_on(data_root, undisturbed, tmp_path, to):
    process = start(data_root, tmp_path)
    wait_for_step(process, tmp_path, 20)
    os.kill(process.pid if to == "launcher" else child(process, to), signal.SIGTERM)
    _, errors = finish(process, 60)
    assert process.returncode == 143, errors
    assert "Traceback" not in errors and errors.count("interrupted and saved") == 1
    resumed = start(data_root, tmp_path, "--resume", "auto")
    _, errors = finish(resumed)
    assert resumed.returncode == 0, errors
    assert rows(tmp_path / "run") == rows(undisturbed / "run")


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.promise("R6")
def test_a_rank_that_dies_ends_the_run_with_its_name(data_root, tmp_path, rank):
    process = start(data_root, tmp_path)
    wait_for_step(process, tmp_path, 10)
    os.kill(child(process, rank), signal.SIGKILL)
    _, errors = finish(process, 60)
    assert process.returncode == 137, errors
    assert f"error: rank {rank} was ended by SIGKILL" in errors and "Traceback" not in errors


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.promise("R6")
def test_torchrun_restarts_after_a_crash(data_root, undisturbed, tmp_path, rank):
    where = ["--output-dir", str(tmp_path), "--name", "run", "--gpus", "cpu", "--resume", "auto"]
    process = start_torchrun("--max-restarts", 1, *arguments("cotrain1.py", data_root, *where))
    wait_for_step(process, tmp_path, 20)
    os.kill(child(process, rank), signal.SIGKILL)
    _, errors = finish(process)
    assert process.returncode == 0, errors
    assert rows(tmp_path / "run") == rows(undisturbed / "run")


@pytest.mark.slow
def test_valid_gives_the_numbers_of_one_process(data_root, undisturbed, tmp_path):
    found = {}
    for gpus in ("cpu", "cpu,cpu"):
        out, checkpoint = tmp_path / f"{gpus}.json", undisturbed / "run/last.pth"
        more = ["--checkpoint", str(checkpoint), "--out", str(out), "--gpus", gpus]
        command = [sys.executable, *arguments("valid.py", data_root, *more)]
        done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        results = json.loads(out.with_suffix(".results.json").read_text())
        found[gpus] = json.loads(out.read_text()), results, done.stdout.replace(out.stem, "")
        assert done.stdout.count("ensemble") == 1
    assert found["cpu"] == found["cpu,cpu"]
