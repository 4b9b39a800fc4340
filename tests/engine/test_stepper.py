import copy
import math

import pytest
import torch
from torch import nn

from semipose.engine.stepper import OptimizerSettings, Stepper, rate_factor
from semipose.errors import ConfigError, DivergedError


def test_step_schedule_falls_at_its_milestones():
    settings = OptimizerSettings(schedule="step", milestones=(3, 5), factor=0.1)
    factors = [rate_factor(settings, step, 7) for step in range(7)]
    assert factors == pytest.approx([1, 1, 1, 0.1, 0.1, 0.01, 0.01])


def test_cosine_schedule_goes_from_one_to_its_end():
    settings = OptimizerSettings(schedule="cosine", end=0.02)
    factors = [rate_factor(settings, step, 11) for step in range(11)]
    assert factors[0] == 1 and factors[-1] == pytest.approx(0.02) and factors[5] == pytest.approx(0.51)
    assert factors == sorted(factors, reverse=True)


def test_warm_up_is_linear():
    settings = OptimizerSettings(schedule="constant", warmup=4)
    assert [rate_factor(settings, step, 9) for step in range(6)] == [0.25, 0.5, 0.75, 1, 1, 1]


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_a_phase_moves_its_own_network_and_survives_a_round_trip(optimizer):
    def make():
        torch.manual_seed(0)
        nets = {"first": [nn.Linear(2, 1)], "second": [nn.Linear(2, 1)]}
        return nets, Stepper(nets, OptimizerSettings(optimizer, lr=0.1, schedule="cosine", warmup=2), 10)

    def run(nets, stepper, phase, step):
        stepper.step(phase, nets[phase][0](torch.ones(4, 2)).square().mean(), step)

    nets, stepper = make()
    untouched = nets["second"][0].weight.clone()
    for step in range(3):
        run(nets, stepper, "first", step)
    assert torch.equal(nets["second"][0].weight, untouched)
    copies, other = make()
    copies["first"][0].load_state_dict(nets["first"][0].state_dict())
    other.load_state_dict(copy.deepcopy(stepper.state_dict()))
    assert other.lr("first") == stepper.lr("first") != stepper.lr("second")
    run(nets, stepper, "first", 3)
    run(copies, other, "first", 3)
    assert torch.equal(nets["first"][0].weight, copies["first"][0].weight)


def test_clipping_limits_the_gradient():
    net = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(net.weight)
    settings = OptimizerSettings("sgd", lr=1.0, momentum=0.0, schedule="constant", clip_norm=0.5)
    Stepper({"all": [net]}, settings, 1).step("all", (net(torch.ones(1, 1)) * 100).sum(), 0)
    assert net.weight.item() == pytest.approx(-0.5)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_with_the_step(value):
    net = nn.Linear(1, 1)
    before = net.weight.clone()
    stepper = Stepper({"all": [net]}, OptimizerSettings(), 1)
    with pytest.raises(DivergedError, match="step 17") as caught:
        stepper.step("all", net(torch.ones(1, 1)).sum() * value, 17)
    assert caught.value.exit_code == 3 and torch.equal(net.weight, before)


@pytest.mark.parametrize("settings", [{"optimizer": "lion"}, {"schedule": "poly"}])
def test_unknown_names_list_the_known_ones(settings):
    with pytest.raises(ConfigError, match="allowed: (adam, adamw, sgd|step, cosine, constant)"):
        Stepper({"all": [nn.Linear(1, 1)]}, OptimizerSettings(**settings), 1)
