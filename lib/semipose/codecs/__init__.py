"""Codecs: between keypoint coordinates and what a network predicts."""

from semipose.codecs.heatmap import CODECS, HeatmapCodec

__all__ = ["CODECS", "HeatmapCodec"]
