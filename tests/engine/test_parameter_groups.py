import pytest
import torch
from torch import nn

from semipose.engine.optimizers import OptimizerSettings
from semipose.engine.parameter_groups import GroupRule, make_groups, parse_rule
from semipose.engine.stepper import Stepper
from semipose.errors import ConfigError
from semipose.models.backbones import build_backbone


class Learner(nn.Module):
    """Named as a student is."""

    def __init__(self):
        super().__init__()
        self.network = nn.ModuleDict({
            "backbone": nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)), "head": nn.Linear(2, 1),
        })  # fmt: skip
        self.worst_head = nn.Linear(2, 1)

    def forward(self, x):
        features = self.network["backbone"](x)
        return self.network["head"](features) + self.worst_head(features)


def names_of(groups, learner) -> dict[tuple[float, float], set[str]]:
    names = {id(p): name for name, p in learner.named_parameters()}
    return {(g.lr, g.decay): {names[id(p)] for p in g.parameters} for g in groups}


def test_rules_are_read():
    assert parse_rule("backbone lr=0.1 wd=0") == GroupRule("backbone", 0.1, 0.0)
    assert parse_rule(" *.bn1   wd=2 ") == GroupRule("*.bn1", 1.0, 2.0)


@pytest.mark.parametrize(
    "text",
    ["", "backbone", "lr=0.1", "a lr", "a rate=1", "a lr=-1", "a lr=nan", "a lr=inf", "a lr=x", "a lr=1 lr=2", "a b"],
)
def test_other_rules_are_refused(text):
    with pytest.raises(ConfigError, match="TRAIN.GROUPS"):
        parse_rule(text)


def test_without_rules_there_is_one_group_in_the_order_of_the_network():
    learners = [Learner(), Learner()]
    (group,) = make_groups(learners)
    wanted = [p for net in learners for p in net.parameters()]
    assert all(a is b for a, b in zip(group.parameters, wanted, strict=True)) and (group.lr, group.decay) == (1, 1)


def test_the_first_rule_that_matches_counts():
    learner = Learner()
    rules = [GroupRule("backbone.0.bias", 0.5), GroupRule("backbone", 0.1, 0.0), GroupRule("worst_head", 10.0)]
    found = names_of(make_groups([learner], rules), learner)
    body = {f"network.backbone.{name}" for name in ("0.weight", "1.weight", "1.bias")}
    assert found[0.5, 1.0] == {"network.backbone.0.bias"} and found[0.1, 0.0] == body
    assert found[10.0, 1.0] == {"worst_head.weight", "worst_head.bias"}
    assert found[1.0, 1.0] == {"network.head.weight", "network.head.bias"}


def test_norms_and_biases_may_go_without_decay():
    learner = Learner()
    found = names_of(make_groups([learner], no_decay_norm=True), learner)
    weights = {"network.backbone.0.weight", "network.head.weight", "worst_head.weight"}
    assert found[1.0, 1.0] == weights
    assert found[1.0, 0.0] == {name for name, _ in learner.named_parameters()} - weights


def test_a_rule_for_nothing_is_refused_and_so_is_nothing_to_learn():
    with pytest.raises(ConfigError, match="TRAIN.GROUPS: 'backbon' .* backbone"):
        make_groups([Learner()], [GroupRule("backbon")])
    with pytest.raises(ConfigError, match="MODEL.FREEZE"):
        make_groups([Learner().requires_grad_(False)])


def test_factors_multiply_rate_and_decay_in_every_update():
    learner = Learner()
    rules = (GroupRule("backbone.0", 0.1, 2.0), GroupRule("backbone.1", 0.0))
    settings = OptimizerSettings(
        "sgd", lr=0.5, weight_decay=0.1, momentum=0.0, schedule="step", milestones=(1,), groups=rules
    )
    stepper = Stepper({"all": [learner]}, settings, 4)
    expected = {name: p.detach().clone() for name, p in learner.named_parameters()}
    for rate in (0.5, 0.05):
        stepper.step("all", learner(torch.rand(4, 2)).square().sum(), 0)
        for name, parameter in learner.named_parameters():
            lr, decay = (0.1, 2.0) if "backbone.0" in name else (0.0, 1.0) if "backbone.1" in name else (1.0, 1.0)
            expected[name] -= lr * rate * (parameter.grad + 0.1 * decay * expected[name])
            torch.testing.assert_close(parameter.detach(), expected[name])


def test_frozen_parameters_are_in_no_group():
    learner = Learner()
    learner.network["backbone"].requires_grad_(False)
    found = set.union(*names_of(make_groups([learner]), learner).values())
    assert found == {name for name, _ in learner.named_parameters() if "backbone" not in name}


def learner_with(name):
    """A student's shape around a real backbone."""
    learner = Learner()
    with torch.device("meta"):
        learner.network["backbone"] = build_backbone(name, "deepest", (64, 96))
    return learner


@pytest.mark.parametrize(
    ("name", "first", "last", "depth"),
    [("resnet18", "conv1.weight", "layer4.0.bn1.weight", 4), ("timm/test_vit", "net.cls_token", "net.norm.bias", 6)],
)
def test_rates_fall_from_layer_to_layer(name, first, last, depth):
    learner = learner_with(name)
    rates = {each: lr for (lr, _), names in names_of(make_groups([learner], layer_decay=0.5), learner).items()
             for each in names}  # fmt: skip
    assert rates[f"network.backbone.{last}"] == 0.5 and rates[f"network.backbone.{first}"] == 0.5 ** (depth + 1)
    assert rates["network.head.weight"] == rates["worst_head.bias"] == 1
    assert set(rates.values()) == {0.5**n for n in range(depth + 2)}


def test_rules_and_layer_decay_multiply():
    learner = learner_with("timm/test_vit")
    rules = [GroupRule("backbone.net.blocks.[45]", 0.1, 0.0)]
    found = names_of(make_groups([learner], rules, layer_decay=0.5), learner)
    assert all(".blocks.5." in name for name in found[0.1 * 0.5, 0.0])
    assert all(".blocks.4." in name for name in found[0.1 * 0.25, 0.0])


def test_layer_decay_needs_layers():
    for learner in (Learner(), learner_with("timm/caformer_s18")):
        with pytest.raises(ConfigError, match="TRAIN.LAYER_DECAY.*MODEL.BACKBONE"):
            make_groups([learner], layer_decay=0.8)


def test_a_rule_may_be_for_a_network_that_learns_in_another_phase():
    learners = {"first": [nn.Sequential(nn.Linear(2, 1))], "second": [Learner()]}
    settings = OptimizerSettings("sgd", lr=1.0, groups=(GroupRule("backbone", 0.1),))
    stepper = Stepper(learners, settings, total=4)
    assert [phase.factors for phase in stepper._phases.values()] == [[1.0], [0.1, 1.0]]
    with pytest.raises(ConfigError, match="TRAIN.GROUPS"):
        Stepper({"first": learners["first"]}, settings, total=4)
