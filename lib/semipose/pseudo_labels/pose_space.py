"""Which poses are plausible: those that a few principal components of the labelled poses can make.

The idea of the single-view PCA of lightning-pose (Biderman et al., Nature Methods 2024). There the error of the
reconstruction is a loss; here a joint that is farther off than labelled joints are loses weight as a pseudo-label.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from semipose.errors import DataError

FEWEST = 5  # labelled poses
JOINTS = 3  # labelled joints of a pose that counts
FOLDS = 20  # most spaces that are fitted to see how far off unseen labels are
ROUNDS = 10  # in which missing joints are filled in
NOISE = 0.02  # of labels, as a share of the size of a pose
QUANTILE = 0.95  # of labelled joints are within the limit
ROBUST = 5  # rounds in which joints that do not fit lose their say in the reconstruction


@dataclass(frozen=True)
class PoseSpace:
    """Poses `size * (mean + components * z) + place`, in any pixels; missing joints do not count.

    Attributes:
        basis: (2K, 3 + C) the mean pose, a shift in x, one in y, and the components, each as long as its deviation.
        limit: (K,) error of labelled joints, as a share of the size; infinite for joints with too few labels.
    """

    basis: Tensor
    limit: Tensor

    def __call__(self, keypoints: Tensor, known: Tensor) -> Tensor:
        """(B, K) weights of joints: 1 up to the limit, at an error e beyond it exp(-(e / limit - 1)^2 / 2).

        Args:
            keypoints: (B, K, 2) pixels; known: (B, K) bool, joints that are to be believed at all.
        """
        excess = (self.errors(keypoints, known) / self.limit - 1).clamp_min(0)
        return torch.exp(-0.5 * excess.square()).to(keypoints.dtype)

    def errors(self, keypoints: Tensor, known: Tensor) -> Tensor:
        """(B, K) distances from the reconstruction, as a share of the size of the pose; 0 for joints not known.

        A joint that is beyond the limit, and farther off than most, has less say in the reconstruction, so that it does
        not pull the others along.
        """
        say, points = known.to(self.basis), keypoints.to(self.basis)
        for _ in range(ROBUST):
            whole, size = reconstruct(self.basis, points, say)
            errors = (whole - points).norm(dim=-1) / size.unsqueeze(1) * known
            usual = torch.where(known, errors, torch.nan).nanmedian(dim=1, keepdim=True).values
            say = known / (errors / torch.maximum(self.limit, usual.nan_to_num())).clamp_min(1).square()
        return errors


def reconstruct(basis: Tensor, points: Tensor, say: Tensor) -> tuple[Tensor, Tensor]:
    """The likeliest whole poses (B, K, 2) of the space, and their sizes (B,), by least squares.

    Args:
        points: (B, K, 2); say: (B, K), how much each joint counts; 0 = missing.
    """
    counted = say.unsqueeze(-1).expand_as(points).flatten(1)
    centre = (points * say.unsqueeze(-1)).sum(1, keepdim=True) / say.sum(1)[:, None, None].clamp_min(1e-6)
    ridge = torch.full_like(basis[0], NOISE**2)  # components have a deviation of 1 before the size
    ridge[:3] = 1e-6
    weighted = basis * counted.unsqueeze(-1)  # (B, 2K, 3 + C)
    target = (points - centre).flatten(1)
    found = torch.linalg.solve_ex(weighted.mT @ basis + torch.diag(ridge), weighted.mT @ target.unsqueeze(-1))[0]
    whole = (basis @ found).squeeze(-1).unflatten(1, (-1, 2)) + centre
    return whole, found[:, 0, 0].clamp_min(1e-6)


def fit_pose_space(keypoints: np.ndarray, kept: float) -> PoseSpace:
    """The space of labelled poses, and how far off poses are that it has not seen (cross-validation).

    Args:
        keypoints: (N, K, 3) x, y in pixels, and above 0 where labelled.
        kept: share of the variance that the components have.

    Raises:
        DataError: fewer than five poses have three labelled joints.
    """
    labels = torch.from_numpy(np.asarray(keypoints, np.float64))
    labels = labels[(labels[..., 2] > 0).sum(1) >= JOINTS]
    if len(labels) < FEWEST:
        raise DataError(f"PSEUDO.PCA: {len(labels)} poses have {JOINTS} labelled joints or more; {FEWEST} are needed")
    points, known = labels[..., :2], labels[..., 2] > 0
    errors = torch.full(known.shape, torch.nan, dtype=torch.float64)
    for fold in torch.arange(len(labels)).chunk(min(FOLDS, len(labels))):
        others = torch.ones(len(labels), dtype=torch.bool).index_fill(0, fold, False)
        whole, size = reconstruct(_components(points[others], known[others], kept), points[fold], known[fold].double())
        errors[fold] = (whole - points[fold]).norm(dim=-1) / size.unsqueeze(1)
    limit = torch.where(known, errors, torch.nan).nanquantile(QUANTILE, dim=0).clamp_min(NOISE)
    limit = torch.where(known.sum(0) >= FEWEST, limit, torch.inf)
    return PoseSpace(_components(points, known, kept).float(), limit.float())


def _components(points: Tensor, known: Tensor, kept: float) -> Tensor:
    """The basis of a `PoseSpace`; joints that are not known are filled in by what was found before."""
    say, count = known.to(points), points.shape[1]
    filled = _normalised(points, say)
    mean, parts = (filled * say.unsqueeze(-1)).sum(0) / say.sum(0).clamp_min(1)[:, None], points.new_zeros(2 * count, 0)
    for _ in range(ROUNDS):
        shifts = torch.eye(2).to(points).repeat(count, 1)
        basis = torch.cat([mean.reshape(-1, 1), shifts, parts], dim=1)
        whole, _ = reconstruct(basis, points, say)
        filled = _normalised(torch.where(known.unsqueeze(-1), points, whole), torch.ones_like(say))
        mean = _normalised(filled.mean(0, keepdim=True), torch.ones_like(say[:1]))[0]
        parts = _principal(filled.flatten(1) - filled.flatten(1).mean(0), kept)
    return torch.cat([mean.reshape(-1, 1), shifts, parts], dim=1)


def _normalised(points: Tensor, say: Tensor) -> Tensor:
    """Poses (N, K, 2) around their centre, with a root mean square distance of 1 from it, over those that count."""
    say, count = say.unsqueeze(-1), say.sum(1)[:, None, None]
    points = (points - (points * say).sum(1, keepdim=True) / count) * say
    return points / (points.square().sum((1, 2), keepdim=True) / count).sqrt().clamp_min(1e-6)


def _principal(poses: Tensor, kept: float) -> Tensor:
    """(2K, C) principal components of poses (N, 2K), each as long as its standard deviation."""
    _, deviations, rows = torch.linalg.svd(poses / len(poses) ** 0.5, full_matrices=False)
    share = deviations.square().cumsum(0) / deviations.square().sum().clamp_min(1e-12)
    number = int((share < kept).sum()) + 1
    return (rows[:number] * deviations[:number, None]).T
