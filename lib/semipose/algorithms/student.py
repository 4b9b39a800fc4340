"""A network in training."""

from torch import Tensor, nn

from semipose.algorithms.mixing import Mix
from semipose.codecs import Codec
from semipose.models.manifold_mix import mixed_inside
from semipose.models.worst_head import WorstHead


class Student(nn.Module):
    """A pose network with the heads that only training needs.

    Args:
        network: what is evaluated in the end.
        worst: give it a worst-case head.
        pseudo: give it a head of its own for pseudo-labels (Chen et al., "Debiased Self-Training", NeurIPS 2022).
    """

    def __init__(self, network: nn.Module, joints: int, worst: bool = False, pseudo: bool = False):
        super().__init__()
        self.network = network
        self.worst_head = WorstHead(network.feature_channels, joints) if worst else None
        self.pseudo_head = network.new_head() if pseudo else None

    def features(self, images: Tensor) -> Tensor:
        """(B, C, h, w), what all heads take."""
        return self.network.features(images)

    def mixed_features(self, images: Tensor, mix: Mix) -> Tensor:
        """`features`, with the images mixed at the stage that `mix` names."""
        with mixed_inside(self.network, mix.stage, mix.permutation, mix.lam):
            return self.features(images)

    @property
    def codec(self) -> Codec:
        """The codec of the network."""
        return self.network.codec

    def output(self, features: Tensor, pseudo: bool = False) -> Tensor:
        """Output (B, K, ...) of the main head, or of the pseudo head if there is one."""
        return self._head(pseudo)(features)

    def loss(self, output: Tensor, target: Tensor, pseudo: bool = False) -> Tensor:
        """(B, K) loss of what `output` gave."""
        return self.codec.loss(output, target, self._head(pseudo))

    def _head(self, pseudo: bool) -> nn.Module:
        return self.pseudo_head if pseudo and self.pseudo_head is not None else self.network.head
