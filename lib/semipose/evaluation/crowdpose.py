"""OKS AP of the CrowdPose set: no area ranges, but AP of easy, medium and hard images."""

from math import inf

import numpy as np

from semipose.errors import DataError
from semipose.evaluation.coco_protocol import KeypointPredictions, evaluate_selected
from semipose.evaluation.ground_truth import CocoGroundTruth
from semipose.evaluation.ground_truth_edits import restrict, with_box_areas

CROWDPOSE_METRICS = ("AP", "AP50", "AP75", "AP_E", "AP_M", "AP_H", "AR", "AR50", "AR75")
# crowd index from .. to below. These are the bounds of the set's own tool, of xtcocotools and faster-coco-eval, by
# which all published numbers are made; the paper's text (Li et al., CVPR 2019) names 0.1 for the first.
CROWD_LEVELS = {"AP_E": (-inf, 0.2), "AP_M": (0.2, 0.8), "AP_H": (0.8, inf)}


def evaluate_crowdpose(ground_truth: CocoGroundTruth, detections: KeypointPredictions) -> dict[str, float]:
    """AP and AR over all images, and AP over the images of each crowd level.

    Args:
        ground_truth: each image with its `crowdIndex`; areas are taken from the boxes, 0.53 w h.
        detections: as `select_detections` returns them.

    Returns:
        The `CROWDPOSE_METRICS`, in 0..1; -1 for a level without images.

    Raises:
        DataError: an image has no crowd index, or see `evaluate_oks`.
    """
    lacking = images_without_crowd_index(ground_truth)
    if lacking:
        raise DataError(f"image {lacking[0]} has no crowdIndex, which AP easy, medium and hard need")
    truth = with_box_areas(ground_truth)
    metrics = evaluate_selected(truth, detections)
    metrics |= {key: _level_ap(truth, detections, bounds) for key, bounds in CROWD_LEVELS.items()}
    return {key: metrics[key] for key in CROWDPOSE_METRICS}


def images_without_crowd_index(ground_truth: CocoGroundTruth) -> list[int]:
    """Ids of the images that belong to no crowd level."""
    return [image["id"] for image in ground_truth.dataset["images"] if "crowdIndex" not in image]


def _level_ap(truth, detections, bounds: tuple[float, float]) -> float:
    low, high = bounds
    images = [image["id"] for image in truth.dataset["images"] if low <= image["crowdIndex"] < high]
    if not images:
        return -1.0
    on_images = detections.take(np.isin(detections.image_ids, images))
    return evaluate_selected(restrict(truth, images), on_images)["AP"]
