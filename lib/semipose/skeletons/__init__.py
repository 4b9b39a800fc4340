"""Skeletons: keypoint names and all that follows from them."""

from semipose.skeletons.catalog import SKELETONS, get_skeleton
from semipose.skeletons.skeleton import Skeleton

__all__ = ["SKELETONS", "Skeleton", "get_skeleton"]
