import copy
import math

import pytest
import torch
from torch import nn

from semipose.engine.optimizers import OptimizerSettings
from semipose.engine.stepper import ACCUMULATED, SKIPPED, UPDATED, Stepper
from semipose.errors import DivergedError

PLAIN = {"optimizer": "sgd", "lr": 0.1, "momentum": 0.9, "schedule": "constant"}


def same(a: nn.Module, b: nn.Module) -> bool:
    pairs = zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    return all(torch.equal(x, y) for x, y in pairs)


def pair_of_nets(make=lambda: nn.Linear(2, 1)) -> tuple[nn.Module, nn.Module]:
    net = make()
    return net, copy.deepcopy(net)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_a_phase_moves_its_own_network_and_survives_a_round_trip(optimizer):
    def make():
        torch.manual_seed(0)
        nets = {"first": [nn.Linear(2, 1)], "second": [nn.Linear(2, 1)]}
        return nets, Stepper(nets, OptimizerSettings(optimizer, lr=0.1, schedule="cosine", warmup=2), 10)

    def run(nets, stepper, phase, step):
        assert stepper.step(phase, nets[phase][0](torch.ones(4, 2)).square().mean(), step) == UPDATED

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


# Accumulation


@pytest.mark.parametrize("clip", [0.0, 0.05])
def test_three_accumulated_steps_are_one_step_on_the_joined_batch(clip):
    small, large = pair_of_nets()
    settings = {**PLAIN, "clip_norm": clip, "schedule": "cosine", "warmup": 3}
    accumulating = Stepper({"all": [small]}, OptimizerSettings(**settings, accumulate=3), 4)
    joined = Stepper({"all": [large]}, OptimizerSettings(**settings), 4)
    for update in range(4):
        images = torch.randn(3, 5, 2)
        lr = accumulating.lr("all")
        outcomes = []
        for part in images:
            assert accumulating.lr("all") == lr == joined.lr("all")
            before = small.weight.clone()
            outcomes.append(accumulating.step("all", (small(part) - 1).square().mean(), 0))
            assert torch.equal(small.weight, before) == (outcomes[-1] == ACCUMULATED)
        assert outcomes == [ACCUMULATED, ACCUMULATED, UPDATED]
        joined.step("all", (large(images.flatten(0, 1)) - 1).square().mean(), update)
        torch.testing.assert_close(small.weight, large.weight)


@pytest.mark.parametrize("stop", [1, 2, 3, 4])
def test_accumulation_goes_on_exactly_after_a_stop_between_two_updates(stop):
    def run(net, stepper, steps):
        for step in steps:
            images = torch.rand(2, 2, generator=torch.Generator().manual_seed(step))
            # as for a head that learns in some steps only
            stepper.step("all", net[0](images).sum() + (net[1](images).sum() if step % 2 else 0), step)

    settings = OptimizerSettings(**PLAIN, accumulate=3)
    whole, part = pair_of_nets(lambda: nn.ModuleList([nn.Linear(2, 1), nn.Linear(2, 1)]))
    steppers = [Stepper({"all": [net]}, settings, 9) for net in (whole, part)]
    run(whole, steppers[0], range(7))
    run(part, steppers[1], range(stop))
    resumed = Stepper({"all": [part]}, settings, 9)
    state = copy.deepcopy(steppers[1].state_dict())
    assert state["sums"]["all"]["count"] == stop % 3
    resumed.load_state_dict(state)
    run(part, resumed, range(stop, 7))
    assert same(whole, part)


def test_phases_that_take_turns_accumulate_on_their_own():
    nets = {phase: nn.Linear(2, 1) for phase in ("first", "second")}
    settings = OptimizerSettings(**PLAIN, accumulate=2)
    stepper = Stepper({phase: [net] for phase, net in nets.items()}, settings, 9)
    outcomes = [stepper.step(p, nets[p](torch.ones(1, 2)).sum(), 0) for p in ("first", "second") * 2]
    assert outcomes == [ACCUMULATED, ACCUMULATED, UPDATED, UPDATED]


def test_a_skipped_step_leaves_nothing_in_the_accumulation():
    clean, disturbed = pair_of_nets()
    settings = OptimizerSettings(**PLAIN, accumulate=2)
    steppers = [Stepper({"all": [net]}, settings, 9) for net in (clean, disturbed)]
    for factor in (1.0, math.nan, 2.0):
        for net, stepper in zip((clean, disturbed), steppers):
            if net is disturbed or not math.isnan(factor):
                stepper.step("all", net(torch.ones(1, 2)).sum() * factor, 0)
    assert same(clean, disturbed) and steppers[1].skipped == 1


# Loss or gradient that is not finite


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_stops_with_the_step(value):
    net = nn.Linear(1, 1)
    before = net.weight.clone()
    stepper = Stepper({"all": [net]}, OptimizerSettings(max_nonfinite=0), 1)
    with pytest.raises(DivergedError, match=f"{value} .*step 17") as caught:
        stepper.step("all", net(torch.ones(1, 1)).sum() * value, 17)
    assert caught.value.exit_code == 3 and torch.equal(net.weight, before)


def test_a_finite_loss_whose_gradient_is_not_finite_is_skipped():
    net = nn.Linear(1, 1)
    before = net.weight.clone()
    stepper = Stepper({"all": [net]}, OptimizerSettings(), 9)
    assert stepper.step("all", (net(torch.ones(1, 1)) * 0).sqrt().sum(), 0) == SKIPPED
    assert torch.equal(net.weight, before) and stepper.logs() == {"skipped_steps": 1.0}


def test_only_too_many_in_a_row_stop_the_run_and_the_row_survives_a_round_trip():
    net = nn.Linear(1, 1)

    def run(stepper, factors) -> list[str]:
        return [stepper.step("all", net(torch.ones(1, 1)).sum() * f, n) for n, f in enumerate(factors)]

    bad, settings = math.nan, OptimizerSettings(max_nonfinite=2)
    stepper = Stepper({"all": [net]}, settings, 99)
    assert run(stepper, [bad, bad, 1.0, bad, bad]) == [SKIPPED, SKIPPED, UPDATED, SKIPPED, SKIPPED]
    resumed = Stepper({"all": [net]}, settings, 99)
    resumed.load_state_dict(copy.deepcopy(stepper.state_dict()))
    assert resumed.skipped == 4
    with pytest.raises(DivergedError, match="step 0.* 3 "):
        run(resumed, [bad])


def test_statistics_of_a_skipped_step_are_restored():
    clean, disturbed = pair_of_nets(lambda: nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)))
    steppers = [Stepper({"all": [net]}, OptimizerSettings(), 9) for net in (clean, disturbed)]
    for images in (torch.rand(4, 2), torch.full((4, 2), math.nan), torch.rand(4, 2)):
        for net, stepper in zip((clean, disturbed), steppers):
            if net is clean and images.isnan().any():
                continue
            with stepper.forward_pass("all"):
                loss = net(images).square().mean()
            stepper.step("all", loss, 0)
    assert same(clean, disturbed) and clean[1].num_batches_tracked == 2
