"""Skeletons: keypoint names and all that follows from them."""

from semipose.skeletons.catalog import COCO, LSP, SKELETONS, get_skeleton
from semipose.skeletons.file import load_skeleton
from semipose.skeletons.mapping import KeypointConverter, converter_between
from semipose.skeletons.skeleton import Skeleton

__all__ = [
    "COCO",
    "LSP",
    "SKELETONS",
    "KeypointConverter",
    "Skeleton",
    "converter_between",
    "get_skeleton",
    "load_skeleton",
]
