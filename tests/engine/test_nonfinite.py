"""A loss that is not finite at step k, at k to k+2, and always."""

import math

import pytest
import torch
from small_run import finish, make_trainer, rows

from semipose.algorithms.algorithm import load_networks
from semipose.engine.checkpoint import CheckpointFolder
from semipose.engine.nonfinite import BufferSnapshot, all_finite
from semipose.errors import DivergedError
from semipose.structures import PairBatch, PoseBatch

STEPS = ["TRAIN.UNSUP_START", "0", "TRAIN.UNSUP_RAMP", "0", "TRAIN.END_EPOCH", "2"]  # of 4 steps


def poison(trainer, steps) -> None:
    """NaN in front of the first layer of each student, in the passes that it learns from."""
    for network in trainer.algorithm.predictors().values():
        network = getattr(network, "module", network)
        network.backbone.register_forward_pre_hook(
            lambda module, args: (args[0] * math.nan,) if module.training and trainer.step in steps else None
        )


def is_finite(tree) -> bool:
    if isinstance(tree, torch.Tensor):
        return bool(tree.isfinite().all())
    if isinstance(tree, dict):
        return all(is_finite(value) for value in tree.values())
    return all(map(is_finite, tree)) if isinstance(tree, (list, tuple)) else tree == tree


@pytest.mark.promise("R8")
@pytest.mark.parametrize("bad", [{2}, {2, 3, 4}])
def test_a_few_bad_steps_are_skipped_counted_and_poison_nothing(data_root, tmp_path, bad):
    trainer = make_trainer(data_root, tmp_path, "cotrain1", pairs=STEPS)
    poison(trainer, bad)
    finish(trainer)
    assert trainer.step == 8 and trainer.stepper.skipped == len(bad)
    assert all(teacher.updates == 8 - len(bad) for teacher in trainer.algorithm.teachers.values())
    state = trainer.state_dict()
    assert all(is_finite(state[part]) for part in ("algorithm", "stepper", "records", "averages"))
    logged = rows(tmp_path)
    assert all(math.isfinite(v) for row in logged for name, v in row.items() if name.startswith("loss"))
    assert [row["skipped_steps"] for row in logged if "skipped_steps" in row][-1] == len(bad)
    text = (tmp_path / "run.log").read_text()
    assert text.count("skipped, ") == len(bad) and f"skipped, {len(bad)} of 3 in a row" in text


def test_a_step_that_is_skipped_leaves_the_networks_as_they_were(data_root, tmp_path):
    states = []
    for name, bad in (("short", ()), ("skipping", {3})):
        trainer = make_trainer(data_root, tmp_path / name, "cotrain1", pairs=STEPS)
        poison(trainer, bad)
        trainer.interrupts.check = lambda: None
        batches = trainer.loader.batches(0, 0, True)
        for step, batch in zip(range(3 if name == "short" else 4), batches):
            trainer.algorithm.train()
            with trainer.stepper.forward_pass("all"):
                output = trainer.algorithm(batch, step, "all")
            trainer._learn("all", output, batch)
            trainer.step += 1
        states.append(trainer.algorithm.state_dict())
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


@pytest.mark.promise("R8")
def test_steps_that_are_always_bad_stop_the_run_with_a_good_last_file_and_the_batch(data_root, tmp_path):
    trainer = make_trainer(data_root, tmp_path, "cotrain1", pairs=[*STEPS, "TRAIN.MAX_NONFINITE", "1"])
    labels = trainer.loader._loaders[0].dataset._keypoints
    good = labels.clone()
    trainer.stepper.precision.scaler.update = lambda: labels.fill_(math.nan) if trainer.step == 3 else None
    with pytest.raises(DivergedError) as caught:
        trainer.fit()
    message = str(caught.value)
    assert message.startswith("the loss is nan at step 5 (phase all), 2 in a row") and "\n" not in message
    assert "loss_pose_first nan" in message and "loss_cons_first 0." in message
    assert "labeled ids " in message and "unlabeled ids " in message and "nonfinite_step_5.pt" in message

    state, path = CheckpointFolder(tmp_path).find_resume("auto")
    assert path.name == "last.pth" and state["step"] == 5
    assert all(is_finite(state[part]) for part in ("algorithm", "stepper", "records"))

    file = tmp_path / "nonfinite_step_5.pt"
    content = torch.load(file, weights_only=True)
    ids, index = content["ids"], content["batch"]["labeled"]["index"]
    assert ids["labeled"] == trainer.loader._loaders[0].dataset.persons.ids[index.numpy()].tolist()
    assert content["seed"] == 0 and content["loss_terms"].keys() >= {"loss_pose_first", "loss_cons_second"}
    again = make_trainer(data_root, tmp_path / "again", "cotrain1", pairs=STEPS).algorithm.train()
    load_networks(again, state, "last.pth")
    batch = PairBatch(**{side: PoseBatch(**fields) for side, fields in content["batch"].items()})
    assert not again(batch, content["step"], content["phase"]).loss.isfinite()
    batch.labeled.keypoints.copy_(good[index])
    assert again(batch, content["step"], content["phase"]).loss.isfinite()


@pytest.mark.parametrize(("first", "second"), [(1.0, 2.0), (math.nan, 1.0), (1.0, math.inf), (-math.inf, math.nan)])
def test_both_scalars_count(first, second):
    expected = math.isfinite(first) and math.isfinite(second)
    assert all_finite(torch.tensor(first, requires_grad=True), torch.tensor(second)) == expected


def test_a_snapshot_restores_each_type_once():
    norm = torch.nn.BatchNorm1d(2)
    snapshot = BufferSnapshot([norm])
    for _ in range(2):
        before = [buffer.clone() for buffer in norm.buffers()]
        snapshot.take()
        norm(torch.full((3, 2), math.nan))
        snapshot.restore()
        assert all(torch.equal(a, b) for a, b in zip(before, norm.buffers()))
        norm(torch.rand(3, 2))
        moved = norm.running_mean.clone()
        snapshot.restore()
        assert torch.equal(norm.running_mean, moved)
