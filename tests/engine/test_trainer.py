"""Resume: a run that was stopped anywhere goes on as if it had not been."""

import json
import logging
import re
import shutil
from functools import cache

import pytest
import torch
from small_film import make_film
from small_run import StopAfter, assert_goes_on_exactly, finish, make_trainer, rows, same_state

from semipose.engine.checkpoint import CheckpointFolder
from semipose.errors import CollapseError, ModelError
from semipose.runtime.signals import Interrupted


@pytest.fixture(scope="module")
def whole_run(data_root, tmp_path_factory):
    """A run that is not stopped, and its metrics; made once for each recipe."""

    @cache
    def run(algorithm: str, pairs: tuple[str, ...] = (), warm: int = 0):
        trainer = make_trainer(data_root, tmp_path_factory.mktemp("whole"), algorithm, pairs=pairs)
        return trainer, finish(trainer, warm)

    return run


def test_two_runs_with_one_seed_are_equal_to_the_last_bit(data_root, tmp_path):
    states = []
    for name in ("a", "b"):
        trainer = make_trainer(data_root, tmp_path / name)
        finish(trainer)
        states.append(trainer.state_dict())
    assert same_state(*states)
    assert rows(tmp_path / "a") == rows(tmp_path / "b")
    other = make_trainer(data_root, tmp_path / "c", pairs=["SEED", "1"])
    finish(other)
    assert not same_state(states[0]["algorithm"], other.state_dict()["algorithm"])


# A signal is looked for after each step and before each evaluation batch. 14 unlabelled rows in batches of 4 are 4
# steps (supervised: 2), all 6 validation people are one batch: joint stops in steps 1 and 3, in evaluation, in epoch 2.
STOPS = {"cotrain1": (1, 3, 5, 8), "cotrain": (1, 5, 9, 12), "mean_teacher": (1, 3, 5, 8), "supervised": (1, 2, 3, 5)}


@pytest.mark.parametrize(
    "workers", ["0", pytest.param("1", marks=pytest.mark.slow), pytest.param("2", marks=pytest.mark.slow)]
)
@pytest.mark.parametrize(("algorithm", "looks"), [(name, n) for name, counts in STOPS.items() for n in counts])
@pytest.mark.promise("R3")
def test_a_stopped_run_goes_on_as_if_it_had_not_been(data_root, whole_run, tmp_path, algorithm, looks, workers):
    whole, expected = whole_run(algorithm)
    pairs = ["WORKERS", workers]
    assert_goes_on_exactly(whole, expected, data_root, tmp_path / "stopped", looks, algorithm, pairs)


EVERYTHING = """TRAIN.END_EPOCH 3 WEIGHT.LOSS_MIX 0.5 WEIGHT.LOSS_WORST 0.5 REWEIGHT true WORST.PSEUDO_HEAD true
AUGMENT.HARD_VIEWS [[by_difficulty],[joint_cutout,cutmix]] MIX.WHERE manifold MIX.BETA 0.5""".split()


@pytest.mark.parametrize("algorithm", ["cotrain1", "cotrain", "train_2p"])
@pytest.mark.parametrize("looks", [6, 8, 11])
@pytest.mark.promise("R3")
def test_banks_splits_and_every_term_survive_a_stop(data_root, whole_run, tmp_path, algorithm, looks):
    pairs = (*EVERYTHING, "PSEUDO.REWEIGHT_BY", "soft" if algorithm == "train_2p" else "agreement")
    warm = 1 if algorithm == "train_2p" else 0
    whole, expected = whole_run(algorithm, pairs, warm)
    records = whole.state_dict()["records"]
    assert records and all(record["stamp"].min() >= 0 for record in records.values())
    assert any(record.difficulty.ready for record in whole.algorithm.records.values())
    assert_goes_on_exactly(whole, expected, data_root, tmp_path / "stopped", looks, algorithm, pairs, warm)


JUDGED = "TRAIN.END_EPOCH 3 PSEUDO.TEMPORAL track PSEUDO.PCA 0.9 REWEIGHT true".split()


