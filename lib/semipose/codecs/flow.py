"""A normalizing flow on the plane (Dinh et al., "Density estimation using Real NVP", ICLR 2017)."""

import math

import torch
from torch import Tensor, nn

LAYERS, WIDTH = 6, 64  # as the authors of RLE have them
# Of log scales in one layer; the authors have 1. On labels that are known by heart the density then becomes so sharp
# that single steps throw a network back to errors of a fifth of the view, unless gradients are clipped.
MOST_SCALE = 0.25
INIT_GAIN = 0.01  # starts as a standard normal distribution


class RealNVP(nn.Module):
    """A density of (x, y): coupling layers that in turn move y by what x is, and x by what y is."""

    def __init__(self):
        super().__init__()
        self.scales = nn.ModuleList([_coordinate_net(bounded=True) for _ in range(LAYERS)])
        self.shifts = nn.ModuleList([_coordinate_net(bounded=False) for _ in range(LAYERS)])

    def log_density(self, values: Tensor) -> Tensor:
        """Logarithm (...) of the density at (..., 2)."""
        place, log_det = self.to_normal(values)
        return log_det - 0.5 * place.square().sum(-1) - math.log(2 * math.pi)

    def to_normal(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """Where values (..., 2) lie in the standard normal distribution, and the log determinant (...) of the map."""
        fixed, moved = values[..., :1], values[..., 1:]
        log_det = torch.zeros_like(fixed)
        for scale, shift in zip(self.scales, self.shifts):
            log_scale = MOST_SCALE * scale(fixed)
            moved = (moved - shift(fixed)) * torch.exp(-log_scale)
            log_det = log_det - log_scale
            fixed, moved = moved, fixed
        return torch.cat([fixed, moved], -1), log_det.squeeze(-1)


def _coordinate_net(bounded: bool) -> nn.Sequential:
    """(..., 1) -> (..., 1). The paper's networks take both coordinates, but one of them is masked to 0."""
    layers = [nn.Linear(1, WIDTH), nn.LeakyReLU(), nn.Linear(WIDTH, WIDTH), nn.LeakyReLU(), nn.Linear(WIDTH, 1)]
    for layer in layers[::2]:
        nn.init.xavier_uniform_(layer.weight, gain=INIT_GAIN)
        nn.init.zeros_(layer.bias)
    return nn.Sequential(*layers, *([nn.Tanh()] if bounded else []))
