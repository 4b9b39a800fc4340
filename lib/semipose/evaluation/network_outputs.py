"""Heatmaps and keypoints from a network."""

import torch
from torch import Tensor, nn

from semipose.codecs import HeatmapCodec
from semipose.geometry import affine
from semipose.models.compiling import uncompiled
from semipose.structures import PoseBatch
from semipose.views.view import View


@torch.no_grad()
def predict_heatmaps(network: nn.Module, view: View, codec: HeatmapCodec, flip_test: bool = False) -> Tensor:
    """Heatmaps (B, K, h, w) of a view, in eval mode; with `flip_test` the mean with the mirrored image's."""
    training = network.training
    network.eval()
    with uncompiled(network):
        heatmaps = network(view.images)
        if flip_test:
            heatmaps = (heatmaps + codec.unmirror(network(view.images.flip(-1)), view.flip_order)) / 2
    network.train(training)
    return heatmaps


def keypoints_in_image(heatmaps: Tensor, view: View, batch: PoseBatch, codec: HeatmapCodec) -> tuple[Tensor, Tensor]:
    """Keypoints (B, K, 2) in image pixels and their scores (B, K)."""
    points, scores = codec.decode(heatmaps)
    return affine.apply(affine.compose(batch.to_image, view.to_base), points), scores
