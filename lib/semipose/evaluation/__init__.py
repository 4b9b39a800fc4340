"""Metrics from plain arrays: OKS AP/AR by the COCO protocol, PCK and its kin, and errors in pixels."""

from semipose.evaluation.coco_protocol import (
    OKS_METRICS,
    KeypointPredictions,
    coco_results,
    evaluate_oks,
    evaluate_selected,
    select_detections,
)
from semipose.evaluation.crowdpose import CROWDPOSE_METRICS, evaluate_crowdpose
from semipose.evaluation.epe import PixelErrors, nme, pixel_errors
from semipose.evaluation.ground_truth import (
    CocoGroundTruth,
    ground_truth_from_persons,
    load_ground_truth,
    prepare_ground_truth,
)
from semipose.evaluation.ground_truth_edits import (
    restrict,
    with_box_areas,
    with_groups,
    with_keypoints,
    with_visible,
)
from semipose.evaluation.groups import evaluate_groups
from semipose.evaluation.jhmdb import JHMDB_METRICS, jhmdb_pck
from semipose.evaluation.labelled_set import NORMS, LabelledSet, MetricOptions, person_norm
from semipose.evaluation.metrics import LOWER_IS_BETTER, METRICS, check_metrics, missing_need, score
from semipose.evaluation.oks import oks_matrix, oks_nms, person_scores, soft_oks_nms
from semipose.evaluation.pck import PCKResult, auc, box_norm, pair_norm, pck, segment_norm
from semipose.evaluation.pckh import PCKH_METRICS, PCKhResult, pckh
from semipose.evaluation.score_table import format_groups, format_rows

__all__ = [
    "CROWDPOSE_METRICS",
    "JHMDB_METRICS",
    "LOWER_IS_BETTER",
    "METRICS",
    "NORMS",
    "OKS_METRICS",
    "PCKH_METRICS",
    "CocoGroundTruth",
    "KeypointPredictions",
    "LabelledSet",
    "MetricOptions",
    "PCKResult",
    "PCKhResult",
    "PixelErrors",
    "auc",
    "box_norm",
    "check_metrics",
    "coco_results",
    "evaluate_crowdpose",
    "evaluate_groups",
    "evaluate_oks",
    "evaluate_selected",
    "format_groups",
    "format_rows",
    "ground_truth_from_persons",
    "jhmdb_pck",
    "load_ground_truth",
    "missing_need",
    "nme",
    "oks_matrix",
    "oks_nms",
    "pair_norm",
    "pck",
    "pckh",
    "person_norm",
    "person_scores",
    "pixel_errors",
    "prepare_ground_truth",
    "restrict",
    "score",
    "segment_norm",
    "select_detections",
    "soft_oks_nms",
    "with_box_areas",
    "with_groups",
    "with_keypoints",
    "with_visible",
]
