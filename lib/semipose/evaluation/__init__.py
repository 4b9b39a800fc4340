"""Metrics from plain arrays: OKS AP/AR by the COCO protocol, PCK and its kin, and errors in pixels."""

from semipose.evaluation.coco_protocol import KeypointPredictions, coco_results, select_detections
from semipose.evaluation.frame_boxes import boxes_are_frames, sized_by_keypoints
from semipose.evaluation.ground_truth import CocoGroundTruth, CocoReading, ground_truth_from_persons, load_ground_truth
from semipose.evaluation.ground_truth_edits import (
    restrict,
    with_categories,
    with_groups,
    with_keypoints,
    with_sizes,
    with_unlabelled,
    with_visible,
)
from semipose.evaluation.groups import evaluate_groups, group_key
from semipose.evaluation.labelled_set import NORMS, LabelledSet, MetricOptions, person_norm
from semipose.evaluation.metrics import LOWER_IS_BETTER, METRICS, check_metrics, missing_need, score
from semipose.evaluation.score_table import format_groups, format_rows, is_share, with_unit

__all__ = [
    "CocoGroundTruth", "CocoReading", "KeypointPredictions", "LOWER_IS_BETTER", "LabelledSet", "METRICS",
    "MetricOptions", "NORMS", "boxes_are_frames", "check_metrics", "coco_results", "evaluate_groups", "format_groups",
    "format_rows", "ground_truth_from_persons", "group_key", "is_share", "load_ground_truth", "missing_need",
    "person_norm", "restrict", "score", "select_detections", "sized_by_keypoints", "with_categories", "with_groups",
    "with_keypoints", "with_sizes", "with_unit", "with_unlabelled", "with_visible",
]  # fmt: skip
