"""What run folders say by themselves: the best epoch, networks, seeds, settings that differ."""

import json
import re

import pytest
from refusals import refused

from semipose.report.records import Record, network_scores, read_record, split_key
from semipose.report.settings import common_name, differing, fold_seeds, mean_and_spread, winner
from semipose.report.tables import settings_table
from semipose.report.write import LOOKED_AT, choose, summary


def record(name: str, values: list[float], metric: str = "AP", **settings) -> Record:
    """A run with one network whose result in each epoch is given."""
    epochs = [{"epoch": n, "step": 10 * n, metric: v, f"{metric}_student": v} for n, v in enumerate(values, 1)]
    return Record(name, name, {"TRAIN.LR": 0.1, "SEED": 0, "DATASET.ROOT": "data"} | settings, [], epochs)


@pytest.mark.parametrize(("metric", "best"), [("AP", 2), ("EPE", 3), ("NME", 3)])
def test_the_best_epoch_is_the_highest_or_for_errors_the_lowest(metric, best):
    run = record("a", [0.4, 0.9, 0.2, 0.9], metric)
    assert run.best["epoch"] == best and run.last["epoch"] == 4


def test_the_best_epoch_by_another_metric():
    rows = [{"epoch": n, "AP": ap, "PCK": pck} for n, ap, pck in ((1, 0.1, 0.9), (2, 0.5, 0.8), (3, -1, 0.99))]
    assert Record("a", "a", {}, [], rows).best["epoch"] == 2
    assert Record("a", "a", {"TEST.BEST": "PCK"}, [], rows).best["epoch"] == 3
    assert Record("a", "a", {}, [], [{"epoch": 1, "health_kept": 0.1}]).best == {}


def test_keys_are_told_apart():
    keys = "PCK_px_first PCK_first AP50 AP_M AP_ema_second PCK_px AP_group_1 val/AP_first loss_pose_first AP".split()
    told = [("PCK_px", "first"), ("PCK", "first"), 0, 0, ("AP", "ema_second"), 0, 0, 0, 0, 0]
    assert [split_key(key) for key in keys] == [pair or ("", "") for pair in told]


def test_scores_of_networks():
    row = {"AP": 0.3, "AP_first": 0.1, "AP_ensemble": 0.3, "PCK_first": -1, "EPE_first": None}
    assert network_scores(row) == {"first": {"AP": 0.1}, "ensemble": {"AP": 0.3}}
    assert network_scores({"AP": 0.3, "AP50": 0.5}) == {"result": {"AP": 0.3}}


def test_a_folder_is_read(tmp_path):
    rows = [{"step": 5, "loss_pose": 0.1}, {"epoch": 1, "step": 5, "AP": 0.25}, {"epoch": 1, "health_kept": 0.5}]
    (tmp_path / "metrics.jsonl").write_text("\n".join(map(json.dumps, rows)) + '\n{"epo')
    (tmp_path / "labeled.json").write_text(json.dumps({"annotation_ids": [1, 2, 3]}))
    run = read_record(tmp_path, "mine")
    assert run.epochs == [{"epoch": 1, "step": 5, "AP": 0.25, "health_kept": 0.5}] and run.steps == rows[:1]
    assert run.counts == {"labelled": "3 persons"} and run.settings == {}
    assert len(run.missing) == 1 and "config.yaml" in run.missing[0]
    (tmp_path / "config.yaml").write_text("SEED: 7\n")
    run = read_record(tmp_path, "mine")
    assert run.settings["SEED"] == 7 and run.settings["TRAIN.END_EPOCH"] and run.missing == ()
    (tmp_path / "config.yaml").write_text("SEED: 7\nNO_SUCH_KEY: 1\n")
    run = read_record(tmp_path, "mine")
    assert run.settings["SEED"] == 7 and "NO_SUCH_KEY" in run.missing[0]


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    refused(lambda: read_record(tmp_path / "nowhere", "x"), "nowhere", "does not exist")
    refused(lambda: read_record(tmp_path, "x"), str(tmp_path), "metrics.jsonl")


