"""Mix-up consistency: a mixture of two images is taught the pseudo-labels of both, each by its share.

"mixup" (Zhang et al., ICLR 2018) at the input, "Manifold Mixup" (Verma et al., ICML 2019) at a stage of the network.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from semipose.errors import ConfigError
from semipose.models.manifold_mix import mix_rows

PLACES = ("input", "manifold")


@dataclass(frozen=True)
class MixPolicy:
    """Raises ConfigError for an unknown place.

    Attributes:
        where: "input" mixes images, "manifold" mixes at one early stage, drawn in each step.
        lam: share of the image itself; its partner has the rest.
        beta: if above 0, the share is drawn from Beta(beta, beta) in each step.
    """

    where: str = "input"
    lam: float = 0.355
    beta: float = 0.0

    def __post_init__(self):
        if self.where not in PLACES:
            raise ConfigError(f"unknown place of mix-up {self.where!r}; known: {', '.join(PLACES)}")


@dataclass(frozen=True)
class Mix:
    """One draw: the share of an image itself, its partner (B,), and the early stage; None for the input."""

    lam: float
    permutation: Tensor
    stage: int | None


def draw_mix(
    policy: MixPolicy, batch: int, stages: int, generator: torch.Generator, device: torch.device | str = "cpu"
) -> Mix:
    """Partners for `batch` images on `device`, from a CPU generator; `stages` is how many early stages there are."""
    permutation = torch.randperm(batch, generator=generator)
    lam = _draw_beta(policy.beta, generator) if policy.beta > 0 else policy.lam
    stage = int(torch.randint(stages, (), generator=generator)) if policy.where == "manifold" else None
    return Mix(lam, permutation.to(device, non_blocking=True), stage)


def mix_images(images: Tensor, mix: Mix) -> Tensor:
    """Images (B, 3, H, W) mixed at the input; unchanged where the mixture is made inside the network."""
    return mix_rows(images, mix.permutation, mix.lam) if mix.stage is None else images


def mix_losses(own: Tensor, partner: Tensor, mix: Mix) -> Tensor:
    """(B, K) loss of the mixtures, from their losses against the target of the image itself and of its partner.

    For a squared error this has the gradient of the loss against the mixed target, but it is right for any codec.
    """
    return mix.lam * own + (1 - mix.lam) * partner


def _draw_beta(beta: float, generator: torch.Generator) -> float:
    """torch draws from Beta only with its global generator."""
    seed = int(torch.randint(2**62, (), generator=generator))
    return float(np.random.default_rng(seed).beta(beta, beta))
