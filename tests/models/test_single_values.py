"""BatchNorm of one value per channel: found before torch refuses it, and only where it would."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from run_folder import same_state

from semipose import assemble
from semipose.algorithms.recipe import LossWeights, Ramp
from semipose.config import load_config
from semipose.data.samplers import PassSampler, ReplacementSampler
from semipose.data.source_mix import SourceMix
from semipose.engine.checkpoint import CheckpointFolder
from semipose.errors import ConfigError
from semipose.models.freezing import freeze
from semipose.models.pose_network import NetworkPlan, build_pose_network
from semipose.models.single_values import norms_with_one_value
from semipose.prepare.drawn_people import write_demo_data
from semipose.runtime.signals import Interrupts
from semipose.tracking.tracker import Tracker

DEEPEST = [f"backbone.layer4.{block}.bn{n}" for block in (0, 1) for n in (1, 2)]


@pytest.mark.parametrize("backbone", ["resnet18", "light_unet", "hrnet_w32", "timm/mobilenetv3_small_050"])
@pytest.mark.parametrize("side", [32, 64])
def test_what_is_found_is_what_torch_refuses(backbone, side):
    network = build_pose_network(NetworkPlan(backbone, joints=3, size=(side, side)))
    before = {name: value.clone() for name, value in network.state_dict().items()}
    found = norms_with_one_value(network, (side, side))
    assert network.training and same_state(before, dict(network.state_dict()))
    assert not any(module._forward_pre_hooks for module in network.modules())
    try:
        network(torch.zeros(1, 3, side, side))
        refused = False
    except ValueError as error:
        refused = "more than 1 value per channel" in str(error)
    assert bool(found) is refused
    network(torch.zeros(2, 3, side, side))


def test_names_and_what_does_not_learn():
    network = build_pose_network(NetworkPlan("resnet18", joints=3, size=(32, 32)))
    assert set(norms_with_one_value(network, (32, 32))) == {*DEEPEST, "backbone.layer4.0.downsample.1"}
    freeze(network, [], batch_norm=True)
    assert norms_with_one_value(network, (32, 32)) == []


def test_the_smallest_batch_of_a_sampler():
    """Nine rows in fours: 4, 4, 1; of two ranks with two rows each, the last batch has one row for both."""
    nine, shares = SourceMix((9,)), SourceMix((4, 5), shares=(1.0, 1.0))
    assert PassSampler(nine, 4, 0, 0).fewest == PassSampler(nine, 2, 0, 0, 1, 2).fewest == 1
    assert [PassSampler(nine, size, 0, 0).fewest for size in (3, 5, 9, 12)] == [3, 4, 9, 9]
    assert PassSampler(nine, 4, 3, 0).fewest == PassSampler(shares, 4, 0, 0).fewest == 4
    assert ReplacementSampler(nine, 4, 3, 0).fewest == 4
    for sampler in (PassSampler(nine, 4, 0, 0), PassSampler(nine, 5, 0, 0), PassSampler(nine, 3, 0, 0, 1, 2)):
        assert min(map(len, sampler)) == sampler.fewest


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("people")
    write_demo_data(str(root), labeled=5, unlabeled=5, val=2, size=80, seed=0)
    return root


def trainer_of(root, folder, *pairs):
    usual = "MODEL.BACKBONE resnet18 MODEL.PRETRAINED none MODEL.IMAGE_SIZE [32,32] MODEL.HEATMAP_SIZE [0,0]".split()
    usual += "TRAIN.STEPS_PER_EPOCH 2 TRAIN.END_EPOCH 1 DATASET.CACHE none".split()
    config = load_config("experiments/demo/cotrain.yaml", {"DATASET.ROOT": str(root)}, [*usual, *pairs])
    parts = assemble.build_data(config), CheckpointFolder(folder), Tracker([]), Interrupts()
    return assemble.build_trainer(config, *parts, pretrained=False)


@pytest.mark.parametrize(
    "pairs",
    [
        "ALGORITHM supervised TRAIN.BATCH_SIZE 1",
        "ALGORITHM supervised TRAIN.BATCH_SIZE 4 TRAIN.STEPS_PER_EPOCH 0",  # 5 labels: one is left
        "TRAIN.BATCH_SIZE 1 TRAIN.UNSUP_START 0.5",
        "TRAIN.BATCH_SIZE 4 TRAIN.BATCH_SIZE_UNSUP 1 TRAIN.JOINT_FORWARD false",
    ],
)
def test_such_a_run_is_refused_before_its_first_step(root, tmp_path, pairs):
    with pytest.raises(ConfigError, match=r"IMAGE_SIZE 32x32.*backbone\.layer4.*BATCH_SIZE"):
        trainer_of(root, tmp_path, *pairs.split())


@pytest.mark.parametrize(
    "pairs",
    [
        "ALGORITHM supervised TRAIN.BATCH_SIZE 1 MODEL.FREEZE_BN true",
        "ALGORITHM supervised TRAIN.BATCH_SIZE 1 MODEL.IMAGE_SIZE [64,64]",
        "TRAIN.BATCH_SIZE 1 TRAIN.BATCH_SIZE_UNSUP 1 TRAIN.UNSUP_START 0 TRAIN.UNSUP_RAMP 0",
    ],
)
def test_others_learn_as_before(root, tmp_path, pairs):
    trainer = trainer_of(root, tmp_path, *pairs.split())
    assert np.isfinite(trainer.fit()["AP"])


def test_images_that_go_through_a_student_at_once(root, tmp_path):

    recipe = replace(trainer_of(root, tmp_path, "TRAIN.BATCH_SIZE", "4").algorithm.recipe, ramp=Ramp(0, 0))
    assert recipe.fewest_images(1, 0) == 1 and recipe.fewest_images(1, 3) == 4
    assert replace(recipe, joint_forward=False).fewest_images(3, 1) == 1
    assert replace(recipe, ramp=Ramp(5, 9)).fewest_images(2, 3) == 2
    mixed = replace(recipe, weights=LossWeights(mix=1.0), mix=replace(recipe.mix, where="manifold"))
    assert mixed.fewest_images(4, 1) == 1
    assert replace(recipe, weights=LossWeights(pose=0)).fewest_images(1, 3) == 3
