"""Parts of a network that training leaves as they are."""

from collections.abc import Sequence

from torch import nn

from semipose.errors import ConfigError
from semipose.models.parameter_names import check_patterns, matches
from semipose.models.pose_network import PoseNetwork


def freeze_all(networks: Sequence[PoseNetwork], patterns: Sequence[str], batch_norm: bool = False) -> None:
    """`freeze` the networks of a run. They may be unlike: each pattern must match something in one of them."""
    check_patterns(patterns, [name for network in networks for name, _ in network.named_parameters()], "MODEL.FREEZE")
    if batch_norm and not any(map(_norms, networks)):
        raise ConfigError("MODEL.FREEZE_BN is True, but the backbone has no BatchNorm")
    for network in networks:
        _freeze(network, patterns, batch_norm)


def freeze(network: PoseNetwork, patterns: Sequence[str], batch_norm: bool = False) -> None:
    """Take parameters out of the training, and keep the modules they belong to in eval mode.

    In train mode BatchNorm would move its statistics, so a frozen layer would still change. A module is frozen if
    a pattern names it or if all of its parameters are frozen.

    Args:
        patterns: as in `parameter_names`, such as "backbone.conv1" or "backbone.net.blocks.[0-5]".
        batch_norm: keep every BatchNorm of the backbone in eval mode, with the statistics that it has. Its weights
            learn, where no pattern matches them.

    Raises:
        ConfigError: a pattern that matches nothing, or `batch_norm` for a backbone without BatchNorm.
    """
    freeze_all([network], patterns, batch_norm)


def _freeze(network: PoseNetwork, patterns: Sequence[str], batch_norm: bool) -> None:
    for name, parameter in network.named_parameters():
        if any(matches(name, pattern) for pattern in patterns):
            parameter.requires_grad_(False)
    norms = _norms(network) if batch_norm else []
    found: list[str] = []
    for name, module in network.named_modules():
        inside = any(name.startswith(outer + ".") for outer in found)
        named = name in norms or any(matches(name, pattern) for pattern in patterns)
        if name and not inside and (named or _is_frozen(module)):
            found.append(name)
    network.keep_in_eval(tuple(found))


def frozen_report(network: PoseNetwork) -> str:
    """What is frozen, in one line; "" for nothing. For a student: nothing in an EMA learns by gradient."""
    still = [p.numel() for p in network.parameters() if not p.requires_grad]
    frozen = {name: network.get_submodule(name) for name in network.frozen}
    if not still and not frozen:
        return ""
    modules = {id(module): module for outer in frozen.values() for module in outer.modules()}
    norms = sum(map(_is_norm, modules.values()))
    names = ", ".join(name for name, module in frozen.items() if _is_frozen(module)) or "single parameters"
    learned = f"{len(still)} tensors, {sum(still) / 1e6:.3f} M parameters"
    return f"{f'{names}: {learned}' if still else 'no parameters'}, {norms} BatchNorm layers in eval mode"


def _norms(network: PoseNetwork) -> list[str]:
    """Names of the BatchNorm layers of the backbone."""
    return [f"backbone.{name}" for name, module in network.backbone.named_modules() if _is_norm(module)]


def _is_norm(module: nn.Module) -> bool:
    return isinstance(module, nn.modules.batchnorm._BatchNorm)


def _is_frozen(module: nn.Module) -> bool:
    parameters = list(module.parameters())
    return bool(parameters) and not any(p.requires_grad for p in parameters)
