"""Learning rates and weight decays of parts of a network."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import nn

from semipose.errors import ConfigError
from semipose.models.parameter_names import check_patterns, matches

NORMS = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm)
FACTORS = {"lr": "lr", "wd": "decay"}
EXAMPLE = "'backbone lr=0.1 wd=0' expected: a pattern and factors of TRAIN.LR and TRAIN.WD"


@dataclass(frozen=True)
class GroupRule:
    """Factors of the learning rate and of the weight decay of all parameters that `pattern` matches."""

    pattern: str
    lr: float = 1.0
    decay: float = 1.0


@dataclass(frozen=True)
class ParameterGroup:
    """Parameters with the same factors."""

    lr: float
    decay: float
    parameters: list[nn.Parameter] = field(default_factory=list)


def parse_rule(text: str) -> GroupRule:
    """`backbone.layer1 lr=0.1 wd=0`; a factor that is not given is 1. Raises ConfigError."""
    pattern, *settings = text.split() or [""]
    given = dict(setting.partition("=")[::2] for setting in settings)
    repeated = len(given) < len(settings)
    if not pattern or "=" in pattern or not given or repeated or not given.keys() <= FACTORS.keys():
        raise ConfigError(f"TRAIN.GROUPS: {text!r} is not allowed; {EXAMPLE}")
    return GroupRule(pattern, **{FACTORS[name]: _factor(value, text) for name, value in given.items()})


def make_groups(
    learners: Sequence[nn.Module],
    rules: Sequence[GroupRule] = (),
    no_decay_norm: bool = False,
    layer_decay: float = 1.0,
    others: Sequence[nn.Module] = (),
) -> list[ParameterGroup]:
    """The parameters that learn, grouped by their factors, in the order of the first parameter of each group.

    Args:
        learners: of one phase. The names in rules are those within a pose network (`backbone`, `neck`, `head`) and of
            the heads beside it (`worst_head`, `pseudo_head`).
        rules: the first that matches counts; parameters that none matches have factors 1.
        no_decay_norm: no weight decay for normalisation layers and biases.
        layer_decay: factor of the rate from each layer of a backbone to the one before it. The last layer has it once,
            what follows the backbone not at all (Clark et al., "ELECTRA", ICLR 2020; Bao et al., "BEiT", ICLR 2022).
        others: learn in other phases, and may be unlike: a rule must match something in one of all.

    Raises:
        ConfigError: a rule matches nothing, `layer_decay` for a backbone whose layers are not known, or nothing is left
            to learn.
    """
    named = _named_parameters(learners)
    known = [name for name, _ in named + _named_parameters(others)]
    check_patterns([rule.pattern for rule in rules], known, "TRAIN.GROUPS")
    by_layer = _layer_factors(learners, layer_decay) if layer_decay != 1 else {}
    undecayed = _norms_and_biases(learners) if no_decay_norm else set()
    groups: dict[tuple[float, float], ParameterGroup] = {}
    for name, parameter in named:
        if parameter.requires_grad:
            rule = next((rule for rule in rules if matches(name, rule.pattern)), GroupRule(name))
            factors = rule.lr * by_layer.get(id(parameter), 1.0), 0.0 if id(parameter) in undecayed else rule.decay
            groups.setdefault(factors, ParameterGroup(*factors)).parameters.append(parameter)
    if not groups:
        raise ConfigError("MODEL.FREEZE leaves no parameter to learn")
    return list(groups.values())


def _named_parameters(learners: Sequence[nn.Module]) -> list[tuple[str, nn.Parameter]]:
    return [(name.removeprefix("network."), p) for net in learners for name, p in net.named_parameters()]


def _layer_factors(learners: Sequence[nn.Module], layer_decay: float) -> dict[int, float]:
    """Factor of the rate of each parameter of a backbone, by its id."""
    backbones = [module for net in learners for module in net.modules() if hasattr(module, "layer_of")]
    if not backbones or any(backbone.depth == 0 for backbone in backbones):
        raise ConfigError(f"TRAIN.LAYER_DECAY is {layer_decay:g}, but the layers of this MODEL.BACKBONE are not known")
    return {
        id(parameter): layer_decay ** (backbone.depth + 1 - backbone.layer_of(name))
        for backbone in backbones for name, parameter in backbone.named_parameters()
    }  # fmt: skip


def _norms_and_biases(learners: Sequence[nn.Module]) -> set[int]:
    modules = [module for net in learners for module in net.modules()]
    return {
        id(parameter) for module in modules for name, parameter in module.named_parameters(recurse=False)
        if name == "bias" or isinstance(module, NORMS)
    }  # fmt: skip


def _factor(value: str, text: str) -> float:
    try:
        factor = float(value)
    except ValueError:
        factor = -1.0
    if not 0 <= factor < math.inf:
        raise ConfigError(f"TRAIN.GROUPS: {text!r}: {value!r} is not allowed; a number of at least 0 expected")
    return factor
