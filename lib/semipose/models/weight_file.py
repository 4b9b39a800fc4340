"""Files with weights: read without running code from them."""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from semipose.errors import ModelError

IMAGENET = "imagenet"
WRAPPERS = ("state_dict", "model", "teacher", "algorithm")  # keys under which training scripts store the weights
PREFIXES = ("module.", "backbone.", "net.")  # of names, from DDP, AveragedModel and enclosing networks
PARALLEL = "module."
# What files of others hold beside the weights: scores and skeletons as arrays of NumPy, the log of MMEngine.
BESIDE = (
    "numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct", "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar", "numpy.ndarray", "numpy.dtype", "builtins.getattr",
    "mmengine.logging.history_buffer.HistoryBuffer",
)  # fmt: skip


class Nothing:
    """Stands for an object that is not read."""

    def __new__(cls, *_):
        return super().__new__(cls)

    def __init__(self, *_):
        pass

    def __setstate__(self, _):
        pass


def without_objects():
    """A context in which torch.load puts a `Nothing` in place of objects in `BESIDE`; all others are still refused."""
    return torch.serialization.safe_globals(list(_stand_ins()))


@lru_cache
def _stand_ins() -> tuple[type, ...]:
    names = [full.rsplit(".", 1) for full in BESIDE]
    return tuple(type(name, (Nothing,), {"__module__": module}) for module, name in names)


def read_weights(path: Path, tags: tuple[str, ...] = ()) -> dict[str, Tensor]:
    """The tensors of a local file under the names that they have there, without the "module." of parallel training.

    Args:
        path: .safetensors, or a state dict, bare or under one of `WRAPPERS`.
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
            f"pretrained weights {str(path)!r}: damaged or not a weights file ({first_line(fault)})"
        ) from fault
    state = named_tensors(content)
    if not state:
        raise ModelError(
            f"pretrained weights {str(path)!r}: holds no state dict, bare or under {' or '.join(WRAPPERS)}"
        )
    return state


def read_keypoints(path: Path) -> tuple[str, ...]:
    """Names of the keypoints of a run of ours, from its checkpoint; () if the file does not say."""
    content = {} if path.suffix == ".safetensors" else _read(path)
    skeleton = content.get("skeleton") if isinstance(content, Mapping) else None
    return tuple(skeleton.get("keypoints", ())) if isinstance(skeleton, Mapping) else ()


def named_tensors(content: object) -> dict[str, Tensor]:
    """The tensors in what a file holds, with their names in it; {} if there are none."""
    for wrapper in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    entries = content.items() if isinstance(content, Mapping) else ()
    return {_without_parallel(str(name)): value for name, value in entries if isinstance(value, Tensor)}


def read_state_dict(path: Path, tags: tuple[str, ...] = ()) -> dict[str, Tensor]:
    """As `read_weights`, under names without the prefixes of all enclosing networks: for a backbone."""
    return without_prefixes(read_weights(path, tags))


def without_prefixes(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """`state` with names that start with none of `PREFIXES`."""
    return {_strip_prefixes(name): tensor for name, tensor in state.items()}


def first_line(fault: Exception) -> str:
    """Kind and message of an error, in one line."""
    return f"{type(fault).__name__}: {str(fault).strip()}".splitlines()[0]


def _read(path: Path):
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    with without_objects():
        return torch.load(path, map_location="cpu", weights_only=True)


def _without_parallel(name: str) -> str:
    while name.startswith(PARALLEL):
        name = name.removeprefix(PARALLEL)
    return name


def _strip_prefixes(name: str) -> str:
    while name.startswith(PREFIXES):
        name = name.split(".", 1)[1]
    return name
