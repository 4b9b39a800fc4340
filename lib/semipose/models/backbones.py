"""Backbones by name.

A backbone turns normalised images (B, 3, H, W) into a tuple of feature maps, fine to coarse. Its attributes:

    levels: a `Level` for each map: channels and stride.
    size_multiple: what H and W must be multiples of.
    mean, std: of the images that its weights expect, RGB in [0, 1]; pretrained weights may change them.
    early_stages: modules whose outputs manifold mix-up may mix, in order; () where mixing would not be right.
    depth, layer_of(parameter name): layers for rates that fall towards the input; 0 is the stem, `depth` the last. A
        `depth` of 0 says that the layers are not known.
"""

import difflib

from torch import nn

from semipose.errors import ConfigError
from semipose.models.feature_levels import DEEPEST, FINEST, PYRAMID
from semipose.models.hrnet import HRNet
from semipose.models.light_unet import LIGHT_UNETS, LightUNet
from semipose.models.resnet import RESNETS, ResNet
from semipose.models.timm_backbone import TimmBackbone
from semipose.models.timm_import import import_timm

TIMM = "timm/"
HRNETS = ("hrnet_w32", "hrnet_w48")  # short for timm/hrnet_w32 and timm/hrnet_w48
BACKBONES = (*RESNETS, *LIGHT_UNETS, *HRNETS)


def build_backbone(name: str, levels: str, image_size: tuple[int, int]) -> nn.Module:
    """A backbone with fresh weights.

    Args:
        name: one of BACKBONES, or "timm/" and timm's name of a network, such as "timm/convnext_tiny".
        levels: "deepest", "pyramid" or "finest", see `feature_levels`.
        image_size: (width, height).

    Raises:
        ConfigError: unknown name, a network of timm that does not return feature maps, or `levels` "finest" of one that
            has no map at stride 4 that all its levels go into.
    """
    check_name(name)
    if levels not in (DEEPEST, PYRAMID, FINEST):
        raise ConfigError(f"levels {levels!r} of a backbone; allowed: {DEEPEST}, {PYRAMID}, {FINEST}")
    if levels == FINEST and not joins_levels(name):
        raise ConfigError(f"backbone {name!r} does not join its levels at stride 4; a neck does that (MODEL.NECK)")
    if name in RESNETS:
        return ResNet(name, levels)
    if name in LIGHT_UNETS:
        return LightUNet(LIGHT_UNETS[name], levels)
    if is_hrnet(name):
        return HRNet(timm_name(name), levels)
    return TimmBackbone(timm_name(name), levels, image_size)


def check_name(name: str) -> None:
    """Raises ConfigError, with names close to it, if there is no such backbone."""
    if name in BACKBONES:
        return
    known = import_timm().list_models()
    if name.startswith(TIMM) and timm_name(name) in known:
        return
    shown = {other: TIMM + other for other in known}
    shown |= {} if name.startswith(TIMM) else {own: own for own in BACKBONES}
    close = [shown[other] for other in difflib.get_close_matches(timm_name(name), shown, n=5)]
    near = f"; near it: {', '.join(close)}" if close else ""
    raise ConfigError(
        f"unknown backbone {name!r}; allowed: {', '.join(BACKBONES)}, or {TIMM}NAME for a network of timm{near}"
    )


def timm_name(name: str) -> str:
    """timm's own name of a backbone: "convnext_tiny" for "timm/convnext_tiny"."""
    return name.removeprefix(TIMM)


def is_hrnet(name: str) -> bool:
    """Whether `name` is an HRNet, by either name."""
    return timm_name(name).startswith("hrnet_")


def joins_levels(name: str) -> bool:
    """Whether the backbone itself joins its levels into a map at stride 4: what "finest" asks for."""
    return name in LIGHT_UNETS or is_hrnet(name)
