"""rle: regression whose error has a learned distribution.

(Li et al., "Human Pose Regression with Residual Log-likelihood Estimation", ICCV 2021.)
"""

import torch
from torch import Tensor, nn

from semipose.codecs.flow import RealNVP
from semipose.codecs.regression import PooledHead, RegressionCodec

# A share of the view, about what a label is good for. It limits the gradient of a network that is too sure.
LEAST_SIGMA = 0.01
# The flow sees errors of at most so many sigmas: their squares would grow without limit. The Laplace term sees all.
FARTHEST = 100.0


class RleCodec(RegressionCodec):
    """Outputs (B, K, 4): x and y as in `regression`, and the logits of their sigmas. Targets (B, K, 2): x and y."""

    has_scores = True
    log_loss = True

    def make_head(self, in_channels: int, hidden: int = 0) -> nn.Module:
        return RleHead(in_channels, self.settings.joints, hidden)

    def perfect(self, target: Tensor) -> Tensor:
        return torch.cat([target, _logits(torch.full_like(target, LEAST_SIGMA))], -1)

    def decode(self, output: Tensor) -> tuple[Tensor, Tensor]:
        """Points (B, K, 2) and scores (B, K): 1 less the mean of both sigmas."""
        output = output.float()
        return self._to_view(output[..., :2]), 1 - _sigma(output[..., 2:]).mean(-1)

    def loss(self, output: Tensor, target: Tensor, head: nn.Module) -> Tensor:
        """Negative log-likelihood of the residual: that of the flow and of a Laplace distribution, mean over x and y.

        The paper's Eq. 8 as its authors coded it: each of both terms has its own log sigma. It can be negative.
        """
        with torch.autocast(output.device.type, enabled=False):
            output = output.float()
            sigma = _sigma(output[..., 2:])
            error = (output[..., :2] - target.float()) / sigma
            learned = head.flow.log_density(error.clamp(-FARTHEST, FARTHEST))
            laplace = (2 * sigma).log() + error.abs()
            return (sigma.log() + laplace).mean(-1) - learned

    def average(self, outputs: list[Tensor]) -> Tensor:
        """The mean of the points and of the sigmas."""
        if len(outputs) == 1:
            return outputs[0]
        stack = torch.stack(outputs).float()
        return torch.cat([stack[..., :2].mean(0), _logits(_sigma(stack[..., 2:]).mean(0))], -1)


class RleHead(PooledHead):
    """(B, C, h, w) -> (B, K, 4). `flow` is only for the loss: here it is trained and saved with the network."""

    def __init__(self, in_channels: int, joints: int, hidden: int = 0):
        super().__init__(in_channels, joints, hidden, extra=2)
        self.flow = RealNVP()


def _sigma(logits: Tensor) -> Tensor:
    return LEAST_SIGMA + (1 - LEAST_SIGMA) * logits.sigmoid()


def _logits(sigma: Tensor) -> Tensor:
    return ((sigma - LEAST_SIGMA) / (1 - LEAST_SIGMA)).clamp_min(1e-6).logit()
