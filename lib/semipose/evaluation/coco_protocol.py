"""OKS AP and AR by the COCO protocol, computed by faster-coco-eval or pycocotools."""

import contextlib
import io
from dataclasses import dataclass, fields, replace

import numpy as np

from semipose.errors import ConfigError, DataError
from semipose.evaluation.ground_truth import CocoGroundTruth
from semipose.evaluation.oks import oks_nms, person_scores, soft_oks_nms

OKS_METRICS = ("AP", "AP50", "AP75", "AP_M", "AP_L", "AR", "AR50", "AR75", "AR_M", "AR_L")
MAX_DETECTIONS = 20
NMS = ("hard", "soft", "soft_rescored", "none")


@dataclass(frozen=True)
class KeypointPredictions:
    """N predicted persons, in any order of images.

    Attributes:
        image_ids: (N,) integers, the data set's image ids.
        keypoints: (N, K, 2) x, y in image pixels.
        keypoint_scores: (N, K).
        box_scores: (N,) detector score, 1 for ground-truth boxes. What `select_detections` returns holds the score of
            the person here.
        areas: (N,) square pixels, the scale of a person in OKS-NMS (area of the crop box).

    Raises:
        DataError: the arrays do not fit together, or a coordinate or score is not finite (the COCO tools would count
            a NaN as a hit).
    """

    image_ids: np.ndarray
    keypoints: np.ndarray
    keypoint_scores: np.ndarray
    box_scores: np.ndarray
    areas: np.ndarray

    def __post_init__(self):
        if self.keypoint_scores.ndim != 2:
            raise DataError(f"predictions: keypoint_scores has shape {self.keypoint_scores.shape}, expected (N, K)")
        n, k = self.keypoint_scores.shape
        expected = {"image_ids": (n,), "keypoints": (n, k, 2), "box_scores": (n,), "areas": (n,)}
        for name, shape in expected.items():
            if getattr(self, name).shape != shape:
                raise DataError(f"predictions: {name} has shape {getattr(self, name).shape}, expected {shape}")
        for name in ("keypoints", "keypoint_scores", "box_scores", "areas"):
            values = getattr(self, name)
            finite = np.isfinite(values).all(axis=tuple(range(1, values.ndim)))
            if not finite.all():
                raise DataError(f"predictions: {name} in image {self.image_ids[~finite][0]} must be finite numbers")

    def __len__(self) -> int:
        return len(self.image_ids)

    def take(self, rows) -> "KeypointPredictions":
        """The persons in `rows` (indices or boolean mask), in that order."""
        return KeypointPredictions(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})


def evaluate_oks(
    ground_truth: CocoGroundTruth,
    predictions: KeypointPredictions,
    nms: str = "hard",
    nms_threshold: float = 0.9,
    backend: str = "auto",
) -> dict[str, float]:
    """AP and AR over OKS .50:.05:.95, 101 recalls, 20 detections per image; areas M (32^2..96^2) and L (above).

    Args:
        nms, nms_threshold: see `select_detections`.
        backend: "faster" (faster-coco-eval), "pycocotools", or "auto" = the first of the two that is installed.
            Both give the same ten numbers.

    Returns:
        The ten `OKS_METRICS`, in 0..1. A value is -1 when no person of that area is annotated, as in pycocotools. All
        are 0 when there is no prediction.

    Raises:
        DataError: predictions of another number of keypoints, or in an image that is not in the ground truth.
        ConfigError: unknown `nms` or `backend`, or a backend that is not installed.
    """
    check_predictions(ground_truth, predictions)
    selected = select_detections(predictions, ground_truth.sigmas, nms, nms_threshold)
    return evaluate_selected(ground_truth, selected, backend)


def evaluate_selected(
    ground_truth: CocoGroundTruth, detections: KeypointPredictions, backend: str = "auto"
) -> dict[str, float]:
    """`evaluate_oks` of what `select_detections` returned: ranked by `box_scores`, none dropped."""
    check_predictions(ground_truth, detections)
    stats = _backend(backend)
    if not len(detections):
        return dict.fromkeys(OKS_METRICS, 0.0)
    results = coco_results(detections, ground_truth.category_id)
    return dict(zip(OKS_METRICS, map(float, stats(ground_truth, results))))


def check_predictions(ground_truth: CocoGroundTruth, predictions: KeypointPredictions) -> None:
    """Raises DataError for another number of keypoints, or an image that is not in the ground truth."""
    keypoints = predictions.keypoints.shape[1]
    if keypoints != len(ground_truth.sigmas):
        raise DataError(f"predictions have {keypoints} keypoints, the skeleton has {len(ground_truth.sigmas)} sigmas")
    unknown = np.setdiff1d(predictions.image_ids, ground_truth.image_ids)
    if len(unknown):
        raise DataError(f"predictions: image id {unknown[0]} is not in the ground truth")


