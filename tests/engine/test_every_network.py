"""A run with each codec, and one with two unlike students: it learns, stops and goes on to the same bits."""

import pytest
import torch
from small_run import assert_goes_on_exactly, finish, make_trainer

from semipose.algorithms import ALGORITHMS
from semipose.assemble.from_checkpoint import build_predictor
from semipose.codecs import TOP_DOWN
from semipose.engine.checkpoint import load_checkpoint

QUICK = "TRAIN.END_EPOCH 1 TRAIN.STEPS_PER_EPOCH 6 TRAIN.BATCH_SIZE 3 TEST.METRICS [pck]".split()
UNLIKE = "MODEL.SECOND.BACKBONE light_unet_deep MODEL.SECOND.INPUT_SIZE [64,64]".split()


@pytest.mark.parametrize("codec", TOP_DOWN)
def test_a_run_with_each_codec_goes_on_as_if_it_had_not_been_stopped(data_root, tmp_path, codec):
    pairs = [*QUICK, "MODEL.CODEC", codec, "MODEL.HEATMAP_SIZE", "[0,0]"]
    whole = make_trainer(data_root, tmp_path / "whole", pairs=pairs)
    before = [p.clone() for p in whole.algorithm.parameters()]
    expected = finish(whole)
    assert any(not torch.equal(a, b) for a, b in zip(before, whole.algorithm.parameters()))
    assert_goes_on_exactly(whole, expected, data_root, tmp_path / "stopped", looks=4, pairs=pairs)


@pytest.fixture(scope="module")
def unlike(data_root, tmp_path_factory):
    """A finished run of two unlike students."""
    trainer = make_trainer(data_root, tmp_path_factory.mktemp("unlike"), pairs=[*QUICK, *UNLIKE])
    return trainer, finish(trainer)


def test_two_unlike_students_go_on_as_if_they_had_not_been_stopped(data_root, tmp_path, unlike):
    first, second = (student.network for student in unlike[0].algorithm.students.values())
    assert type(first.backbone).__name__ == type(second.backbone).__name__ == "LightUNet"
    assert len(list(first.parameters())) < len(list(second.parameters()))
    assert first.codec != second.codec and second.codec.stride == 2 and second.codec.size == (16, 16)
    assert_goes_on_exactly(*unlike, data_root, tmp_path, looks=4, pairs=[*QUICK, *UNLIKE])


def test_an_ensemble_of_unlike_students_predicts_from_its_checkpoint(unlike):
    trainer, metrics = unlike
    path = trainer.record.checkpoints.folder / "last.pth"
    crops = torch.randint(0, 256, (3, 3, 40, 40), dtype=torch.uint8).numpy()
    still = torch.eye(2, 3).repeat(3, 1, 1).numpy()
    found = {}
    for which in ("ema_first", "ema_second", "ensemble"):
        predictor, description = build_predictor(load_checkpoint(path), str(path), which)
        found[which], _ = predictor.predict_crops(crops, still)
        assert len(description.plans) == (2 if which == "ensemble" else 1)
    assert abs(found["ensemble"] - found["ema_first"]).max() > 0.1
    low = (found["ema_first"].clip(None, found["ema_second"]) - 1e-3 <= found["ensemble"]).all()
    assert low and (found["ensemble"] <= found["ema_first"].clip(found["ema_second"], None) + 1e-3).all()
    assert {"PCK_ema_first", "PCK_ema_second", "PCK_ensemble"} <= metrics.keys()


@pytest.mark.parametrize("name", [name for name, entry in ALGORITHMS.items() if entry.students == 2])
def test_every_algorithm_of_two_networks_takes_unlike_ones(data_root, tmp_path, name):
    pairs = [*QUICK, *UNLIKE, "TRAIN.STEPS_PER_EPOCH", "2"]
    trainer = make_trainer(data_root, tmp_path, name, pairs=pairs)
    before = {key: value.clone() for key, value in trainer.algorithm.state_dict().items() if "final" in key}
    finish(trainer)
    after = trainer.algorithm.state_dict()
    assert all(not torch.equal(value, after[key]) for key, value in before.items())
