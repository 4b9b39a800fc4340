"""Losses on keypoints: always (B, K), so that every kind of weight simply multiplies."""

from semipose.losses.keypoint import heatmap_mse, reduce_keypoints

__all__ = ["heatmap_mse", "reduce_keypoints"]
