"""Pretrained backbone weights: those of torchvision and timm by name, or a local file."""

from pathlib import Path

import torch
from torch import Tensor, nn

from semipose.errors import ModelError
from semipose.models.backbones import timm_name
from semipose.models.hrnet import HRNet
from semipose.models.matching import MatchReport, fitting, load_matching, shorten
from semipose.models.timm_backbone import TimmBackbone
from semipose.models.timm_weights import download_weights, in_timm_names, weight_tags
from semipose.models.torchvision_import import import_torchvision
from semipose.models.weight_file import IMAGENET, first_line, read_state_dict


def load_pretrained(backbone: nn.Module, source: str, name: str) -> MatchReport | None:
    """Load into `backbone` in place all tensors that match by name and shape.

    Downloaded weights of timm also set the backbone's `mean` and `std`: they may expect other images than usual.

    Args:
        source: '' (train from scratch, returns None); 'imagenet' (torchvision's IMAGENET1K_V1 weights for its ResNets:
            V1 because the published pose results start from these; for a network of timm its default weights); a tag
            of timm's weights of this network, such as 'fb_in22k'; or the path of a local file: .safetensors, or a state
            dict, bare or under 'state_dict', 'model' or 'teacher', also with the prefixes 'module.' and 'backbone.'.
        name: of the backbone, as in `build_backbone`.

    Raises:
        ModelError: the weights cannot be loaded, are damaged, would run code on load, or match nothing.
    """
    if not source:
        return None
    if isinstance(backbone, (HRNet, TimmBackbone)):
        state = _timm_state(backbone, source, timm_name(name))
    else:
        state = imagenet_state(name) if source == IMAGENET else read_state_dict(Path(source))
    target = backbone.net if isinstance(backbone, TimmBackbone) else backbone
    report = load_matching(target, state)
    if not report.matched:
        names = shorten(tuple(state))
        raise ModelError(f"pretrained weights {source!r}: no tensor fits backbone {name!r}; the file has {names}")
    return report


def _timm_state(backbone: HRNet | TimmBackbone, source: str, name: str) -> dict[str, Tensor]:
    """The state dict for one of timm's networks, from a download or a file."""
    tags = weight_tags(name)
    if source == IMAGENET and not tags:
        raise ModelError(f"timm has no weights of {name!r}; set MODEL.PRETRAINED to '' or to a file")
    if source == IMAGENET or source in tags:
        arguments = getattr(backbone, "arguments", {})
        state, normalisation = download_weights(name, tags[0] if source == IMAGENET else source, arguments)
        backbone.mean, backbone.std = normalisation.mean, normalisation.std
        return state
    state = read_state_dict(Path(source), tags)
    if isinstance(backbone, HRNet):
        return state
    converted = in_timm_names(state, backbone.net)
    return max(state, converted, key=lambda found: len(fitting(backbone.net, found)))  # as it is, if both fit


def imagenet_state(name: str) -> dict[str, Tensor]:
    """torchvision's IMAGENET1K_V1 state dict of model `name`, downloaded once into torch's hub folder.

    Raises:
        ModelError: torchvision has no such weights, or they cannot be downloaded.
    """
    models = import_torchvision().models
    if name not in models.list_models(module=models):
        raise ModelError(f"no ImageNet weights for backbone {name!r}; set MODEL.PRETRAINED to '' or to a file")
    weights = models.get_model_weights(name).IMAGENET1K_V1
    try:
        return weights.get_state_dict(progress=False, check_hash=True, weights_only=True, map_location="cpu")
    except Exception as fault:  # no network, a proxy's error page, a full disk, a damaged file: each its own type
        folder = Path(torch.hub.get_dir()) / "checkpoints"
        raise ModelError(
            f"cannot load ImageNet weights of {name!r} ({first_line(fault)}); download {weights.url} elsewhere and "
            f"put the file into {folder}, or set MODEL.PRETRAINED to its path"
        ) from fault
