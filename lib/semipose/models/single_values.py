"""BatchNorm layers that would get one value per channel, of which no variance can be computed: torch refuses them."""

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from semipose.models.pose_network import PoseNetwork


@torch.no_grad()
def norms_with_one_value(network: PoseNetwork, size: tuple[int, int]) -> list[str]:
    """Names of the BatchNorm layers that learn from a single value of each channel if one image comes in.

    One image goes through the network in eval mode, so nothing in it changes.

    Args:
        size: (width, height) of the image.
    """
    found: list[str] = []
    training = {name: norm for name, norm in network.named_modules() if isinstance(norm, _BatchNorm) and norm.training}
    hooks = [norm.register_forward_pre_hook(_note(name, found)) for name, norm in training.items()]
    mode = network.training
    network.eval()
    try:
        network(network.mean.new_zeros((1, 3, size[1], size[0])))
    finally:
        network.train(mode)
        for hook in hooks:
            hook.remove()
    return found


def _note(name: str, found: list[str]):
    def hook(norm: nn.Module, inputs: tuple) -> None:
        if inputs[0].numel() == inputs[0].shape[1]:
            found.append(name)

    return hook
