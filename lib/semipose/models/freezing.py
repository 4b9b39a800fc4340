"""Parts of a network that training leaves as they are."""

from collections.abc import Sequence

from torch import nn

from semipose.models.parameter_names import check_patterns, matches
from semipose.models.pose_network import PoseNetwork


def freeze(network: PoseNetwork, patterns: Sequence[str]) -> None:
    """Take parameters out of the training, and keep the modules they belong to in eval mode.

    In train mode BatchNorm would move its statistics, so a frozen layer would still change. A module is frozen if
    a pattern names it or if all of its parameters are frozen.

    Args:
        patterns: as in `parameter_names`, such as "backbone.conv1" or "backbone.*.bn[12]".

    Raises:
        ConfigError: a pattern that matches nothing.
    """
    check_patterns(patterns, (name for name, _ in network.named_parameters()), "MODEL.FREEZE")
    for name, parameter in network.named_parameters():
        if any(matches(name, pattern) for pattern in patterns):
            parameter.requires_grad_(False)
    found: list[str] = []
    for name, module in network.named_modules():
        inside = any(name.startswith(outer + ".") for outer in found)
        if name and not inside and (_is_frozen(module) or any(matches(name, pattern) for pattern in patterns)):
            found.append(name)
    network.keep_in_eval(tuple(found))


def frozen_report(network: PoseNetwork) -> str:
    """What is frozen, in one line; "" for nothing. For a student: nothing in an EMA learns by gradient."""
    still = [p.numel() for p in network.parameters() if not p.requires_grad]
    if not still:
        return ""
    modules = [module for name in network.frozen for module in network.get_submodule(name).modules()]
    norms = sum(isinstance(module, nn.modules.batchnorm._NormBase) for module in modules)
    names = ", ".join(network.frozen) or "single parameters"
    return f"{names}: {len(still)} tensors, {sum(still) / 1e6:.3f} M parameters, {norms} BatchNorm layers in eval mode"


def _is_frozen(module: nn.Module) -> bool:
    parameters = list(module.parameters())
    return bool(parameters) and not any(p.requires_grad for p in parameters)
