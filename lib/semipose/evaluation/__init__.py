"""Metrics from plain arrays: OKS AP/AR by the COCO protocol, PCK, and errors in pixels."""

from semipose.evaluation.coco import (
    OKS_METRICS,
    KeypointPredictions,
    coco_results,
    evaluate_oks,
    select_detections,
)
from semipose.evaluation.epe import PixelErrors, pixel_errors
from semipose.evaluation.ground_truth import CocoGroundTruth, load_ground_truth, prepare_ground_truth
from semipose.evaluation.oks import oks_matrix, oks_nms, person_scores, soft_oks_nms
from semipose.evaluation.pck import PCKResult, box_norm, pck, segment_norm

__all__ = [
    "OKS_METRICS",
    "CocoGroundTruth",
    "KeypointPredictions",
    "PCKResult",
    "PixelErrors",
    "box_norm",
    "coco_results",
    "evaluate_oks",
    "load_ground_truth",
    "oks_matrix",
    "oks_nms",
    "pck",
    "person_scores",
    "pixel_errors",
    "prepare_ground_truth",
    "segment_norm",
    "select_detections",
    "soft_oks_nms",
]
