"""Outputs and keypoints from networks."""

import torch
from torch import Tensor, nn

from semipose.geometry import affine
from semipose.models.compiling import uncompiled
from semipose.structures import PoseBatch
from semipose.views.view import View

NO_FLIP_TEST = "no flip test: left and right of skeleton %r are not clear (see its swaps)"


@torch.no_grad()
def predict_output(network: nn.Module, view: View, flip_test: bool = False) -> Tensor:
    """Output (B, K, ...) on a view, in eval mode; with `flip_test` averaged with that on the mirrored images."""
    training = network.training
    network.eval()
    with uncompiled(network):
        output = network(view.images)
        if flip_test:
            mirrored = network.codec.unmirror(network(view.images.flip(-1)), view.flip_order)
            output = network.codec.average([output, mirrored])
    network.train(training)
    return output


def decode_mean(networks: list[nn.Module], outputs: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Points (B, K, 2) in view pixels and scores (B, K) of an ensemble.

    The outputs of equal codecs are averaged. Otherwise each is decoded, and the mean of the points is taken, weighted
    by the scores.
    """
    codec = networks[0].codec
    if all(network.codec == codec for network in networks):
        return codec.decode(codec.average(outputs))
    points, scores = zip(*(network.codec.decode(output) for network, output in zip(networks, outputs)))
    points, scores = torch.stack(points), torch.stack(scores)
    shares = scores.clamp_min(1e-6) / scores.clamp_min(1e-6).sum(0)
    return (points * shares.unsqueeze(-1)).sum(0), scores.mean(0)


def points_in_image(points: Tensor, view: View, batch: PoseBatch) -> Tensor:
    """Points (B, K, 2) in view pixels, in image pixels."""
    return affine.apply(affine.compose(batch.to_image, view.to_base), points)
