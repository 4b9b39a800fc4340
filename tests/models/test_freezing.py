import copy

import pytest
import torch

from semipose.errors import ConfigError
from semipose.models.ema import EmaTeacher
from semipose.models.freezing import freeze, frozen_report
from semipose.models.pose_network import NetworkPlan, build_pose_network

STEM = ("backbone.stem", "backbone.down.0")


def network():
    return build_pose_network(NetworkPlan("light_unet", 3, (64, 64))).train()


def is_frozen(name: str) -> bool:
    return name.startswith(tuple(f"{pattern}." for pattern in STEM))


def train(net, teacher, steps: int = 3) -> None:
    optimizer = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=0.1, weight_decay=0.1)
    for _ in range(steps):
        net.train()
        optimizer.zero_grad()
        (net(torch.rand(2, 3, 48, 32)) - 1).square().mean().backward()
        optimizer.step()
        net.eval()(torch.rand(1, 3, 48, 32))  # as a teacher, and as a network to evaluate
        teacher.update(net)


def test_a_frozen_part_is_bit_identical_after_training_in_the_ema_too():
    net = network()
    freeze(net, STEM)
    teacher, before = EmaTeacher(net, 0.9), copy.deepcopy(net.state_dict())
    train(net, teacher)
    for state in (net.state_dict(), teacher.module.state_dict()):
        for name, tensor in state.items():
            assert torch.equal(tensor, before[name]) or not is_frozen(name), name
    moved = [name for name, tensor in net.state_dict().items() if not torch.equal(tensor, before[name])]
    assert any("running_mean" in name for name in moved) and any("head" in name for name in moved)


def test_train_mode_does_not_reach_frozen_modules_of_a_copy_either():
    net = network()
    freeze(net, STEM)
    for each in (net, copy.deepcopy(net)):
        modes = {name: module.training for name, module in torch.nn.ModuleList([each]).train()[0].named_modules()}
        assert not any(mode for name, mode in modes.items() if is_frozen(f"{name}."))
        assert modes[""] and modes["head"] and modes["backbone.down.1"]


def test_a_norm_layer_whose_parameters_are_all_frozen_is_in_eval_mode():
    net = network()
    norm = next(name for name, m in net.named_modules() if isinstance(m, torch.nn.BatchNorm2d))
    freeze(net, [f"{norm}.weight"])
    assert net.frozen == ()
    freeze(net, [f"{norm}.bias"])
    assert net.frozen == (norm,) and not net.get_submodule(norm).training


def test_a_pattern_that_matches_nothing_is_refused_with_close_names():
    with pytest.raises(ConfigError, match="MODEL.FREEZE: 'backbone.stm' .* backbone.stem"):
        freeze(network(), ["backbone.stm"])


def test_batch_norm_of_the_backbone_keeps_its_statistics_and_learns_its_weights():
    net = network()
    freeze(net, [], batch_norm=True)
    before = copy.deepcopy(net.state_dict())
    train(net, EmaTeacher(net, 0.9))
    statistics = {name for name in before if "running" in name and name.startswith("backbone.")}
    moved = {name for name, tensor in net.state_dict().items() if not torch.equal(tensor, before[name])}
    assert statistics and not moved & statistics and "backbone.stem.1.weight" in moved
    assert frozen_report(net) == f"no parameters, {len(statistics) // 2} BatchNorm layers in eval mode"


def test_batch_norm_and_patterns_together():
    net = network()
    freeze(net, STEM, batch_norm=True)
    assert all(not module.training for name, module in net.named_modules() if isinstance(module, torch.nn.BatchNorm2d))
    assert frozen_report(net).startswith("backbone.stem, backbone.down.0: 12 tensors")


def test_a_backbone_without_batch_norm_cannot_freeze_it():
    net = network()
    net.backbone = torch.nn.Conv2d(3, 32, 1)
    with pytest.raises(ConfigError, match="MODEL.FREEZE_BN"):
        freeze(net, [], batch_norm=True)
