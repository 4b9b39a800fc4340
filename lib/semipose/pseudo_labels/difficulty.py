"""Easy and hard unlabelled images: a mixture of two Gaussians over the confidence of the teacher."""

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

MIN_IMAGES = 10
# of scikit-learn's GaussianMixture, on scores scaled to 0..1
FIT = {"max_iter": 30, "tol": 1e-2, "reg_covar": 5e-4}
# a useful split has at least this distance between the means (scores scaled to 0..1), and in each component at least
# this mixture weight and share of the images
MIN_GAP, MIN_SHARE = 0.02, 0.01
# smallest range of the scores: a collapsed teacher gives all images the same score, up to rounding in mixed precision
MIN_RELATIVE_RANGE = 1e-3
# smallest variance of a joint's peaks: differences below 1e-3 mean nothing
MIN_PEAK_VARIANCE = 1e-6
BINS = 40
FAR = 10.0  # scores scaled to 0..1: farther away than this, the probability does not change any more


@dataclass(frozen=True)
class SplitReport:
    """What one refit found; pairs are (hard, easy). Scores are sums of K peaks.

    Attributes:
        count: images that were used.
        dropped: images left out because a peak is not a finite number.
        reason: why there is no split; "" where there is one. The fields below it are then None.
        edges, counts: (BINS + 1,) and (BINS,) histogram of the scores.
        converged: False where the fit stopped at its last iteration; it is still used.
        easy_share: share of the images that are more likely easy than hard.
        means, sds, weights: (2,) of the two components, in units of the score.
        curves: (2, BINS) both components at the middle of each bin, in images per bin.
    """

    count: int
    dropped: int
    reason: str
    edges: np.ndarray
    counts: np.ndarray
    converged: bool | None = None
    easy_share: float | None = None
    means: np.ndarray | None = None
    sds: np.ndarray | None = None
    weights: np.ndarray | None = None
    curves: np.ndarray | None = None

    def to_metrics(self) -> dict[str, float]:
        """Scalars for the tracker; none where there is no split."""
        if self.reason:
            return {}
        return {
            "easy_share": self.easy_share, "weight_easy": float(self.weights[1]),
            "mean_hard": float(self.means[0]), "mean_easy": float(self.means[1]),
            "sd_hard": float(self.sds[0]), "sd_easy": float(self.sds[1]),
        }  # fmt: skip


class Difficulty(nn.Module):
    """Holds the newest fit, and per-joint statistics of the peaks. All state is in the checkpoint.

    A refit that finds no split also drops the earlier split, which was fitted to other scores. `ready` is then False,
    and callers use adaptive cutout until a refit succeeds.

    Args:
        joints: K.

    Attributes:
        ready: whether there is a split. A Python bool, so that reading it does not wait for the device.
        limits: (2,) lowest and highest score of the fit.
        means, variances, weights: (2,) of the hard and the easy component, on scores scaled to 0..1.
        joint_mean, joint_variance: (K,) of the peaks; a mean of -inf before the first refit.
    """

    def __init__(self, joints: int):
        super().__init__()
        self.joints, self.ready = joints, False
        for name in ("limits", "means", "variances", "weights"):
            self.register_buffer(name, torch.zeros(2, dtype=torch.float64))
        for name in ("joint_mean", "joint_variance"):
            self.register_buffer(name, torch.zeros(joints, dtype=torch.float64))
        self._forget_split()
        self._forget_joints()

    @torch.no_grad()
    def refit(self, peaks) -> SplitReport:
        """Fit the split and the joint statistics again. The same peaks always give the same bits.

        Args:
            peaks: (n, K) array or tensor, heatmap maxima of the images seen so far; used as float32.

        Raises:
            ValueError: another shape.
        """
        peaks = torch.as_tensor(peaks).detach().to("cpu", torch.float32)
        if peaks.dim() != 2 or peaks.shape[1] != self.joints:
            raise ValueError(f"peaks have shape {tuple(peaks.shape)}, not (n, {self.joints})")
        finite = peaks[peaks.isfinite().all(1)].double()
        self._measure_joints(finite)
        scores = finite.sum(1).numpy()
        reason, converged = self._fit(scores)
        self.ready = not reason
        if reason:
            self._forget_split()
        return self._report(scores, len(peaks) - len(finite), reason, converged)

    def p_easy(self, scores: Tensor) -> Tensor:
        """(B,) probability that an image is easy; 0.5 where there is no split.

        Args:
            scores: (B,) `image_scores`.
        """
        low, high = self.limits
        scaled = (scores.double() - low) / (high - low)
        return _posterior(scaled, self.means, self.variances, self.weights).to(scores.dtype)

    def joint_trust(self, peaks: Tensor, n_sigma: float = 2.0) -> Tensor:
        """(B, K) weight of each joint: 1 above the joint's mean peak, below it falling as a Gaussian.

        The truncated Gaussian of SoftMatch (Chen et al., ICLR 2023), with statistics per joint instead of per data
        set. All ones before the first refit.

        Args:
            peaks: (B, K) heatmap maxima, in the joint order of the base crop.
        """
        missing = (self.joint_mean - peaks.double()).clamp_min(0)
        return torch.exp(-missing.square() / (2 * self.joint_variance / n_sigma**2)).to(peaks.dtype)

    def get_extra_state(self) -> Tensor:
        return torch.tensor(self.ready)

    def set_extra_state(self, state: Tensor) -> None:
        self.ready = bool(state)

    def _fit(self, scores: np.ndarray) -> tuple[str, bool]:
        """Fit the buffers; the reason why the fit is of no use ("" if it is), and whether it converged."""
        if len(scores) < MIN_IMAGES:
            return f"{len(scores)} images, a split needs {MIN_IMAGES}", False
        low, high = scores.min(), scores.max()
        if high - low <= MIN_RELATIVE_RANGE * max(abs(low), abs(high)):
            return f"all scores are {low:.4g}", False
        scaled = (scores - low) / (high - low)
        means, variances, weights, converged = _fit_mixture(scaled, **FIT)
        if means[1] - means[0] < MIN_GAP:
            return "both components have the same mean", converged
        self._set(limits=(low, high), means=means, variances=variances, weights=weights)
        for name, share in (("mixture weight", weights[1]), ("share", self._easy_share(scores))):
            if not MIN_SHARE <= share <= 1 - MIN_SHARE:
                return f"one component is alone: {name} of the easy images is {share:.3f}", converged
        return "", converged

    def _easy_share(self, scores: np.ndarray) -> float:
        on_device = torch.from_numpy(scores).to(self.means.device)
        return float((self.p_easy(on_device) > 0.5).double().mean())

    def _measure_joints(self, peaks: Tensor) -> None:
        if len(peaks) < MIN_IMAGES:
            return self._forget_joints()
        variance = peaks.var(0, correction=0).clamp_min(MIN_PEAK_VARIANCE)
        self._set(joint_mean=peaks.mean(0), joint_variance=variance)

    def _forget_split(self) -> None:
        """Equal components: every image is 0.5 easy."""
        self._set(limits=(0.0, 1.0), means=(0.5, 0.5), variances=(1.0, 1.0), weights=(0.5, 0.5))

    def _forget_joints(self) -> None:
        """No peak is below a mean of -inf."""
        self._set(joint_mean=[-torch.inf] * self.joints, joint_variance=[1.0] * self.joints)

    def _set(self, **values) -> None:
        for name, value in values.items():
            getattr(self, name).copy_(torch.as_tensor(value, dtype=torch.float64))

    def _report(self, scores: np.ndarray, dropped: int, reason: str, converged: bool) -> SplitReport:
        edges, counts = _histogram(scores)
        common = (len(scores), dropped, reason, edges, counts)
        if reason:
            return SplitReport(*common)
        (low, high), means, variances, weights = (
            getattr(self, name).cpu().numpy().copy() for name in ("limits", "means", "variances", "weights")
        )
        means, sds = low + means * (high - low), np.sqrt(variances) * (high - low)
        curves = _curves(edges, means, sds, weights * len(scores))
        return SplitReport(*common, converged, self._easy_share(scores), means, sds, weights, curves)