@pytest.mark.promise("R3")
def test_what_time_and_labelled_poses_say_survives_a_stop(data_root, tmp_path, monkeypatch):
    """Stopped in the second of three epochs, when the first one is the past."""
    monkeypatch.setattr("semipose.pseudo_labels.peak_tracks.LEAST", 1e-6)  # the network has hardly learned anything
    root = make_film(data_root, tmp_path / "film")
    pairs = [*JUDGED, "DATASET.CACHE_DIR", str(tmp_path / "cache")]
    whole = make_trainer(root, tmp_path / "whole", pairs=pairs)
    assert [len(video) for video in whole.algorithm.recipe.constraints.peak_tracks.videos] == [14]
    expected = finish(whole)
    assert all(record["past_peaks"].isfinite().any() for record in whole.state_dict()["records"].values())
    assert_goes_on_exactly(whole, expected, root, tmp_path / "stopped", 8, pairs=pairs)
    off = make_trainer(root, tmp_path / "off", pairs=[*pairs, "PSEUDO.TEMPORAL", "none", "PSEUDO.PCA", "0"])
    finish(off)
    assert not same_state(off.algorithm.state_dict(), whole.algorithm.state_dict())


@pytest.mark.parametrize("algorithm", ["cotrain1", "train_2p"])
def test_hidden_labels_change_no_bit_of_the_training(data_root, tmp_path, algorithm):
    """Every annotation of the unlabelled set is moved: only what is reported on the pseudo-labels may differ."""
    other_root = tmp_path / "data"
    shutil.copytree(data_root, other_root)
    file = other_root / "annotations" / "person_keypoints_unlabeled.json"
    content = json.loads(file.read_text())
    for annotation in content["annotations"]:
        annotation["keypoints"] = [value + 7 if n % 3 < 2 else 2 for n, value in enumerate(annotation["keypoints"])]
    file.write_text(json.dumps(content))
    pairs = [*EVERYTHING, "PSEUDO.REWEIGHT_BY", "soft"]
    states, reports = [], []
    for name, root in (("true", data_root), ("moved", other_root)):
        trainer = make_trainer(root, tmp_path / name, algorithm, pairs=pairs)
        finish(trainer)
        states.append(trainer.state_dict())
        reports.append([{k: v for k, v in row.items() if "pseudo_PCK" in k} for row in rows(tmp_path / name)])
    for part in ("algorithm", "records", "stepper", "averages", "metrics"):
        assert same_state(states[0][part], states[1][part]), part
    assert reports[0] != reports[1] and any(reports[0])


def phases_and_pools(trainer, warm=0) -> list[tuple[str, bool]]:
    """For each step its phase, and whether it gets unlabelled images."""
    seen = []
    trainer.algorithm.register_forward_pre_hook(lambda _, args: seen.append((args[2], args[0].unlabeled is not None)))
    finish(trainer, warm)
    return seen


@pytest.mark.parametrize(
    ("algorithm", "pairs", "expected"),
    [
        ("train_2p", ["TRAIN.END_EPOCH", "2", "TRAIN.UNSUP_START", "0"], [("all", False)] * 4 + [("all", True)] * 4),
        ("cotrain1", ["WEIGHT.LOSS_CONS", "0"], [("all", False)] * 4),
        ("cotrain", [], [("first", True)] * 4 + [("second", True)] * 4),
    ],
)
def test_phases_take_turns_and_unlabelled_images_are_read_only_where_needed(
    data_root, tmp_path, algorithm, pairs, expected
):
    trainer = make_trainer(data_root, tmp_path, algorithm, pairs=["TRAIN.END_EPOCH", "1", *pairs])
    assert phases_and_pools(trainer, warm=int(algorithm == "train_2p")) == expected


def test_sequential_by_step_alternates_and_is_fair(data_root, tmp_path):
    trainer = make_trainer(data_root, tmp_path, "cotrain", pairs=["TRAIN.END_EPOCH", "1", "TRAIN.ALTERNATE", "step"])
    phases = [phase for phase, _ in phases_and_pools(trainer)]
    assert phases[:4] == ["first", "second"] * 2 and phases.count("first") == phases.count("second") == 4


def test_the_unlabelled_ramp_begins_after_the_warm_up(data_root, tmp_path):
    pairs = ["TRAIN.END_EPOCH", "5", "TRAIN.WARM_EPOCH", "3", "TRAIN.UNSUP_START", "0.5", "TRAIN.UNSUP_RAMP", "0.25"]
    ramp = make_trainer(data_root, tmp_path, "train_2p", pairs=pairs).algorithm.recipe.ramp
    assert (ramp.start, ramp.end) == (3 * 4 + 4, 3 * 4 + 6)


