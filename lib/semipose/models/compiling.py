"""torch.compile for the networks of a training run.

A deep copy of a compiled module is not compiled, so networks are compiled when all of them exist: students and EMA
teachers. Only training steps run compiled. Evaluation runs the networks as they are written, so that its
numbers are those that `valid.py` gives for the checkpoint, and so that batches of many sizes cost no compilation.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from semipose.errors import ConfigError
from semipose.models.pose_network import PoseNetwork

logger = logging.getLogger(__name__)

# Graphs of one forward function, of all networks together. A run needs 2 to 10: for learning and for teaching, for
# each batch size. Above the limit torch would go on without compiling; its own limit is 8.
MOST_GRAPHS = 64


def check_compiler(device: torch.device) -> None:
    """Raises ConfigError if torch.compile does not work here: better now than in the first training step."""
    try:
        x = torch.ones(8, device=device, requires_grad=True)
        torch.compile(_trial, dynamic=False)(x).backward()
    except (RuntimeError, ImportError, OSError) as error:
        lines = [line.strip() for line in str(error).splitlines()]
        reason = next((line for line in lines if line and not line.endswith("raised:")), type(error).__name__)[:200]
        raise ConfigError(
            f"TRAIN.COMPILE is True, but torch.compile does not work here: {reason}; set TRAIN.COMPILE False, or "
            f"install what is missing ({'Triton and a C compiler' if device.type == 'cuda' else 'a C++ compiler: g++'})"
        ) from error


def compile_networks(module: nn.Module, backend: str = "inductor") -> None:
    """Let backbone, neck and head of every pose network inside `module` run compiled, from their first calls on.

    In place: names and tensors of the state_dict stay as they are. Each batch size has a graph of its own, so that
    what a step computes does not depend on the steps before it, and a resumed run repeats it. Networks that are built
    alike share their graphs. Heads that only training needs are not compiled. Neither is a neck that is a plain
    nn.Identity: torch does not compile its own modules.

    Args:
        backend: of torch.compile.
    """
    torch._dynamo.config.recompile_limit = MOST_GRAPHS
    networks = [network for network in module.modules() if isinstance(network, PoseNetwork)]
    for network in networks:
        network.compile_parts(backend)
    logger.info("%d networks run compiled; the first steps take long, up to minutes", len(networks))


@contextmanager
def uncompiled(module: nn.Module) -> Iterator[None]:
    """While it lasts, no network runs compiled, if any inside `module` does. Forward hooks work here only."""
    if not any(network.compiled for network in module.modules() if isinstance(network, PoseNetwork)):
        yield
        return
    with torch.compiler.set_stance("force_eager"):
        yield


def _trial(x: torch.Tensor) -> torch.Tensor:
    return (x.sin() * x).sum()
