"""The time of a run, put together from its parts."""

import pytest
from small_run import make_trainer

from semipose.engine import estimate as module
from semipose.engine.estimate import estimate


@pytest.mark.parametrize(
    ("algorithm", "pairs", "early", "warm"),
    [
        ("cotrain1", "TRAIN.UNSUP_START 0.25 TRAIN.UNSUP_RAMP 0.5", 2, 0),
        ("cotrain1", "TRAIN.UNSUP_START 0", 0, 0),
        ("train_2p", "TRAIN.WARM_EPOCH 1 TRAIN.UNSUP_START 0", 4, 1),
        ("supervised", "", 0, 0),
    ],
)
def test_steps_before_and_after_the_unlabelled_losses_start_and_evaluations(
    data_root, tmp_path, monkeypatch, algorithm, pairs, early, warm
):
    trainer = make_trainer(data_root, tmp_path, algorithm, pairs=[*pairs.split(), "TRAIN.STEPS_PER_EPOCH", "4"])
    monkeypatch.setattr(module, "_seconds_of_a_step", lambda trainer, step, unlabeled: 5.0 if step else 1.0)
    monkeypatch.setattr(module, "_seconds_of_an_evaluation", lambda trainer: 100.0)
    found = estimate(trainer, warm)
    assert found.labeled_step == bool(early) and found.step == 5.0 and found.evaluation == 100.0
    assert found.whole == early * 1.0 + (8 - early) * 5.0 + 2 * 100.0
    trainer.record.tracker.finish({}, 1)


def test_it_is_measured_on_the_networks_of_the_run(data_root, tmp_path):
    trainer = make_trainer(data_root, tmp_path)
    before = [p.clone() for p in trainer.algorithm.parameters()]
    found = estimate(trainer)
    assert 0 < found.step < found.whole and found.evaluation > 0 and found.memory_mb > 50
    assert any((a != b).any() for a, b in zip(before, trainer.algorithm.parameters()))  # real steps
    trainer.record.tracker.finish({}, 1)
