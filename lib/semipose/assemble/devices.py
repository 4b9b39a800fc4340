"""The key GPUS: one device for each process of the run."""

import torch
from yacs.config import CfgNode

from semipose.data.loaders import Workers
from semipose.errors import ConfigError
from semipose.runtime.ranks import local_rank, local_ranks, rank, ranks
from semipose.runtime.signals import worker_init


def gpu_names(gpus: str) -> list[str]:
    """One name for each process that a GPUS value asks for on this machine: numbers, "cpu", or "" for any GPU.

    Raises:
        ConfigError: it is not such a list, or a GPU is not there.
    """
    names = [name.strip() for name in gpus.split(",")]
    if set(names) == {"cpu"} or names == [""]:
        return names
    if not all(name.isdigit() for name in names):
        raise ConfigError(
            f"GPUS is {gpus!r}; allowed: the number of a GPU, several with commas, cpu, or nothing for the first GPU"
        )
    if max(map(int, names)) >= torch.cuda.device_count():
        raise ConfigError(f"GPUS is {gpus!r}; this machine shows {torch.cuda.device_count()} CUDA devices to torch")
    return names


def build_device(gpus: str) -> torch.device:
    """The device of this process for a GPUS value; raises ConfigError if it is not there."""
    names, count = gpu_names(gpus), local_ranks()
    if len(names) > 1 and len(names) != count:
        raise ConfigError(f"GPUS is {gpus!r} for {count} processes; name one GPU for each, or none")
    if names[0] == "cpu" or (names == [""] and not torch.cuda.is_available()):
        return torch.device("cpu")
    if names != [""] and len(names) < count:
        raise ConfigError(f"GPUS is {gpus!r} for {count} processes; name one GPU for each, or none")
    number = local_rank() if names == [""] else int(names[local_rank()])
    if number >= torch.cuda.device_count():
        raise ConfigError(f"{count} processes; this machine shows {torch.cuda.device_count()} CUDA devices to torch")
    torch.cuda.set_device(number)  # else some calls would open a context on GPU 0
    return torch.device("cuda", number)


def build_backend(gpus: str) -> str:
    """How processes talk to each other. NCCL needs a GPU for each of them."""
    device, names = build_device(gpus), gpu_names(gpus)
    return "cpu:gloo,cuda:nccl" if device.type == "cuda" and len(set(names)) == len(names) else "gloo"


def build_workers(config: CfgNode) -> Workers:
    """The loader processes of this process. Page-locked memory is for GPUs only: it opens a context on one."""
    pin_memory = build_device(config.GPUS).type == "cuda"
    return Workers(config.WORKERS, worker_init, pin_memory, rank(), ranks())
