"""Any network of timm that hands out its intermediate feature maps, as a backbone."""

import inspect

import torch
from torch import Tensor, nn

from semipose.errors import ConfigError
from semipose.models.feature_levels import DEEPEST, Level, SizeError, check_image_size
from semipose.models.timm_import import import_timm

FINEST_STRIDE = 4
# Networks that are one chain of modules: mixed after one of them, no later layer sees an unmixed image.
CHAINS = ("ConvNeXt", "EfficientNet", "MobileNetV3", "RegNet", "ResNet")
TRANSFORMERS = ("Eva", "VisionTransformer")
EARLY_BLOCKS = 2  # of a transformer


class TimmBackbone(nn.Module):
    """timm's network, cut after the last map that is returned, as the child `net`: (B, 3, H, W) -> maps.

    The maps are the last one of each stride from 4 on, or with `levels` "deepest" the coarsest only. A ViT has one map
    either way, after its final norm. Parameters are named `net.` and timm's name.

    Args:
        name: timm's name of the network.
        image_size: (width, height). Position embeddings get this size; a ViT takes other sizes too.

    Attributes:
        arguments: what timm's network was created with, besides its name.

    Raises:
        ConfigError: the network has no intermediate maps, or does not take this image size.
    """

    def __init__(self, name: str, levels: str, image_size: tuple[int, int]):
        super().__init__()
        plan = create_plan(name)
        maps = feature_maps(plan, name)
        self.size_multiple = int(maps[-1]["reduction"])
        check_image_size(image_size, self.size_multiple, f"timm/{name}")
        self.arguments = size_arguments(plan, image_size)
        _try_size(name, self.arguments, image_size)
        self.net = import_timm().create_model(name, num_classes=0, **self.arguments)
        self._normed = len(_by_stride(maps)) == 1
        indices = list(_by_stride(maps).values())
        indices = indices[-1:] if levels == DEEPEST else indices
        self._indices = self.net.prune_intermediate_layers(indices, prune_norm=not self._normed)
        self.levels = tuple(Level(maps[index]["num_chs"], maps[index]["reduction"]) for index in indices)
        self.mean, self.std = self.net.pretrained_cfg["mean"], self.net.pretrained_cfg["std"]
        self._early = _early_names(self.net, maps, self.levels)
        self._layers = _layers(self.net, coarse=not self._normed)
        self.depth = max(self._layers.values(), default=0)

    @property
    def early_stages(self) -> tuple[nn.Module, ...]:
        """Modules whose outputs mix-up may mix, in order; none where timm's network is no plain chain."""
        return tuple(self.net.get_submodule(name) for name in self._early)

    def layer_of(self, parameter_name: str) -> int:
        """0 for the stem, then the block (transformers) or the stage, as timm numbers them."""
        return self._layers[parameter_name.removeprefix("net.")]

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        maps = self.net.forward_intermediates(
            images, indices=self._indices, norm=self._normed, output_fmt="NCHW", intermediates_only=True
        )
        return tuple(maps)


def create_plan(name: str, arguments: dict | None = None) -> nn.Module:
    """timm's network without memory for its weights: it shows how the network is made."""
    with torch.device("meta"):
        return import_timm().create_model(name, num_classes=0, **(arguments or {}))


def feature_maps(net: nn.Module, name: str) -> list[dict]:
    """timm's `feature_info`: `num_chs`, `reduction` and `module` of each map that the network can return.

    Raises:
        ConfigError: it can return none.
    """
    if not (hasattr(net, "forward_intermediates") and hasattr(net, "prune_intermediate_layers")):
        raise ConfigError(f"backbone 'timm/{name}': timm's network does not return its feature maps; choose another")
    return [dict(entry) for entry in getattr(net.feature_info, "info", net.feature_info)]


def single_map(name: str) -> bool:
    """Whether all maps of timm's network `name` have one size, as those of a ViT. Raises ConfigError as above."""
    return len(_by_stride(feature_maps(create_plan(name), name))) == 1


def size_arguments(net: nn.Module, image_size: tuple[int, int]) -> dict:
    """What to create a network like `net` with, so that it takes images of (width, height)."""
    accepted = {name for kind in type(net).__mro__[:-1] for name in inspect.signature(kind.__init__).parameters}
    arguments = {"img_size": image_size[::-1], "dynamic_img_size": True}
    return {name: value for name, value in arguments.items() if name in accepted}


def _try_size(name: str, arguments: dict, image_size: tuple[int, int]) -> None:
    """Raises SizeError if the network stops at images of this size, as some with attention do, or if its maps have
    other sizes than it says, as after convolutions without padding. Computes nothing."""
    width, height = image_size
    net = create_plan(name, arguments).eval()  # in train mode BatchNorm refuses one image with a map of 1x1
    strides = [entry["reduction"] for entry in feature_maps(net, name)]
    try:
        maps = net.forward_intermediates(
            torch.zeros(1, 3, height, width, device="meta"), output_fmt="NCHW", intermediates_only=True
        )
        sizes = [tuple(x.shape[-2:]) for x in maps]
        reason = "" if sizes == [(height / s, width / s) for s in strides] else f"maps of height and width {sizes}"
    except (AssertionError, RuntimeError, ValueError) as fault:
        reason = (str(fault).strip() or type(fault).__name__).splitlines()[0][:200]
    if reason:
        raise SizeError(image_size, f"backbone 'timm/{name}' does not take it ({reason})")


def _by_stride(maps: list[dict]) -> dict[float, int]:
    """Index of the last map of each stride from 4 on, fine to coarse."""
    return {entry["reduction"]: i for i, entry in enumerate(maps) if entry["reduction"] >= FINEST_STRIDE}


def _early_names(net: nn.Module, maps: list[dict], levels: tuple[Level, ...]) -> tuple[str, ...]:
    """Up to the finest of several maps, as the neck sees that one; else up to stride 8, as in our ResNets."""
    if type(net).__name__ in TRANSFORMERS:
        return tuple(f"blocks.{i}" for i in range(min(EARLY_BLOCKS, len(maps))))
    if type(net).__name__ not in CHAINS:
        return ()
    last = levels[0].stride if len(levels) > 1 else 2 * FINEST_STRIDE
    return tuple(entry["module"] for entry in maps if entry["reduction"] <= last)


def _layers(net: nn.Module, coarse: bool) -> dict[str, int]:
    """Layer of each parameter; {} where timm does not number them."""
    if not hasattr(net, "group_matcher"):
        return {}
    return import_timm().models.group_parameters(net, net.group_matcher(coarse=coarse), reverse=True)
