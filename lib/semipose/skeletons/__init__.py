"""Skeletons: keypoint names and all that follows from them."""

from semipose.skeletons.catalog import COCO, LSP, SKELETONS, get_skeleton
from semipose.skeletons.skeleton import Skeleton

__all__ = ["COCO", "LSP", "SKELETONS", "Skeleton", "get_skeleton"]
