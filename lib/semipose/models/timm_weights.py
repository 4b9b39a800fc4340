"""Weights of timm's networks: downloads by tag, and files of others in timm's names."""

import sys

from torch import Tensor, nn

from semipose.errors import ModelError
from semipose.models.feature_levels import Normalisation
from semipose.models.timm_import import import_timm

_FILE = "model.safetensors"  # of a network on the hub
FILE_FAULTS = (AssertionError, AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError)


def weight_tags(name: str) -> tuple[str, ...]:
    """Tags of the weights that timm has for network `name`, such as ("fb_in1k", "in12k"); its default comes first."""
    models = import_timm().models
    configs = models.get_arch_pretrained_cfgs(name).values()
    tags = [config.tag for config in configs if config.has_weights]
    default = models.get_pretrained_cfg(name)
    return tuple(sorted(tags, key=lambda tag: tag != default.tag))  # a stable sort: the rest keeps timm's order


def download_weights(name: str, tag: str, arguments: dict) -> tuple[dict[str, Tensor], Normalisation]:
    """timm's weights of network `name` under `tag`, and the normalisation of the images that they learned from.

    Args:
        arguments: what the network was created with. Position embeddings come resized to it.

    Raises:
        ModelError: they cannot be downloaded.
    """
    timm = import_timm()
    config = timm.models.get_pretrained_cfg(f"{name}.{tag}")
    try:
        state = timm.create_model(f"{name}.{tag}", pretrained=True, **arguments).state_dict()
    except Exception as fault:  # no network, a proxy's error page, a full disk, a damaged file: each its own type
        place = f"https://huggingface.co/{config.hf_hub_id}" if config.hf_hub_id else config.url
        reason = f"{type(fault).__name__}: {str(fault).strip()}".splitlines()[0][:200]
        raise ModelError(
            f"cannot load timm's weights {name}.{tag} ({reason}); download model.safetensors from {place} elsewhere "
            f"and set MODEL.PRETRAINED to its path"
        ) from fault
    return state, Normalisation(config.mean, config.std)


def in_timm_names(state: dict[str, Tensor], net: nn.Module) -> dict[str, Tensor]:
    """`state` as timm's network `net` names it, with position embeddings of its size.

    timm knows the files of many authors. It tells them by the names in the file, so for files that it does not know
    the result may be worse than `state`: the caller takes what fits better.
    """
    convert = getattr(sys.modules[type(net).__module__], "checkpoint_filter_fn", None)
    try:
        return dict(convert(state, net)) if convert else state
    except FILE_FAULTS:  # not a file that it knows
        return state


def can_be_had(name: str, seconds: float = 5.0) -> bool:
    """Whether timm's default weights of network `name` are here, or at their place, which answers in `seconds`."""
    config = import_timm().models.get_pretrained_cfg(name)
    try:
        from huggingface_hub import get_hf_file_metadata, hf_hub_url, try_to_load_from_cache

        if isinstance(try_to_load_from_cache(config.hf_hub_id, _FILE), str):
            return True
        return bool(get_hf_file_metadata(hf_hub_url(config.hf_hub_id, _FILE), timeout=seconds).size)
    except Exception:  # no network, a proxy's error page, another library version: each its own type
        return False
