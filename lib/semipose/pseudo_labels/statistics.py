"""Health of the pseudo-labels of an epoch, computed from plain arrays. Only reported, never trained on.

Each function returns a flat dict of finite numbers; where nothing is counted, the key is left out.
"""

import numpy as np


def fresh_rows(stamp, first_step: int) -> np.ndarray:
    """(N,) bool, persons whose newest prediction is from step `first_step` (at least 0) or later."""
    return np.asarray(stamp) >= max(0, first_step)


def peak_health(peaks, fresh, min_score: float, names) -> dict[str, float]:
    """Share of kept joints and mean peak, in all and for each joint: `health_kept`, `health_kept/<joint>`,
    `health_peak`, `health_peak/<joint>`; and `health_persons`, the number of fresh rows.

    Args:
        peaks: (N, K) heatmap maxima; those that are not finite are not kept, and are left out of the mean.
        fresh: (N,) bool, rows that count.
        min_score: a joint is kept from this peak on.
        names: K joint names.
    """
    peaks = np.asarray(peaks)[np.asarray(fresh, bool)]
    kept, finite = kept_joints(peaks, min_score), np.isfinite(peaks)
    found = {"health_persons": float(len(peaks))}
    _add_mean(found, "health_kept", kept, np.ones_like(kept))
    _add_mean(found, "health_peak", peaks, finite)
    for column, name in enumerate(names):
        _add_mean(found, f"health_kept/{name}", kept[:, column], np.ones(len(kept), bool))
        _add_mean(found, f"health_peak/{name}", peaks[:, column], finite[:, column])
    return found


def instance_health(counts, fresh) -> dict[str, float]:
    """Of whole pictures: `health_instances`, those that are learned in a picture, on average, and `health_kept`, their
    share of all that were found.

    Args:
        counts: (N, 2) instances that are learned, and that were found.
        fresh: (N,) bool, rows that count.
    """
    counts = np.asarray(counts, np.float64)[np.asarray(fresh, bool)]
    if not len(counts):
        return {}
    kept, found = counts.sum(axis=0).tolist()
    return {"health_instances": kept / len(counts), "health_kept": kept / max(found, 1)}


def kept_joints(peaks, min_score: float) -> np.ndarray:
    """(N, K) bool, joints whose peak is finite and at least `min_score`, as the pseudo-labels keep them."""
    peaks = np.asarray(peaks)
    return np.isfinite(peaks) & (peaks >= min_score)


def bank_agreement(first, second, kept, fresh, stride: float) -> dict[str, float]:
    """Distance of two networks' predictions in heatmap pixels: `agreement_px` (median), `agreement_mean_px`, and
    `agreement_within_1px`, the share not farther apart than one pixel.

    Args:
        first, second: (N, K, 2) base-crop pixels.
        kept: (N, K) bool, joints that both networks keep.
        fresh: (N,) bool, rows that are fresh in both banks.
        stride: base-crop pixels in one heatmap pixel.
    """
    difference = np.asarray(first, np.float64) - np.asarray(second, np.float64)
    distance = np.linalg.norm(difference, axis=-1) / stride
    distance = distance[np.asarray(kept, bool) & np.asarray(fresh, bool)[:, None] & np.isfinite(distance)]
    if not len(distance):
        return {}
    return {
        "agreement_px": float(np.median(distance)), "agreement_mean_px": float(distance.mean()),
        "agreement_within_1px": float((distance <= 1).mean()),
    }  # fmt: skip


def easy_share(easy, fresh) -> dict[str, float]:
    """`easy_share`: share of easy images among the fresh rows.

    Args:
        easy: (N,) bool; None while there is no split.
        fresh: (N,) bool.
    """
    found = {}
    if easy is not None:
        _add_mean(found, "easy_share", np.asarray(easy, bool), np.asarray(fresh, bool))
    return found


def pseudo_pck(keypoints, kept, fresh, easy, hidden, visible, norm, threshold: float) -> dict[str, float]:
    """True PCK of pseudo-labels against annotations that training never sees.

    `pseudo_PCK` counts all joints, `pseudo_PCK_kept` the kept ones; with a split also `pseudo_PCK_easy`,
    `pseudo_PCK_hard`, `pseudo_PCK_kept_easy`, `pseudo_PCK_kept_hard`. Each is a share of single joints, not a mean
    over joint names. So the value of all images is the mean of easy and hard ones, weighted by their counts. As in
    `evaluation.pck` a joint is right strictly below the threshold, NaN is wrong, and a person without a norm does not
    count.

    Args:
        keypoints: (N, K, 2) base-crop pixels.
        kept: (N, K) bool.
        fresh: (N,) bool, rows that count.
        easy: (N,) bool; None while there is no split.
        hidden: (N, K, 2) annotated keypoints in the same pixels.
        visible: (N, K), above 0 where there is an annotation.
        norm: (N,) size of each person in the same pixels.
        threshold: fraction of the norm.
    """
    norm, kept = np.asarray(norm, np.float64), np.asarray(kept, bool)
    rows = np.asarray(fresh, bool) & (norm > 0)
    distance = np.linalg.norm(np.asarray(keypoints, np.float64) - np.asarray(hidden, np.float64), axis=-1)
    right = distance < threshold * norm[:, None]
    annotated = np.asarray(visible) > 0
    groups = {"": rows}
    if easy is not None:
        groups |= {"_easy": rows & np.asarray(easy, bool), "_hard": rows & ~np.asarray(easy, bool)}
    found = {}
    for group, members in groups.items():
        counted = annotated & members[:, None]
        _add_mean(found, f"pseudo_PCK{group}", right, counted)
        _add_mean(found, f"pseudo_PCK_kept{group}", right, counted & kept)
    return found


def _add_mean(found: dict[str, float], key: str, values: np.ndarray, counted: np.ndarray) -> None:
    """Put the mean of the counted values under `key`, if any is counted."""
    if counted.any():
        found[key] = float(values[counted].mean(dtype=np.float64))
