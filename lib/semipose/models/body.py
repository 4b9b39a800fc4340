"""Backbone and neck together: the backbone is asked for what the neck needs."""

from torch import nn

from semipose.errors import ConfigError
from semipose.models.backbones import build_backbone, check_name, is_hrnet, joins_levels, timm_name
from semipose.models.feature_levels import DEEPEST, FINEST, PYRAMID, check_image_size
from semipose.models.necks import NECKS, build_neck
from semipose.models.resnet import RESNETS
from semipose.models.timm_backbone import single_map

AUTO = "auto"
# what a head takes: a map near stride 4, such a map of all levels of an HRNet, or a coarse map that it pools
MAP, JOINED, VECTOR = "map", "joined", "vector"


def build_body(
    backbone_name: str, neck_kind: str, wanted: str, image_size: tuple[int, int]
) -> tuple[nn.Module, nn.Module]:
    """Backbone and neck with fresh weights.

    Args:
        backbone_name: as in `build_backbone`.
        neck_kind: "auto" (see `choose_neck`) or as in `build_neck`.
        wanted: "map" for heads that need a map near stride 4, "joined" where all levels of an HRNet should be in it,
            "vector" for heads that pool one.
        image_size: (width, height).

    Raises:
        ConfigError: unknown names, a neck that does not fit the backbone, or an image size that is no multiple of what
            the backbone needs.
    """
    check_name(backbone_name)
    kind = choose_neck(backbone_name, wanted) if neck_kind == AUTO else neck_kind
    backbone = build_backbone(backbone_name, _levels(backbone_name, kind, wanted), image_size)
    check_image_size(image_size, backbone.size_multiple, backbone_name)
    return backbone, build_neck(kind, backbone.levels)


def choose_neck(backbone_name: str, wanted: str) -> str:
    """The usual neck: deconvolutions after ResNets (SimpleBaseline) and ViTs (ViTPose), none where the backbone joins
    its levels itself (HRNet, light U-nets) or the head pools, and a pyramid for the other networks of timm. For heads
    that want it the levels of an HRNet are put side by side (DEKR)."""
    if wanted == JOINED and is_hrnet(backbone_name):
        return "join"
    if wanted == VECTOR or joins_levels(backbone_name):
        return "none"
    if backbone_name in RESNETS or single_map(timm_name(backbone_name)):
        return "deconv"
    return "pyramid"


def _levels(backbone_name: str, kind: str, wanted: str) -> str:
    """What to ask the backbone for. Raises ConfigError where neck and backbone do not fit."""
    joined = joins_levels(backbone_name)
    if kind == "none" and wanted != VECTOR and not joined:
        raise ConfigError(f"MODEL.NECK none: backbone {backbone_name!r} has no map of its own at stride 4; allowed: "
                          f"{AUTO}, deconv, pyramid")  # fmt: skip
    if kind in ("pyramid", "join") and backbone_name.startswith("light_unet"):
        raise ConfigError(f"MODEL.NECK {kind}: backbone {backbone_name!r} joins its levels itself; allowed: {AUTO}")
    if kind == "none":
        return DEEPEST if wanted == VECTOR else FINEST
    if kind not in NECKS:
        raise ConfigError(f"MODEL.NECK is {kind!r}; allowed: {AUTO}, {', '.join(NECKS)}")
    return {"deconv": DEEPEST, "pyramid": PYRAMID, "join": PYRAMID}[kind]
