"""What the configuration says about updates, in whole runs."""

import pytest
import torch
from refusals import refused
from small_run import finish, go_on, make_trainer, same_state, stop

from semipose.assemble.run import report_networks

ALL = """TRAIN.AMP bf16 TRAIN.ACCUMULATE 3 TRAIN.ALTERNATE step TRAIN.OPTIMIZER adamw TRAIN.WD 0.01 TRAIN.CLIP_NORM 1
TRAIN.NO_DECAY_NORM true TRAIN.UNSUP_START 0 TRAIN.UNSUP_RAMP 0 WEIGHT.LOSS_WORST 0.1""".split()
FROZEN = ["MODEL.FREEZE", "[backbone.stem,'backbone.down.[01]']"]
GROUPS = ["TRAIN.GROUPS", "[backbone lr=0.1, worst_head lr=2 wd=0]"]


@pytest.fixture(scope="module")
def whole(data_root, tmp_path_factory):
    """A run that is not stopped, and its metrics."""
    trainer = make_trainer(data_root, tmp_path_factory.mktemp("whole"), "cotrain", pairs=[*ALL, *FROZEN, *GROUPS])
    return trainer, finish(trainer)


@pytest.mark.parametrize("looks", [2, 12])
def test_a_run_with_everything_goes_on_exactly(data_root, tmp_path, whole, looks):
    """14 unlabelled rows are 4 steps for each of two phases: an accumulation is under way at every stop."""
    pairs = [*ALL, *FROZEN, *GROUPS]
    stop(data_root, tmp_path, looks, "cotrain", pairs)
    resumed = go_on(data_root, tmp_path, "cotrain", pairs)
    assert any(sums["count"] for sums in resumed.stepper.state_dict()["sums"].values())
    assert finish(resumed) == whole[1]
    assert same_state(whole[0].state_dict(), resumed.state_dict())


def test_updates_count_where_steps_are_accumulated(data_root, tmp_path):
    pairs = ["TRAIN.ACCUMULATE", "2", "TRAIN.LR_STEP", "[1]", "TRAIN.SCHEDULE", "step", "TRAIN.WARMUP_STEPS", "0"]
    trainer = make_trainer(data_root, tmp_path, "mean_teacher", pairs=pairs)
    rates = []
    trainer.algorithm.register_forward_pre_hook(lambda *_: rates.append(trainer.stepper.lr("all")))
    finish(trainer)
    assert trainer.algorithm.teacher.updates == 4
    assert rates == pytest.approx([trainer.stepper.settings.lr * factor for factor in [1] * 4 + [0.1] * 4])


def test_frozen_layers_are_bit_identical_after_a_run_and_are_reported(data_root, tmp_path, caplog):
    trainer = make_trainer(data_root, tmp_path, "cotrain1", pairs=[*FROZEN, "TRAIN.WD", "0.1"])
    before = {name: tensor.clone() for name, tensor in trainer.algorithm.state_dict().items()}
    caplog.set_level("INFO", "semipose")
    report_networks(trainer.algorithm)
    learned = sum(p.numel() for p in trainer.algorithm.students["first"].network.parameters() if p.requires_grad)
    assert f"{learned / 1e6:8.3f} M learned by gradient" in caplog.text
    assert "frozen in each network: backbone.stem, backbone.down.0, backbone.down.1: " in caplog.text
    finish(trainer)
    still = ("backbone.stem.", "backbone.down.0.", "backbone.down.1.")
    for name, tensor in trainer.algorithm.state_dict().items():
        if any(part in name for part in still):
            assert torch.equal(tensor, before[name]), name
    assert not torch.equal(trainer.algorithm.state_dict()["students.second.network.backbone.down.2.0.bn1.running_mean"],
                           before["students.second.network.backbone.down.2.0.bn1.running_mean"])  # fmt: skip


def test_mixed_precision_reaches_all_networks_and_ends_before_evaluation(data_root, tmp_path):
    trainer = make_trainer(data_root, tmp_path, "cotrain1", pairs=["TRAIN.AMP", "bf16", "TRAIN.END_EPOCH", "1"])
    seen = {False: set(), True: set()}
    score = trainer.validate
    for name, network in trainer.algorithm.predictors().items():
        stem = getattr(network, "module", network).backbone.stem
        stem.register_forward_hook(lambda _, __, output, name=name: seen[evaluating].add((name, output.dtype)))

    def validate(*arguments):
        nonlocal evaluating
        evaluating = True
        return score(*arguments)

    evaluating, trainer.validate = False, validate
    finish(trainer)
    names = trainer.algorithm.predictors()
    assert seen[False] == {(name, torch.bfloat16) for name in names}
    assert seen[True] == {(name, torch.float32) for name in names}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("TRAIN.AMP", "fp16"), ("TRAIN.AMP", "half"), ("TRAIN.ACCUMULATE", "9"), ("TRAIN.ACCUMULATE", "0"),
        ("TRAIN.GROUPS", "[backbone lr=x]"), ("TRAIN.GROUPS", "neck lr=0"), ("MODEL.FREEZE", "backbone.stam"),
        ("MODEL.FREEZE", "['*']"), ("TRAIN.MAX_NONFINITE", "-1"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_by_name(data_root, tmp_path, key, value):
    algorithm = "mean_teacher" if value == "9" else "supervised"
    refused(lambda: make_trainer(data_root, tmp_path, algorithm, pairs=[key, value]), key)
