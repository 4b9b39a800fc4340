"""The metrics that a configuration may ask for by name, and what each of them needs."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from semipose.errors import ConfigError, DataError
from semipose.evaluation.coco_protocol import (
    OKS_METRICS,
    KeypointPredictions,
    check_predictions,
    evaluate_oks,
    select_detections,
)
from semipose.evaluation.crowdpose import CROWDPOSE_METRICS, evaluate_crowdpose
from semipose.evaluation.epe import nme, pixel_errors
from semipose.evaluation.jhmdb import JHMDB_METRICS, JHMDB_PARTS, jhmdb_pck
from semipose.evaluation.labelled_set import LabelledSet, MetricOptions, person_norm
from semipose.evaluation.needs import (
    needs_crowd_index,
    needs_ground_truth,
    needs_head_sizes,
    needs_labels,
    needs_norm,
    needs_parts,
)
from semipose.evaluation.pck import auc, pck
from semipose.evaluation.pckh import PCKH_METRICS, PCKH_PARTS, pckh

LOWER_IS_BETTER = ("EPE", "NME", "MPJPE", "P-MPJPE", "N-MPJPE")  # the last three are of lifting


@dataclass(frozen=True)
class Metric:
    """A family of metrics.

    Attributes:
        keys: what it reports, in order (PCK_px only where the options have `pixels`).
        main: the key that stands for it, by which the best checkpoint is chosen.
        compute: of a set, the predictions for its persons, and the options.
        needs: each returns what the set lacks, or "".
    """

    keys: tuple[str, ...]
    main: str
    compute: Callable[[LabelledSet, KeypointPredictions, MetricOptions], dict[str, float]]
    needs: tuple[Callable[[LabelledSet, MetricOptions], str], ...]


def score(
    names: Iterable[str], labels: LabelledSet, predictions: KeypointPredictions, options: MetricOptions
) -> dict[str, float]:
    """All metrics of the families `names`, in that order: shares in 0..1, EPE in image pixels, -1 = nothing labelled.

    Raises:
        ConfigError: see `check_metrics`.
        DataError: predictions and persons are not equally many, or the predictions do not fit the ground truth.
    """
    names = tuple(names)
    check_metrics(names, labels, options)
    if len(predictions) != len(labels.persons):
        raise DataError(f"set {labels.name!r}: {len(predictions)} predictions for {len(labels.persons)} persons")
    metrics = {}
    for name in names:
        metrics |= METRICS[name].compute(labels, predictions, options)
    return metrics


def check_metrics(names: Iterable[str], labels: LabelledSet, options: MetricOptions) -> None:
    """Refuse metrics that cannot be computed, before the training starts.

    Raises:
        ConfigError: an unknown name, two families that report the same key, or a set that lacks what one needs.
    """
    owner = {}
    for name in names:
        if name not in METRICS:
            raise ConfigError(f"set {labels.name!r}: unknown metric {name!r}; known: {', '.join(METRICS)}")
        missing = missing_need(name, labels, options)
        if missing:
            raise ConfigError(f"set {labels.name!r}: metric {name!r}: {missing}")
        for key in METRICS[name].keys:
            if owner.setdefault(key, name) != name:
                both = f"{owner[key]!r} and {name!r}"
                raise ConfigError(f"set {labels.name!r}: metrics {both} both report {key}; name one of them")


def missing_need(name: str, labels: LabelledSet, options: MetricOptions) -> str:
    """What the set lacks for this metric; "" if nothing."""
    return next(filter(None, (need(labels, options) for need in METRICS[name].needs)), "")


def _arrays(labels: LabelledSet, predictions: KeypointPredictions) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    keypoints = labels.persons.keypoints
    return predictions.keypoints, keypoints[..., :2], keypoints[..., 2]


def _oks(labels, predictions, options):
    return evaluate_oks(labels.ground_truth, predictions, options.nms, options.nms_threshold)


def _crowdpose(labels, predictions, options):
    truth = labels.ground_truth
    check_predictions(truth, predictions)
    return evaluate_crowdpose(truth, select_detections(predictions, truth.sigmas, options.nms, options.nms_threshold))


def _pck(labels, predictions, options):
    norm = person_norm(labels.persons, labels.skeleton, options.pck_norm)
    return {"PCK": pck(*_arrays(labels, predictions), norm, options.pck_threshold).mean}


def _pckh(labels, predictions, options):
    return pckh(*_arrays(labels, predictions), labels.persons.head_sizes, labels.skeleton).metrics


def _jhmdb(labels, predictions, options):
    arrays = _arrays(labels, predictions)
    return jhmdb_pck(*arrays, labels.persons.boxes, labels.skeleton, options.jhmdb_threshold)


def _auc(labels, predictions, options):
    return {"AUC": auc(*_arrays(labels, predictions), options.auc_pixels, options.auc_steps)}


def _epe(labels, predictions, options):
    errors = pixel_errors(*_arrays(labels, predictions), options.pixels)
    return {"EPE": errors.mean} | ({"PCK_px": errors.within} if options.pixels > 0 else {})


def _nme(labels, predictions, options):
    norm = person_norm(labels.persons, labels.skeleton, options.nme_norm)
    return {"NME": nme(*_arrays(labels, predictions), norm)}


METRICS = {
    "oks": Metric(OKS_METRICS, "AP", _oks, (needs_ground_truth,)),
    "crowdpose": Metric(CROWDPOSE_METRICS, "AP", _crowdpose, (needs_ground_truth, needs_crowd_index)),
    "pck": Metric(("PCK",), "PCK", _pck, (needs_labels, needs_norm("pck_norm"))),
    "pckh": Metric(PCKH_METRICS, "PCKh", _pckh, (needs_labels, needs_parts(PCKH_PARTS), needs_head_sizes)),
    "jhmdb": Metric(JHMDB_METRICS, "PCK", _jhmdb, (needs_labels, needs_parts(JHMDB_PARTS))),
    "auc": Metric(("AUC",), "AUC", _auc, (needs_labels,)),
    "epe": Metric(("EPE", "PCK_px"), "EPE", _epe, (needs_labels,)),
    "nme": Metric(("NME",), "NME", _nme, (needs_labels, needs_norm("nme_norm"))),
}
