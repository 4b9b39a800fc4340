"""From a teacher's heatmaps on the easy view to a student's targets on the hard view."""

from dataclasses import dataclass

from torch import Tensor

from semipose.codecs import HeatmapCodec
from semipose.errors import ConfigError
from semipose.geometry.view import ViewMap

PSEUDO_TARGETS = ("heatmap", "redrawn")


@dataclass(frozen=True)
class PseudoLabels:
    """Targets of one student on one hard view.

    Attributes:
        target: (B, K, h, w) heatmaps.
        weights: (B, K), 0 where the teacher is not confident enough.
        keypoints: (B, K, 2) the teacher's joints in hard-view pixels.
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
        target: "heatmap" warps the raw heatmap (Xie et al., ICCV 2021); a joint that leaves the hard view is then
            taught as background. "redrawn" draws a clean Gaussian at the decoded joint and ignores joints outside.
        min_score: joints with a lower maximum get weight 0: they are ignored, not taught as background.
    """

    def __init__(self, codec: HeatmapCodec, target: str = "heatmap", min_score: float = 0.0):
        if target not in PSEUDO_TARGETS:
            raise ConfigError(f"unknown pseudo-label target {target!r}; known: {', '.join(PSEUDO_TARGETS)}")
        self.codec, self.redrawn, self.min_score = codec, target == "redrawn", min_score

    def __call__(self, heatmaps: Tensor, view_map: ViewMap) -> PseudoLabels:
        """Pseudo-labels from a teacher's heatmaps (B, K, h, w) and the map from its view to the student's."""
        points, scores = self.codec.decode(heatmaps)
        keypoints, scores = view_map.points(points), view_map.swap(scores)
        weights = (scores >= self.min_score).to(heatmaps.dtype)
        if self.redrawn:
            target, weights = self.codec.encode(keypoints, weights)
        else:
            target = self.codec.warp(heatmaps, view_map)
        return PseudoLabels(target, weights, keypoints, scores)