def test_a_resumed_run_that_is_made_longer_keeps_its_ramp(data_root, tmp_path):
    pairs = ["TRAIN.UNSUP_START", "0.5", "TRAIN.UNSUP_RAMP", "0.25", "TRAIN.STEPS_PER_EPOCH", "4"]
    trainer = make_trainer(data_root, tmp_path / "short", "mean_teacher", pairs=[*pairs, "TRAIN.END_EPOCH", "2"])
    finish(trainer)
    longer = make_trainer(data_root, tmp_path / "long", "mean_teacher", pairs=[*pairs, "TRAIN.END_EPOCH", "20"])
    assert longer.algorithm.unlabeled_factor(8) == 0
    longer.load_state_dict(trainer.state_dict(), "last.pth")
    assert longer.algorithm.recipe.ramp == trainer.algorithm.recipe.ramp and longer.algorithm.unlabeled_factor(8) == 1
    assert longer.algorithm.recipe.worst.schedule.start == longer.algorithm.recipe.ramp.start == 4


def test_a_collapse_stops_the_run_where_that_is_asked_for_and_is_kept(data_root, tmp_path):
    pairs = ["TRAIN.STOP_ON_COLLAPSE", "true", "PSEUDO.MIN_SCORE", "5", "TRAIN.END_EPOCH", "9", "TRAIN.UNSUP_RAMP", "0"]
    trainer = make_trainer(data_root, tmp_path, "mean_teacher", pairs=[*pairs, "TRAIN.UNSUP_START", "0"])
    with pytest.raises(CollapseError, match="epoch"):
        trainer.fit()
    state, _ = CheckpointFolder(tmp_path).find_resume("auto")
    assert trainer.epoch == state["epoch"] < 9


def test_checkpoint_of_another_algorithm_is_refused(data_root, tmp_path):
    single = make_trainer(data_root, tmp_path / "single", "mean_teacher")
    pair = make_trainer(data_root, tmp_path / "pair", "cotrain1")
    with pytest.raises(ModelError, match="other.pth"):
        pair.load_state_dict(single.state_dict(), "other.pth")


def test_best_is_kept_and_the_last_epoch_is_always_evaluated(data_root, tmp_path):
    pairs = ["TRAIN.END_EPOCH", "3", "TRAIN.EVAL_INTERVAL", "2", "TRAIN.STEPS_PER_EPOCH", "2"]
    trainer = make_trainer(data_root, tmp_path, "supervised", pairs=pairs)
    finish(trainer)
    epochs = [row for row in rows(tmp_path) if "epoch" in row]
    assert [row["epoch"] for row in epochs] == [2, 3]
    best = torch.load(tmp_path / "best.pth", weights_only=True)
    assert best["metrics"]["AP"] == max(row["AP"] for row in epochs) == best["best"]
    assert torch.load(tmp_path / f"best_AP_epoch_{best['best_epoch']}.pth", weights_only=True)["best"] == best["best"]


def test_networks_that_were_not_evaluated_are_not_the_best(data_root, tmp_path):
    """Neither after a resume that chooses the best by another metric, which has no value yet."""
    pairs = ["TRAIN.END_EPOCH", "2", "TRAIN.STEPS_PER_EPOCH", "1", "TRAIN.EVAL_INTERVAL", "2"]
    trainer = make_trainer(data_root, tmp_path / "a", "supervised", pairs=pairs)
    finish(trainer)
    other = ["TRAIN.END_EPOCH", "4", "TRAIN.STEPS_PER_EPOCH", "1", "TRAIN.EVAL_INTERVAL", "4", "TEST.BEST", "PCK"]
    resumed = make_trainer(data_root, tmp_path / "b", "supervised", pairs=other)
    resumed.load_state_dict(trainer.state_dict(), "last.pth")
    finish(resumed)
    assert resumed.best_epoch == 4


SCORES = (0.1, 0.3, 0.2, 0.3, 0.4, 0.1, 0.2, 0.3, 0.5)


def patient_trainer(root, folder, algorithm="supervised", interrupts=None, pairs=(), resumed=None):
    """One whose evaluations are given, and whose epochs are one step long."""
    pairs = ["TRAIN.END_EPOCH", "9", "TRAIN.STEPS_PER_EPOCH", "1", *pairs]
    trainer = make_trainer(root, folder, algorithm, interrupts, pairs, resumed)
    trainer.validate = lambda *_: {"AP": SCORES[trainer.epoch]}
    return trainer