def test_runs_that_differ_by_their_seed_are_one_setting():
    runs = [
        record("sup/seed0", [0.1, 0.3], SEED=0, NAME="a"), record("cot", [0.5], SEED=0, ALGORITHM="cotrain1"),
        record("sup/seed1", [0.5, 0.2], SEED=1, NAME="b", **{"DATASET.ROOT": "data"}),
        record("slow", [0.2], **{"TRAIN.LR": 0.01}),
    ]  # fmt: skip
    settings = fold_seeds(runs)
    assert [setting.name for setting in settings] == ["sup", "cot", "slow"]
    assert settings[0].result == [0.3, 0.5] and settings[0].networks == {"student": {"AP": [0.3, 0.5]}}
    assert settings[0].last["student"]["AP"] == [0.3, 0.2]
    assert mean_and_spread(settings[0].result) == pytest.approx((0.4, 0.02**0.5))
    assert mean_and_spread([1.0]) == (1, None)
    assert differing(settings) == {"ALGORITHM": ["", "cotrain1", ""], "TRAIN.LR": ["0.1", "0.1", "0.01"]}
    assert winner(settings).name == "cot"


def test_a_seed_in_the_names_of_data_is_a_seed():
    sets = [{"DATASET.ROOT": f"data/seed{n}", "DATASET.TRAIN_SET": f"labeled_n8_seed{n}"} for n in (0, 1)]
    runs = [record(f"r{n}", [0.1], SEED=n, **keys) for n, keys in enumerate(sets)]
    (setting,) = fold_seeds(runs)
    assert setting.name == "r" and setting.keys["DATASET.TRAIN_SET"] == "labeled_n8_seed*"
    other = record("r2", [0.1], **(sets[0] | {"DATASET.TRAIN_SET": "labeled_n15_seed0"}))
    assert len(fold_seeds([*runs, other])) == 2


def test_runs_without_a_known_configuration_stay_apart():
    runs = [Record(name, name, {}, [], [{"epoch": 1, "step": 1, "AP": 0.1}]) for name in "ab"]
    assert [setting.name for setting in fold_seeds(runs)] == ["a", "b"]


@pytest.mark.parametrize(
    ("names", "common"),
    [
        (["mine"], "mine"), (["a/seed0", "a/seed1"], "a"), (["sup", "sup_1", "sup_2"], "sup"),
        (["lite0_seed10", "lite0_seed11"], "lite0"), (["x", "y"], "x"),
    ],
)  # fmt: skip
def test_the_name_of_a_setting(names, common):
    assert common_name(names) == common


def test_networks_are_loaded_of_the_best_setting_and_the_first_others():
    settings = fold_seeds([record(f"run {c}", [v], KEY=c) for c, v in zip("abcde", (0.1, 0.2, 0.3, 0.9, 0.5))])
    assert [setting.name[-1] for setting in choose(settings)] == ["a", "b", "d"] and LOOKED_AT == 3
    assert winner(fold_seeds([record("a", [3.0], "EPE", K=1), record("b", [2.0], "EPE", K=2)])).name == "b"
    assert winner(fold_seeds([record("a", [])])) is None


def test_the_run_that_the_summary_is_of_is_named():
    one, other = record("mouse", [3.0], "EPE", K=1), record("people", [0.4], "AP", K=2)
    assert "mouse" in summary(fold_seeds([one, other])) and "mouse" not in summary(fold_seeds([one]))


def test_settings_or_keys_stand_side_by_side_whatever_is_fewer():
    few = fold_seeds([record("a", [0.1], K1="1", K2="x", K3="s"), record("b", [0.1], K1="2", K2="y", K3="t")])
    many = fold_seeds([record(name, [0.1], K1=name) for name in ("run a", "run b", "run c")])
    texts = [re.findall(r">([^<>\n]+)<", settings_table(settings)) for settings in (few, many)]
    assert texts[0] == ["key", "a", "b", "K1", "1", "2", "K2", "x", "y", "K3", "s", "t"]
    assert texts[1] == ["run", "K1", *(name for own in ("run a", "run b", "run c") for name in (own, own))]
    assert settings_table(few[:1]) == ""
