"""Factors (B, K) that multiply the weights of pseudo-labels: how much is each joint of each image trusted?

All inputs and results are in the joint order of the base crop; `View.from_base().swap` puts a factor into a view's.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from semipose.errors import ConfigError
from semipose.pseudo_labels.difficulty import Difficulty, image_scores


@dataclass(frozen=True)
class TeacherEvidence:
    """What is known about the pseudo-labels of one batch.

    Attributes:
        difficulty: fitted on the bank of this teacher.
        peaks: (B, K) heatmap maxima.
        keypoints: (B, K, 2) pixels of the network input, or of the base crop; only for "agreement".
        other_keypoints: (B, K, 2) of the other network on the same images, in the same pixels.
        stride: pixels of `keypoints` in one heatmap pixel.
        sigma: heatmap pixels; a distance of sigma gives a factor of 0.61.
    """

    difficulty: Difficulty
    peaks: Tensor
    keypoints: Tensor | None = None
    other_keypoints: Tensor | None = None
    stride: float = 1.0
    sigma: float = 2.0


def gmm(evidence: TeacherEvidence) -> Tensor:
    """The probability that the image is easy, for each of its joints; ones until there is a split."""
    if not evidence.difficulty.ready:
        return torch.ones_like(evidence.peaks)
    p_easy = evidence.difficulty.p_easy(image_scores(evidence.peaks))
    return p_easy.unsqueeze(1).expand_as(evidence.peaks)


def soft(evidence: TeacherEvidence) -> Tensor:
    """SoftMatch weights, with statistics of each joint (Chen et al., ICLR 2023)."""
    return evidence.difficulty.joint_trust(evidence.peaks)


def agreement(evidence: TeacherEvidence) -> Tensor:
    """exp(-d^2 / (2 sigma^2)) with d the distance of the two networks' predictions in heatmap pixels.

    Raises:
        ConfigError: there is no second network.
    """
    if evidence.keypoints is None or evidence.other_keypoints is None:
        raise ConfigError("reweighting by agreement needs two networks")
    squared = ((evidence.keypoints - evidence.other_keypoints) / evidence.stride).square().sum(-1)
    return torch.exp(-squared / (2 * evidence.sigma**2))


REWEIGHTINGS = {"gmm": gmm, "soft": soft, "agreement": agreement}
