"""Outputs and keypoints from networks."""

from collections.abc import Iterable
from math import lcm

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semipose.geometry import affine
from semipose.models.compiling import uncompiled
from semipose.models.pose_network import PoseNetwork
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


def resized_views(view: View, scales: Iterable[float], networks: Iterable[nn.Module]) -> list[View]:
    """The view with its images resized by each factor, to the nearest size that all the networks take."""
    parts = [part for network in networks for part in network.modules() if isinstance(part, PoseNetwork)]
    step = lcm(*(part.backbone.size_multiple for part in parts))
    return [view if scale == 1 else view.with_images(_resized(view.images, scale, step)) for scale in scales]


def _resized(images: Tensor, scale: float, step: int) -> Tensor:
    size = [max(1, round(side * scale / step)) * step for side in images.shape[-2:]]
    return F.interpolate(images, size, mode="bilinear", antialias=True)


def decode_scales(networks: list[nn.Module], outputs: list[list[Tensor]]) -> tuple[Tensor, Tensor]:
    """`decode_mean` of the outputs of each network for `resized_views`; another size than that of the view, and several
    sizes, only with a codec of instances."""
    codec, first = networks[0].codec, outputs[0]
    if len(first) == 1 and (not codec.instances or tuple(first[0].shape[:1:-1]) == tuple(codec.size)):
        return decode_mean(networks, [output for (output,) in outputs])
    return codec.decode_sizes([codec.average(list(same)) for same in zip(*outputs)])


def decode_mean(networks: list[nn.Module], outputs: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Points (B, K, 2) in view pixels and scores (B, K) of an ensemble; of instances (B, N, K, 2) and (B, N, K).

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
    """Points (B, K, 2) or (B, N, K, 2) in view pixels, in image pixels."""
    return affine.apply(affine.compose(batch.to_image, view.to_base), points)
