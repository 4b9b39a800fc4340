"""Object keypoint similarity (OKS), the suppression of duplicate poses with it, and the score of a person."""

import numpy as np

_LEAST_SCORE = 0.2  # of a keypoint that counts in the score of its person


def oks_matrix(keypoints, targets, areas, sigmas, visible=None) -> np.ndarray:
    """Similarity of D poses to G targets: `mean over k of exp(-d_k^2 / (2 area (2 sigma_k)^2))`.

    Source: COCO keypoint evaluation. Computed in float64.

    Args:
        keypoints: (D, K, 2) image pixels.
        targets: (G, K, 2) image pixels.
        areas: (G,) or (D, G) square pixels, the scale of each target or of each pair.
        sigmas: (K,) OKS constants.
        visible: (G, K) or (D, G, K), above 0 where the keypoint of a target or a pair counts; None = all count.

    Returns:
        (D, G) in 0..1; 0 for a target with no visible keypoint.
    """
    offsets = np.asarray(keypoints, np.float64)[:, None] - np.asarray(targets, np.float64)[None]
    variances = (2 * np.asarray(sigmas, np.float64)) ** 2
    scales = np.asarray(areas, np.float64)[..., None] + np.spacing(1)
    similarity = np.exp(-(offsets**2).sum(-1) / variances / scales / 2)
    if visible is None:
        return similarity.mean(-1)
    counted = np.asarray(visible) > 0
    return np.where(counted, similarity, 0).sum(-1) / np.maximum(counted.sum(-1), 1)


def person_scores(box_scores, keypoint_scores) -> np.ndarray:
    """Score of a person: box score times the mean of its keypoint scores above 0.2, as HRNet and MMPose have it.

    Scores are taken as float32 and summed in float64: that sum is exact, so two persons with the same keypoint scores
    in another order get the same score to the last bit, and ties do not depend on rounding.

    Args:
        box_scores: (N,).
        keypoint_scores: (N, K).

    Returns:
        (N,) float64; 0 where no keypoint score is above 0.2.
    """
    scores = np.asarray(keypoint_scores, np.float32)
    counted = scores > np.float32(_LEAST_SCORE)
    means = np.where(counted, scores, 0).sum(-1, dtype=np.float64) / np.maximum(counted.sum(-1), 1)
    return np.asarray(box_scores, np.float32).astype(np.float64) * means


def oks_nms(keypoints, scores, areas, sigmas, threshold: float = 0.9) -> np.ndarray:
    """Keep the best pose, drop those more similar to it than `threshold`, and go on with the rest.

    Args:
        keypoints: (N, K, 2) poses of one image, pixels.
        scores: (N,).
        areas: (N,) square pixels; a pair is compared at the mean of its two areas.
        sigmas: (K,).

    Returns:
        (M,) rows that are kept, best first. Of equal scores the later row comes first, as in HRNet and MMPose: the
        published check values depend on it.
    """
    similarity = _pair_similarity(keypoints, areas, sigmas)
    waiting = np.argsort(np.asarray(scores), kind="stable")[::-1]
    kept = []
    while len(waiting):
        best, waiting = waiting[0], waiting[1:]
        kept.append(best)
        waiting = waiting[similarity[best, waiting] <= threshold]
    return np.array(kept, np.int64)


def soft_oks_nms(
    keypoints, scores, areas, sigmas, threshold: float = 0.9, max_detections: int = 20
) -> tuple[np.ndarray, np.ndarray]:
    """Keep the best pose, multiply the score of each other one by `exp(-oks^2 / threshold)`, and go on with the rest.

    Gaussian Soft-NMS of Bodla et al., ICCV 2017, with OKS for IoU. Arguments as in `oks_nms`.

    Returns:
        (M,) kept rows, M <= max_detections, best first, and (M,) their lowered scores.
    """
    similarity = _pair_similarity(keypoints, areas, sigmas)
    lowered = np.array(scores, np.float64)
    waiting = np.arange(len(lowered))
    kept = []
    while len(waiting) and len(kept) < max_detections:
        best = waiting[np.flatnonzero(lowered[waiting] == lowered[waiting].max())[-1]]
        kept.append(best)
        waiting = waiting[waiting != best]
        lowered[waiting] *= np.exp(-(similarity[best, waiting] ** 2) / threshold)
    rows = np.array(kept, np.int64)
    return rows, lowered[rows]


def _pair_similarity(keypoints, areas, sigmas) -> np.ndarray:
    """(N, N) similarity of the poses of one image to each other, over all keypoints."""
    areas = np.asarray(areas, np.float64)
    return oks_matrix(keypoints, keypoints, (areas[:, None] + areas[None]) / 2, sigmas)