@pytest.mark.parametrize(
    ("patience", "interval", "warm", "epochs", "best"),
    [(0, 1, 0, 9, 9), (1, 1, 0, 3, 2), (2, 1, 0, 4, 2), (3, 1, 0, 8, 5), (4, 1, 0, 9, 9), (1, 2, 0, 4, 2),
     (1, 3, 0, 6, 3), (2, 1, 3, 7, 5), (1, 1, 7, 8, 5)],
)  # fmt: skip
def test_a_run_ends_when_its_best_value_is_too_old(data_root, tmp_path, patience, interval, warm, epochs, best):
    pairs = ["TRAIN.PATIENCE", str(patience), "TRAIN.EVAL_INTERVAL", str(interval)]
    trainer = patient_trainer(data_root, tmp_path, "train_2p", pairs=[*pairs, "TRAIN.WARM_EPOCH", str(warm)])
    finish(trainer, warm)
    assert (trainer.epoch, trainer.best_epoch) == (epochs, best)
    assert ("stopped early" in (tmp_path / "run.log").read_text()) == (epochs < 9)


def test_patience_survives_a_stop_and_a_longer_one_goes_on(data_root, tmp_path):
    pairs = ["TRAIN.PATIENCE", "3"]
    stopped = patient_trainer(data_root, tmp_path, interrupts=StopAfter(7), pairs=pairs)
    with pytest.raises(Interrupted):
        stopped.fit()
    for patience, epochs in ((3, 8), (3, 8), (4, 9)):
        state, path = CheckpointFolder(tmp_path).find_resume("auto")
        trainer = patient_trainer(data_root, tmp_path, pairs=["TRAIN.PATIENCE", str(patience)], resumed=state)
        trainer.load_state_dict(state, str(path))
        assert finish(trainer) == {"AP": SCORES[epochs - 1]}
        assert trainer.epoch == epochs


@pytest.mark.parametrize("algorithm", ["supervised", "pose_dual", "cotrain1", "cotrain", "mean_teacher"])
def test_accuracy_of_the_labelled_batch_is_logged_where_a_line_is(data_root, tmp_path, monkeypatch, algorithm):
    read = []
    monkeypatch.setattr("semipose.tracking.accuracy.pose_accuracy", lambda o: read.append(o) or torch.tensor(0.25))
    trainer = make_trainer(data_root, tmp_path, algorithm, pairs=["TRAIN.END_EPOCH", "1", "TRAIN.STEPS_PER_EPOCH", "4"])
    finish(trainer)
    students = 2 if algorithm in ("pose_dual", "cotrain1") else 1
    lines = trainer.step // 2
    assert len(read) == students * lines
    assert all(o.decode()[0].shape == o.points.shape == (3, 17, 2) and o.size == (32, 32) for o in read)
    assert not any(o.decode()[0].requires_grad for o in read)
    shown = [row["acc_pose"] for row in rows(tmp_path) if "epoch" not in row and "split" not in row]
    assert shown == [0.25] * lines


PARTS = """loading, views, teachers, pseudo-labels, students, backward, optimiser, EMA, logging, evaluation, GMM,
checkpoint, other""".replace("\n", " ").split(", ")


def test_profile_says_where_the_seconds_of_each_epoch_went_and_changes_nothing(data_root, tmp_path, caplog):
    caplog.set_level(logging.INFO, "semipose")
    plain, profiled = (make_trainer(data_root, tmp_path / on, pairs=["TRAIN.PROFILE", on]) for on in ("false", "true"))
    assert finish(plain) == finish(profiled)
    lines = [record.getMessage() for record in caplog.records if "time of epoch" in record.getMessage()]
    assert [line.partition(",")[0] for line in lines] == ["time of epoch 1", "time of epoch 2"]
    whole, _, shares = lines[1].partition(", ")[2].partition(" s: ")
    seconds = dict(re.findall(r"([\w-]+) ([\d.]+) s", shares))
    assert sorted(seconds) == sorted(PARTS)
    assert sum(map(float, seconds.values())) == pytest.approx(float(whole), abs=0.01 * len(PARTS))
    assert all(float(seconds[name]) > 0 for name in ("students", "backward"))
