"""Several processes train what one process trains with the joined batch, as long as nothing random is drawn."""

import json
import re
from pathlib import Path

import pytest
import ranks_script
import torch
from run_folder import rows, same_state
from small_film import make_film

from semipose import assemble
from semipose.config import load_config
from semipose.engine.checkpoint import CheckpointFolder, load_checkpoint
from semipose.engine.resume import find_for_all_ranks, refuse_different
from semipose.errors import ModelError
from semipose.prepare.drawn_people import write_demo_data
from semipose.runtime.launch import _exit_code
from semipose.runtime.ranks import by_first, gather, highest, mean, shared

PERSONS = 24  # unlabelled, in batches of 6


def sizes(ranks: int) -> list[str]:
    return ["TRAIN.BATCH_SIZE", str(4 // ranks), "TRAIN.BATCH_SIZE_UNSUP", str(6 // ranks)]


def epochs(count: int) -> list[str]:
    return ["TRAIN.END_EPOCH", str(count)]


# 6 steps, and 8 of the others
EQUAL = {"supervised": epochs(3), "pose_dual": epochs(2), "cotrain1": epochs(2), "cotrain": epochs(1)}
# the optimiser and targets of the demo, in which rounding grows quickly, and all that sums over a batch
DEMO = """TRAIN.OPTIMIZER adamw TRAIN.LR 0.002 TRAIN.SCHEDULE cosine TRAIN.WARMUP_STEPS 5
TRAIN.CLIP_NORM 0.1 TRAIN.ACCUMULATE 2 PSEUDO.TARGET redrawn REWEIGHT true PSEUDO.REWEIGHT_BY gmm
AUGMENT.HARD_VIEWS [[],[]]""".split()
# every loss term, EMA teachers, views and BatchNorms of their own, and pseudo-labels that depend on the split
ALL_TERMS = """TRAIN.END_EPOCH 2 MODEL.FREEZE [] AUGMENT.HARD.ROTATION 30 AUGMENT.EASY.FLIP 0.5
WEIGHT.LOSS_MIX 0.5 WEIGHT.LOSS_WORST 0.5 WORST.PSEUDO_HEAD true
REWEIGHT true AUGMENT.HARD_VIEWS [[by_difficulty],[cutmix]] MIX.WHERE manifold AUGMENT.HARD.COLOR 0.3""".split()
# bottom-up, whose offsets are divided by how many there are in the batch
DEKR = """TRAIN.END_EPOCH 3 MODEL.CODEC dekr MODEL.IMAGE_SIZE [64,64] MODEL.HEATMAP_SIZE [0,0]
MODEL.DEKR.JOINT_CHANNELS 2 MODEL.DEKR.OFFSET_WEIGHT 1
MODEL.FREEZE ["*.bn*","*.stem.1","*.stem.4","*.shortcut.1","head.*.0.1","head.heat.2.*.1"]
""".split()
# looks: 8 steps, then 2 rounds of evaluation batches
STOPPED = {"in step 2": 2, "in evaluation": 10}
JUDGED = "PSEUDO.TEMPORAL weight PSEUDO.PCA 0.9 DATASET.CACHE_DIR".split()
OF_THREE = [*epochs(2), "TRAIN.BATCH_SIZE", "2", "TRAIN.BATCH_SIZE_UNSUP", "2"]


def job(algorithm: str, *pairs: str, **more) -> dict:
    return {"algorithm": algorithm, "pairs": list(pairs), **more}


@pytest.fixture(scope="module")
def data_root(tmp_path_factory):
    root = tmp_path_factory.mktemp("people")
    write_demo_data(str(root), labeled=8, unlabeled=PERSONS, val=7, size=48, seed=0)
    return root


def run_jobs(forked, data_root, out: Path, ranks: int, jobs: dict) -> Path:
    code, errors = forked.run(out / "log", ranks, "jobs", [str(data_root), str(out), json.dumps(jobs)])
    assert code == 0, errors
    return out


@pytest.fixture(scope="module")
def two_ranks(forked, data_root, tmp_path_factory):
    jobs = {name: job(name, *pairs, *sizes(2)) for name, pairs in EQUAL.items()}
    jobs["demo"] = job("cotrain1", *DEMO, *epochs(2), *sizes(2), double=True)
    jobs["dekr"] = job("supervised", *DEKR, *sizes(2), double=True)
    jobs["all terms"] = job("cotrain1", *ALL_TERMS, *sizes(2))
    jobs |= {name: job("cotrain1", *ALL_TERMS, *sizes(2), looks=looks) for name, looks in STOPPED.items()}
    return run_jobs(forked, data_root, tmp_path_factory.mktemp("two"), 2, jobs)


def states(folder: Path) -> list[dict]:
    return [torch.load(path, weights_only=True) for path in sorted(folder.glob("rank*.pth"))]


def said(folder: Path, what: str) -> list:
    return [json.loads(path.read_text())[what] for path in sorted(folder.glob("said*.json"))]


def numbers(row: dict) -> dict:
    """The numbers of a line that do not depend on the rank that wrote it."""
    return {key: value for key, value in row.items() if isinstance(value, (int, float)) and key != "acc_pose"}


def compare(folder: Path, one: dict, alone: Path, tolerance: float) -> None:
    """Weights, score banks and numbers of two ranks with those of one process."""
    two, other = states(folder)
    assert one["step"] == two["step"] >= 6
    for name, value in one["algorithm"].items():
        if not name.endswith("_extra_state"):
            torch.testing.assert_close(two["algorithm"][name], value, rtol=tolerance, atol=tolerance)
    for name, record in one["records"].items():
        assert torch.equal(record["stamp"], two["records"][name]["stamp"])
        torch.testing.assert_close(two["records"][name]["peaks"], record["peaks"], rtol=0, atol=tolerance)
    for line, expected in zip(rows(folder), rows(alone), strict=True):
        assert numbers(line) == pytest.approx(numbers(expected), rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("algorithm", EQUAL)
@pytest.mark.promise("R7")
def test_two_ranks_are_one_process_with_the_joined_batch(data_root, two_ranks, tmp_path, algorithm):
    one = ranks_script.train(data_root, tmp_path, algorithm, [*EQUAL[algorithm], *sizes(1)])
    compare(two_ranks / algorithm, one, tmp_path, 1e-5)


@pytest.mark.promise("R7")
def test_nothing_but_rounding_is_between_two_ranks_and_one_process(data_root, two_ranks, tmp_path):
    """In float64; the float32 weights of such a recipe are 0.1 apart after 20 steps."""
    one = ranks_script.train(data_root, tmp_path, "cotrain1", [*DEMO, *epochs(2), *sizes(1)], double=True)
    compare(two_ranks / "demo", one, tmp_path, 1e-10)


def test_instances_of_two_ranks_are_those_of_one_process(data_root, two_ranks, tmp_path):
    one = ranks_script.train(data_root, tmp_path, "supervised", [*DEKR, *sizes(1)], double=True)
    compare(two_ranks / "dekr", one, tmp_path, 1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("seed", ["0", "1", "2"])
@pytest.mark.parametrize(("pairs", "double", "tolerance"), [([], False, 1e-5), (DEMO, True, 1e-10)])
@pytest.mark.promise("R7")
def test_twenty_steps_of_two_ranks_are_those_of_one_process(
    forked, data_root, tmp_path, pairs, double, tolerance, seed
):  # fmt: skip
    pairs = [*pairs, *epochs(5), "SEED", seed]
    jobs = {"two": job("cotrain1", *pairs, *sizes(2), double=double)}
    out = run_jobs(forked, data_root, tmp_path, 2, jobs)
    one = ranks_script.train(data_root, tmp_path / "one", "cotrain1", [*pairs, *sizes(1)], double=double)
    assert one["step"] == 20
    compare(out / "two", one, tmp_path / "one", tolerance)


@pytest.mark.parametrize("name", [*EQUAL, "demo", "all terms", *STOPPED])
def test_ranks_end_with_the_same_networks_and_numbers(two_ranks, name):
    first, second = states(two_ranks / name)
    assert same_state(first | {"wandb_run_id": None}, second | {"wandb_run_id": None})


@pytest.mark.parametrize("name", ["pose_dual", "demo"])
def test_the_weights_have_moved(data_root, two_ranks, tmp_path, name):
    """Else the comparisons above say nothing."""
    moved = states(two_ranks / name)[0]["algorithm"]
    algorithm, key = "cotrain1" if name == "demo" else "pose_dual", "students.first"
    with ranks_script.precision(name == "demo"):
        start = ranks_script.make_trainer(data_root, tmp_path, algorithm, [*epochs(1), *sizes(1)])
    key += ".network.head.final.weight"
    assert (start.algorithm.state_dict()[key] - moved[key]).abs().max() > 1e-3
    start.record.tracker.finish({})


@pytest.mark.parametrize("stop", STOPPED)
@pytest.mark.promise("R5")
def test_a_signal_to_one_rank_stops_both_and_the_run_goes_on_as_if_it_had_not(two_ranks, stop):
    whole, stopped = (states(two_ranks / name)[0] for name in ("all terms", stop))
    assert same_state(whole, stopped)
    assert rows(two_ranks / stop) == rows(two_ranks / "all terms")


@pytest.mark.promise("R3")
def test_ranks_agree_on_the_past_and_a_stop_does_not_change_it(forked, data_root, tmp_path):
    """Stopped in the second of three epochs of four steps: what other ranks have seen in it counts only later."""
    root, pairs = make_film(data_root, tmp_path / "film"), [*epochs(3), *JUDGED, str(tmp_path / "cache")]
    jobs = {"whole": job("cotrain1", *pairs, *sizes(2)), "stopped": job("cotrain1", *pairs, *sizes(2), looks=6)}
    out = run_jobs(forked, root, tmp_path, 2, jobs)
    whole, other = states(out / "whole")
    assert same_state(whole["algorithm"], other["algorithm"]) and same_state(whole, states(out / "stopped")[0])
    one = ranks_script.train(root, tmp_path / "one", "cotrain1", [*pairs, *sizes(1)])
    compare(out / "whole", one, tmp_path / "one", 1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [3, 4])
@pytest.mark.promise("R3")
def test_more_ranks_go_on_to_the_last_bit(forked, data_root, tmp_path, ranks):
    """From three ranks on, the place of a gradient in DDP's buckets decides how its sum is rounded."""
    jobs = {name: job("cotrain1", *OF_THREE, looks=looks) for name, looks in {"whole": 0, "stopped": 2}.items()}
    out = run_jobs(forked, data_root, tmp_path, ranks, jobs)
    whole, stopped = states(out / "whole"), states(out / "stopped")
    assert len(whole) == ranks and same_state(whole[0], stopped[0])
    assert same_state(stopped[1:], [stopped[1]] * (ranks - 1))
    assert said(out, "rows") == [list(range(7))] * ranks  # in 4 batches: of 3 ranks, two have an empty one


def test_banks_are_complete(two_ranks):
    for record in states(two_ranks / "all terms")[0]["records"].values():
        # an epoch has 4 steps; in the last one each person was seen by one of the ranks
        assert record["stamp"].min() >= 4 and record["stamp"].bincount()[4:].tolist() == [6, 6, 6, 6]


def test_validation_equals_that_of_one_process(data_root, two_ranks):
    """To the last bit: four batches, two for each rank."""
    state = load_checkpoint(two_ranks / "cotrain1/last.pth")
    pairs = [*ranks_script.SMALL, *EQUAL["cotrain1"], *sizes(1)]
    config = load_config(ranks_script.CFG, {"DATASET.ROOT": str(data_root), "ALGORITHM": "cotrain1"}, pairs)
    algorithm = assemble.build_algorithm(config)
    algorithm.load_state_dict(state["algorithm"])
    validator = assemble.build_validator(config, assemble.read_validation(config))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    assert validator(algorithm.predictors(), algorithm.main_predictors()) == state["metrics"]
    torch.set_num_threads(threads)


def test_each_person_is_evaluated_once(two_ranks):
    assert said(two_ranks, "rows") == [list(range(7))] * 2


def test_only_the_first_rank_prints(two_ranks):
    printed = (two_ranks / "log.out").read_text()
    assert "a line of 0" in printed and "a line of 1" not in printed


def test_faults_results_and_errors_of_the_first_rank_are_known_to_all(two_ranks):
    assert said(two_ranks, "first") == [0, 0]
    assert said(two_ranks, "failed") == ["DataError: rank 0 has failed"] * 2
    lines, end = ["image 0", "image 1"], "image 1; that is unreadable image 2, DATASET.MAX_BAD is 1"
    assert said(two_ranks, "faults") == [[[lines, ["", end, ""]]] * 2] * 2


ANOTHER = "run/last.pth (all machines must share OUTPUT_DIR) is not the same for all processes: rank "
RESUMED = {
    "the same": "run/last.pth of step 5", "nothing": "none", "only the second": "none",
    "other steps": f"ModelError: {ANOTHER}0: step 5, checksum ########; rank 1: step 6, checksum ########",
    "only the first": f"ModelError: {ANOTHER}0: step 5, checksum ########; rank 1: run/last.pth: no such checkpoint",
    "damaged on the first": "run/last.previous.pth of step 4",
    "damaged on the second": f"ModelError: {ANOTHER}0: step 5, checksum ########; rank 1: run/last.pth: not a loadable",
    "all damaged": "ModelError: run: no checkpoint to resume from: run/last.pth: not a loadable checkpoint",
}  # fmt: skip


@pytest.mark.parametrize("case", RESUMED)
def test_ranks_resume_from_one_checkpoint_or_are_refused(two_ranks, case):
    first, second = (re.sub("(?<=checksum )[0-9a-f]{8}", "#" * 8, found[case]) for found in said(two_ranks, "resume"))
    assert first == second and first.startswith(RESUMED[case])


def test_ranks_with_another_configuration_are_refused(two_ranks):
    assert said(two_ranks, "equal") == [None, None]
    text = "ModelError: TRAIN.LR is not the same for all processes: rank 0: 0; rank 1: 1"
    assert said(two_ranks, "other") == [text, text]


def test_another_number_of_processes_is_refused(data_root, two_ranks, tmp_path):
    trainer = ranks_script.make_trainer(data_root, tmp_path, "cotrain1", [*EQUAL["cotrain1"], *sizes(1)])
    with pytest.raises(ModelError, match="last.pth.* 2 .* 1"):
        trainer.load_state_dict(load_checkpoint(two_ranks / "cotrain1/last.pth"), "last.pth")
    trainer.record.tracker.finish({})


def test_one_process_needs_nobody(tmp_path):
    values = {"loss": torch.ones(())}
    assert mean(values) is values and gather(values) == [values] and highest(3) == 3 and by_first(lambda: 4) == 4
    assert shared(numbers) is numbers
    refuse_different({"SEED": "0"})
    checkpoints = CheckpointFolder(tmp_path)
    assert find_for_all_ranks(checkpoints, "auto") is None
    checkpoints.save_last({"step": 3})
    assert find_for_all_ranks(checkpoints, "auto") == ({"step": 3}, checkpoints.last)


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