def select_detections(
    predictions: KeypointPredictions,
    sigmas: np.ndarray,
    nms: str = "hard",
    nms_threshold: float = 0.9,
) -> KeypointPredictions:
    """The detections that are scored, with the score of each person (`person_scores`) in `box_scores`.

    Args:
        nms: "hard" drops duplicates; "soft" lowers their scores to choose 20 per image, which keep their own scores, as
            in HRNet and MMPose; "soft_rescored" keeps the same 20 with the lowered scores, as in Soft-NMS; "none"
            changes nothing.
        nms_threshold: OKS above which "hard" drops, or width of the Gaussian of the soft forms.
    """
    if nms not in NMS:
        raise ConfigError(f"unknown nms {nms!r}; known: {', '.join(NMS)}")
    if not 0 < nms_threshold <= 1:
        raise ConfigError(f"nms_threshold is {nms_threshold!r}; it must be above 0 and at most 1")
    scores = person_scores(predictions.box_scores, predictions.keypoint_scores)
    predictions = replace(predictions, box_scores=scores)
    if nms == "none" or not len(predictions):
        return predictions
    kept = [_suppress(predictions, rows, sigmas, nms, nms_threshold) for rows in rows_by_image(predictions.image_ids)]
    rows, scores = (np.concatenate(parts) for parts in zip(*kept))
    return replace(predictions.take(rows), box_scores=scores)


def coco_results(predictions: KeypointPredictions, category_id: int = 1) -> list[dict]:
    """The predictions in COCO's results format, plain Python numbers, ready for `json.dump`."""
    triples = np.concatenate([predictions.keypoints, predictions.keypoint_scores[..., None]], axis=-1)
    flat = triples.reshape(len(triples), 3 * triples.shape[1])
    columns = predictions.image_ids.tolist(), flat.tolist(), predictions.box_scores.tolist()
    return [
        {"image_id": image_id, "category_id": category_id, "keypoints": keypoints, "score": score}
        for image_id, keypoints, score in zip(*columns)
    ]


def rows_by_image(image_ids: np.ndarray) -> list[np.ndarray]:
    """The rows of each image, images in order of their ids, rows in their own order."""
    order = np.argsort(image_ids, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(image_ids[order])) + 1)


def _suppress(predictions, rows, sigmas, nms, threshold) -> tuple[np.ndarray, np.ndarray]:
    """Rows kept of one image's rows, and their scores."""
    scores = predictions.box_scores[rows]
    if len(rows) == 1:
        return rows, scores
    poses = predictions.keypoints[rows], scores, predictions.areas[rows], sigmas, threshold
    if nms == "hard":
        kept = oks_nms(*poses)
        return rows[kept], scores[kept]
    kept, lowered = soft_oks_nms(*poses, MAX_DETECTIONS)
    return rows[kept], lowered if nms == "soft_rescored" else scores[kept]


def _backend(name: str):
    if name not in ("auto", "faster", "pycocotools"):
        raise ConfigError(f"unknown backend {name!r}; known: auto, faster, pycocotools")
    if name == "pycocotools":
        return _pycocotools_stats
    try:
        import faster_coco_eval  # noqa: F401
    except ImportError as error:
        if name == "faster":
            raise ConfigError("backend 'faster' needs the package faster-coco-eval") from error
        return _pycocotools_stats
    return _faster_stats


def _pycocotools_stats(ground_truth: CocoGroundTruth, results: list[dict]) -> np.ndarray:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = _fresh_dataset(ground_truth)
        truth.createIndex()
        return _run(COCOeval(truth, truth.loadRes(results), "keypoints"), ground_truth.sigmas)


def _faster_stats(ground_truth: CocoGroundTruth, results: list[dict]) -> np.ndarray:
    from faster_coco_eval import COCO, COCOeval_faster

    truth = COCO(_fresh_dataset(ground_truth))
    evaluation = COCOeval_faster(truth, truth.loadRes(results), "keypoints", print_function=lambda *_: None)
    return _run(evaluation, ground_truth.sigmas)


def _fresh_dataset(ground_truth: CocoGroundTruth) -> dict:
    # the COCO tools change the annotations they are given
    return ground_truth.dataset | {"annotations": [dict(a) for a in ground_truth.dataset["annotations"]]}


def _run(evaluation, sigmas: np.ndarray) -> np.ndarray:
    evaluation.params.kpt_oks_sigmas = sigmas
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return evaluation.stats[: len(OKS_METRICS)]
