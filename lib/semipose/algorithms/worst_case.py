"""The worst-case term: a head learns to be as wrong on unlabelled images as it can while it still fits the labels.

The features learn against this head. If no head that fits the labels can contradict the pseudo-labels, then the
pseudo-labels do not depend on the head that made them (Debiased Self-Training, Chen et al., NeurIPS 2022; on heatmaps:
RegDA, Jiang et al., CVPR 2021).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.func import functional_call

from semipose.codecs import HeatmapCodec
from semipose.errors import ConfigError
from semipose.losses import avoid_loss, ground_false, reduce_keypoints, spatial_cross_entropy, spatial_kl
from semipose.models.gradient_reversal import reverse_gradient
from semipose.models.worst_head import WorstHead

FORMS = ("mass", "ground_false")
REACH = 3  # in sigma: what counts as near the teacher's peak


@dataclass(frozen=True)
class ReversalSchedule:
    """lambda: 0 before `start`, then from `low` towards `high`; it is half way after about `steps * 1.1 / alpha`."""

    low: float = 0.0
    high: float = 0.1
    alpha: float = 1.0
    steps: int = 1000
    start: int = 0

    def __call__(self, step: int) -> float:
        if step < self.start:
            return 0.0
        span = self.high - self.low
        return 2 * span / (1 + math.exp(-self.alpha * (step - self.start) / self.steps)) - span + self.low


@dataclass(frozen=True)
class WorstPolicy:
    """Raises ConfigError for an unknown form.

    Attributes:
        form: "mass" keeps the head's softmax away from the teacher's peak; "ground_false" pulls it to the other joints.
        eta: factor of the labelled part.
        schedule: strength of what reaches the features.
        easy_only: only images that the teacher finds easy enter on the unlabelled side.
        pseudo_head: students learn pseudo-labels in a head of their own.
    """

    form: str = "mass"
    eta: float = 2.0
    schedule: ReversalSchedule = field(default_factory=ReversalSchedule)
    easy_only: bool = True
    pseudo_head: bool = False

    def __post_init__(self):
        if self.form not in FORMS:
            raise ConfigError(f"unknown form of the worst-case term {self.form!r}; known: {', '.join(FORMS)}")


@dataclass(frozen=True)
class LabeledFeatures:
    """Features (B, C, h, w) of a labelled view, its target heatmaps (B, K, h, w) and weights (B, K)."""

    features: Tensor
    target: Tensor
    weights: Tensor


@dataclass(frozen=True)
class PseudoFeatures:
    """Features (B, C, h, w) of a hard view, the teacher's keypoints (B, K, 2) in its pixels and their weights (B, K).

    A weight of 0 keeps a joint out: only trusted pseudo-labels should enter.
    """

    features: Tensor
    keypoints: Tensor
    weights: Tensor


def worst_terms(
    head: WorstHead,
    labeled: LabeledFeatures,
    pseudo: PseudoFeatures | None,
    codec: HeatmapCodec,
    policy: WorstPolicy,
    step: int,
) -> dict[str, Tensor]:
    """Scalar losses of the worst-case head of one student; their sum is to be minimised.

    Form "mass": `worst_labeled` and `worst_unlabeled` train the head, and the features against it, by gradient
    reversal. Form "ground_false": both train the head alone; `worst_features` trains the features alone, so that even
    the worst head is right (on labels too, as in RegDA). It does in one step what RegDA does in three.

    Args:
        pseudo: None while no unlabelled term is active.

    Returns:
        `worst_labeled`; `worst_unlabeled` if there are pseudo-labels; `worst_features` if lambda is above 0.
    """
    factor, mass = policy.schedule(step), policy.form == "mass"
    on_labeled, on_pseudo = _logits(head, labeled, pseudo, factor if mass else 0.0)
    terms = {"worst_labeled": policy.eta * _fit(on_labeled, labeled.target, labeled.weights)}
    if pseudo is not None:
        contradict = _avoid_peaks if mass else _seek_others
        terms["worst_unlabeled"] = contradict(on_pseudo, pseudo, codec)
    if factor > 0 and not mass:
        terms["worst_features"] = factor * _make_right(head, labeled, pseudo, codec, policy.eta)
    return terms


def _logits(network, labeled, pseudo, factor: float) -> tuple[Tensor, Tensor]:
    """Logits on the labelled and on the hard view. One pass, so that BatchNorm sees both together."""
    features = [part.features for part in (labeled, pseudo) if part is not None]
    logits = network(reverse_gradient(torch.cat(features), factor))
    return logits[: len(labeled.features)], logits[len(labeled.features) :]


def _fit(logits: Tensor, target: Tensor, weights: Tensor) -> Tensor:
    return reduce_keypoints(spatial_cross_entropy(logits, target), weights)


def _avoid_peaks(logits: Tensor, pseudo: PseudoFeatures, codec: HeatmapCodec) -> Tensor:
    return reduce_keypoints(avoid_loss(logits, codec.to_heatmap(pseudo.keypoints), REACH * codec.sigma), pseudo.weights)


def _seek_others(logits: Tensor, pseudo: PseudoFeatures, codec: HeatmapCodec) -> Tensor:
    target, weights = codec.encode(pseudo.keypoints, pseudo.weights)
    return reduce_keypoints(spatial_kl(logits, ground_false(target)), weights)


def _make_right(head, labeled, pseudo, codec: HeatmapCodec, eta: float) -> Tensor:
    """The error of the fixed head on labels and pseudo-labels: only the features learn from it."""
    on_labeled, on_pseudo = _logits(_fixed(head), labeled, pseudo, -1.0)
    losses = [eta * _fit(on_labeled, labeled.target, labeled.weights)]
    if pseudo is not None:
        losses.append(_fit(on_pseudo, *codec.encode(pseudo.keypoints, pseudo.weights)))
    return torch.stack(losses).sum()


def _fixed(head: nn.Module) -> Callable[[Tensor], Tensor]:
    """`head` with parameters that get no gradient and BatchNorm statistics that do not move a second time."""
    state = {name: parameter.detach() for name, parameter in head.named_parameters()}
    state |= {name: buffer.clone() for name, buffer in head.named_buffers()}
    return lambda features: functional_call(head, state, (features,))