def image_scores(peaks: Tensor) -> Tensor:
    """(B,) confidence of each image: the sum of its (B, K) heatmap maxima."""
    return peaks.sum(1)


def _posterior(scaled: Tensor, means: Tensor, variances: Tensor, weights: Tensor) -> Tensor:
    """Probability of the second component, made monotone in the score.

    Its log odds are a parabola in the score, so on one side the wider component wins again: the most confident images
    would be called hard (or the least confident easy). Beyond the vertex the posterior keeps its value there. The
    vertex is never between the means: the odds rise there.
    """
    (hard, easy), (hard_mean, easy_mean) = 1 / variances, means
    bend = hard - easy
    vertex = (hard_mean * hard - easy_mean * easy) / bend
    lowest = torch.where(bend > 0, vertex, -FAR).clamp_min(-FAR)
    highest = torch.where(bend < 0, vertex, FAR).clamp_max(FAR)
    scaled = scaled.clamp(lowest, highest).unsqueeze(-1)
    log_density = weights.log() - 0.5 * variances.log() - 0.5 * (scaled - means).square() / variances
    return torch.sigmoid(log_density[..., 1] - log_density[..., 0])


def _fit_mixture(scaled: np.ndarray, **settings) -> tuple[np.ndarray, np.ndarray, np.ndarray, bool]:
    """Means, variances, weights, each (2,) and sorted by the mean, and whether the fit converged."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture
    from threadpoolctl import threadpool_limits

    mixture = GaussianMixture(2, random_state=0, **settings)
    # with several threads the sums inside k-means come in any order, and a resumed run would differ in the last bits
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", ConvergenceWarning)
        mixture.fit(scaled[:, None])
    order = mixture.means_[:, 0].argsort()
    return (
        mixture.means_[order, 0], mixture.covariances_[order, 0, 0], mixture.weights_[order], bool(mixture.converged_),
    )  # fmt: skip


def _histogram(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Edges and counts; made on a 0..1 scale, where numpy can cut any range into bins."""
    low, high = (scores.min(), scores.max()) if len(scores) else (0.0, 1.0)
    span = high - low if high > low else 1.0
    counts, edges = np.histogram((scores - low) / span, BINS, (0.0, 1.0))
    return low + span * edges, counts


def _curves(edges: np.ndarray, means: np.ndarray, sds: np.ndarray, images: np.ndarray) -> np.ndarray:
    """(2, BINS) density of each component at the middle of each bin, times bin width and `images` (2,)."""
    middles, width = (edges[1:] + edges[:-1]) / 2, edges[1] - edges[0]
    z = (middles - means[:, None]) / sds[:, None]
    return images[:, None] * width * np.exp(-0.5 * z**2) / (np.sqrt(2 * np.pi) * sds[:, None])
