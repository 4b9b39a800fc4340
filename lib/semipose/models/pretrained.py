"""Pretrained backbone weights: those of torchvision and timm by name, or a local file."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from semipose.errors import ModelError
from semipose.models.backbones import timm_name
from semipose.models.hrnet import HRNet
from semipose.models.timm_backbone import TimmBackbone
from semipose.models.timm_weights import download_weights, in_timm_names, weight_tags
from semipose.models.torchvision_import import import_torchvision

IMAGENET = "imagenet"
WRAPPERS = ("state_dict", "model", "teacher")  # keys under which training scripts store the weights
PREFIXES = ("module.", "backbone.", "net.")  # of names, from DDP, AveragedModel and enclosing networks


@dataclass(frozen=True)
class MatchReport:
    """Names of tensors: loaded; in the network only; in the file only; in both with unlike shapes.

    BatchNorm's `num_batches_tracked` counters are loaded when present but not listed: old files lack them.
    """

    matched: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    shape_mismatch: tuple[str, ...]

    def __str__(self) -> str:
        total = len(self.matched) + len(self.missing) + len(self.shape_mismatch)
        parts = (("left out", self.unexpected), ("not in file", self.missing), ("other shape", self.shape_mismatch))
        line = f"{len(self.matched)} of {total} tensors matched"
        return line + "".join(f"; {title}: {_shorten(names)}" for title, names in parts if names)


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
    report = _load_matching(target, state)
    if not report.matched:
        names = _shorten(tuple(state))
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
    return max(state, converted, key=lambda found: len(_fitting(backbone.net, found)))  # as it is, if both fit


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
            f"cannot load ImageNet weights of {name!r} ({_first_line(fault)}); download {weights.url} elsewhere and "
            f"put the file into {folder}, or set MODEL.PRETRAINED to its path"
        ) from fault


def read_state_dict(path: Path, tags: tuple[str, ...] = ()) -> dict[str, Tensor]:
    """The tensors of a local weights file, under their names without wrapping prefixes; never runs code from the file.

    Args:
        tags: what is allowed besides files; for the message only.

    Raises:
        ModelError: missing, damaged, without tensors, or holding objects that would run code on load.
    """
    if not path.is_file():
        allowed = ", ".join(["''", repr(IMAGENET), *map(repr, tags)])
        raise ModelError(f"pretrained weights {str(path)!r}: no such file; allowed: {allowed}, or a file")
    try:
        content = _read(path)
    except Exception as fault:  # damaged files raise at least KeyError, EOFError, RuntimeError and UnpicklingError
        if "GLOBAL" in str(fault):
            raise ModelError(f"pretrained weights {str(path)!r}: refused, loading it would run code") from fault
        raise ModelError(
            f"pretrained weights {str(path)!r}: damaged or not a weights file ({_first_line(fault)})"
        ) from fault
    for wrapper in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    tensors = content.items() if isinstance(content, Mapping) else ()
    state = {_strip_prefixes(str(key)): value for key, value in tensors if isinstance(value, Tensor)}
    if not state:
        raise ModelError(
            f"pretrained weights {str(path)!r}: holds no state dict, bare or under {' or '.join(WRAPPERS)}"
        )
    return state


def _read(path: Path):
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    return torch.load(path, map_location="cpu", weights_only=True)


def _fitting(backbone: nn.Module, state: dict[str, Tensor]) -> dict[str, Tensor]:
    own = backbone.state_dict()
    return {name: t for name, t in state.items() if name in own and own[name].shape == t.shape}


def _load_matching(backbone: nn.Module, state: dict[str, Tensor]) -> MatchReport:
    own, fits = backbone.state_dict(), _fitting(backbone, state)
    backbone.load_state_dict(fits, strict=False)
    own_names, file_names = _without_counters(own), _without_counters(state)
    return MatchReport(
        matched=tuple(n for n in own_names if n in fits),
        missing=tuple(n for n in own_names if n not in state),
        unexpected=tuple(n for n in file_names if n not in own),
        shape_mismatch=tuple(n for n in own_names if n in state and n not in fits),
    )


def _without_counters(names) -> list[str]:
    return [n for n in names if not n.endswith("num_batches_tracked")]


def _strip_prefixes(name: str) -> str:
    while name.startswith(PREFIXES):
        name = name.split(".", 1)[1]
    return name


def _shorten(names: tuple[str, ...], most: int = 5) -> str:
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


def _first_line(fault: Exception) -> str:
    return f"{type(fault).__name__}: {str(fault).strip()}".splitlines()[0]
