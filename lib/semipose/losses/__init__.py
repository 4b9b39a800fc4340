"""Losses on keypoints: always (B, K), so that every kind of weight simply multiplies."""

from semipose.losses.keypoint import heatmap_mse, reduce_keypoints
from semipose.losses.spatial import avoid_loss, ground_false, spatial_cross_entropy, spatial_kl

__all__ = [
    "avoid_loss", "ground_false", "heatmap_mse", "reduce_keypoints", "spatial_cross_entropy", "spatial_kl",
]  # fmt: skip
