import copy

import pytest
import torch
from torch import nn

from semipose.engine.optimizers import OptimizerSettings, load_optimizer, make_optimizer, rate_factor
from semipose.engine.parameter_groups import make_groups
from semipose.errors import ConfigError


def test_step_schedule_falls_at_its_milestones():
    settings = OptimizerSettings(schedule="step", milestones=(3, 5), factor=0.1)
    factors = [rate_factor(settings, step, 7) for step in range(7)]
    assert factors == pytest.approx([1, 1, 1, 0.1, 0.1, 0.01, 0.01])


def test_cosine_schedule_goes_from_one_to_its_end():
    settings = OptimizerSettings(schedule="cosine", end=0.02)
    factors = [rate_factor(settings, step, 11) for step in range(11)]
    assert factors[0] == 1 and factors[-1] == pytest.approx(0.02) and factors[5] == pytest.approx(0.51)
    assert factors == sorted(factors, reverse=True)


@pytest.mark.parametrize("settings", [{"optimizer": "lion"}, {"schedule": "poly"}])
def test_unknown_names_list_the_known_ones(settings):
    with pytest.raises(ConfigError, match="allowed: (adam, adamw, sgd|step, cosine, constant)"):
        OptimizerSettings(**settings)


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize(("before", "after"), [(True, False), (False, True)])
def test_a_run_may_go_on_with_another_kind_of_optimiser_code(name, before, after):
    """As when a run is resumed on another device."""
    torch.manual_seed(0)
    nets = [nn.Linear(3, 2)]
    nets.append(copy.deepcopy(nets[0]))
    make = {fused: make_optimizer(OptimizerSettings(name, lr=0.1, weight_decay=0.01, fused=fused), make_groups([net]))
            for fused, net in zip((before, after), nets)}  # fmt: skip
    for optimizer in make.values():
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad = torch.ones_like(parameter)
    for _ in range(2):
        make[before].step()
    nets[1].load_state_dict(nets[0].state_dict())
    load_optimizer(make[after], copy.deepcopy(make[before].state_dict()))
    assert all(bool(group["fused"]) is (after and name != "sgd") for group in make[after].param_groups)
    for optimizer in make.values():
        optimizer.step()
    torch.testing.assert_close(nets[0].weight, nets[1].weight)


@pytest.mark.parametrize("name", ["adam", "adamw", "sgd"])
def test_a_parameter_may_get_its_first_gradient_later_than_the_others(name):
    """As a head does that only unlabelled images teach, while their losses have not begun."""
    torch.manual_seed(0)
    net = nn.ModuleList([nn.Linear(3, 2), nn.Linear(3, 2)])
    optimizer = make_optimizer(OptimizerSettings(name, lr=0.1), make_groups([net]))
    x = torch.randn(4, 3)
    for learned in (net[:1], net[:1], net):
        optimizer.zero_grad(set_to_none=True)
        before = copy.deepcopy(net)
        sum(part(x).square().sum() for part in learned).backward()
        optimizer.step()
        moved = [not torch.equal(old.weight, new.weight) for old, new in zip(before, net)]
        assert moved == [True, len(learned) == 2]
