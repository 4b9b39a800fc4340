"""From a teacher's heatmaps on the easy view to a student's targets on the hard view."""

from dataclasses import dataclass

from torch import Tensor

from semipose.codecs import HeatmapCodec
from semipose.errors import ConfigError
from semipose.pseudo_labels.multiview import FAINTEST, Multiview
from semipose.views.view import View, ViewMap

PSEUDO_TARGETS = ("heatmap", "redrawn")


@dataclass(frozen=True)
class Prediction:
    """What a teacher predicts on a view.

    Attributes:
        heatmaps: (B, K, h, w).
        keypoints: (B, K, 2) its joints in pixels of the view.
        scores: (B, K) maxima of the heatmaps.
    """

    heatmaps: Tensor
    keypoints: Tensor
    scores: Tensor


@dataclass(frozen=True)
class PseudoLabels:
    """Targets of one student on one view.

    Attributes:
        target: (B, K, h, w) heatmaps.
        weights: (B, K), 0 where the teacher is not confident enough.
        keypoints: (B, K, 2) the teacher's joints in pixels of the view.
        scores: (B, K) heatmap maxima of the teacher.
    """

    target: Tensor
    weights: Tensor
    keypoints: Tensor
    scores: Tensor


class PseudoLabeler:
    """Warps what a teacher predicts to the view its student sees.

    Args:
        codec: of teacher and student.
        target: "heatmap" warps the raw heatmap (Xie et al., ICCV 2021), cut off at -1 and 1; a joint that leaves the
            hard view is then taught as background. "redrawn" draws a clean Gaussian at the decoded joint and ignores
            joints outside.
        min_score: joints with a lower maximum get weight 0: they are ignored, not taught as background.
        multiview: for keypoints that a picture shows twice; None = there are none. One without a fitting peak
            is ignored.
    """

    def __init__(
        self, codec: HeatmapCodec, target: str = "heatmap", min_score: float = 0.0, multiview: Multiview | None = None
    ):
        if target not in PSEUDO_TARGETS:
            raise ConfigError(f"unknown pseudo-label target {target!r}; known: {', '.join(PSEUDO_TARGETS)}")
        self.codec, self.redrawn, self.multiview = codec, target == "redrawn", multiview
        self.min_score = min_score if multiview is None else max(min_score, FAINTEST)

    def read(self, heatmaps: Tensor, view: View) -> Prediction:
        """A teacher's heatmaps of a view, decoded once for all students and views."""
        if self.multiview is not None:
            heatmaps = self.multiview(heatmaps, view, self.codec)
        return Prediction(heatmaps, *self.codec.decode(heatmaps))

    def __call__(self, prediction: Prediction, view_map: ViewMap | None, trust: Tensor | None = None) -> PseudoLabels:
        """Pseudo-labels for a student.

        Args:
            view_map: from the teacher's view to the student's; None if both see the same view.
            trust: (B, K) factors of the weights, in the teacher's order of joints; None = all ones.
        """
        weights = (prediction.scores >= self.min_score).to(prediction.heatmaps.dtype)
        if trust is not None:
            weights = weights * trust
        keypoints, scores, target = prediction.keypoints, prediction.scores, prediction.heatmaps
        if view_map is not None:
            keypoints, scores = view_map.points(keypoints), view_map.swap(scores)
            weights = view_map.swap(weights)
            target = target if self.redrawn else self.codec.warp(target, view_map)
        if self.redrawn:
            target, weights = self.codec.encode(keypoints, weights)
        else:
            # without a limit, a network that teaches itself could raise its heatmaps forever: BatchNorm's running
            # statistics lag behind growing features, so its heatmaps are larger in eval mode than in train mode
            target = target.clamp(-1, 1)
        return PseudoLabels(target, weights, keypoints, scores)
