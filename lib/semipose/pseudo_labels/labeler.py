"""From a teacher's output on the easy view to a student's targets on the hard view."""

from dataclasses import dataclass

from torch import Tensor

from semipose.codecs import Codec
from semipose.errors import ConfigError
from semipose.pseudo_labels.multiview import FAINTEST, Multiview
from semipose.views.occlusion import PredictedJoints
from semipose.views.view import View, ViewMap

PSEUDO_TARGETS = ("auto", "heatmap", "redrawn")


@dataclass(frozen=True)
class Prediction:
    """What a teacher predicts on a view.

    Attributes:
        output: (B, K, ...) of its codec.
        keypoints: (B, K, 2) its joints in pixels of the view.
        scores: (B, K), how sure it is.
        codec: of the teacher.
    """

    output: Tensor
    keypoints: Tensor
    scores: Tensor
    codec: Codec


@dataclass(frozen=True)
class PseudoLabels:
    """Targets of one student on one view.

    Attributes:
        target: (B, K, ...) of the student's codec.
        weights: (B, K), 0 where the teacher is not confident enough.
        keypoints: (B, K, 2) the teacher's joints in pixels of the view.
        scores: (B, K) of the teacher.
    """

    target: Tensor
    weights: Tensor
    keypoints: Tensor
    scores: Tensor


@dataclass(frozen=True)
class Summary:
    """What a teacher's record keeps of a prediction.

    Attributes:
        keypoints: (B, K, 2) in pixels of the view; of whole pictures those of the best instance.
        scores: (B, K); of whole pictures the means over the instances that are learned.
        counts: (B, 2) instances that are learned, and those that are learned or ignored; None of single persons.
    """

    keypoints: Tensor
    scores: Tensor
    counts: Tensor | None = None


class PseudoLabeler:
    """Moves what a teacher predicts to the view its student sees.

    Args:
        target: "redrawn" encodes the decoded joint again; a joint outside the view is ignored. "heatmap" warps the raw
            heatmap (Xie et al., ICCV 2021), cut off at -1 and 1; a joint that leaves the view is then taught as
            background. "auto" is "heatmap" where teacher and student have the same maps, else "redrawn".
        min_score: joints with a lower score get weight 0: they are ignored, not taught as background.
        multiview: for keypoints that a picture shows twice; None = there are none. One without a fitting peak
            is ignored.
    """

    def __init__(self, target: str = "auto", min_score: float = 0.0, multiview: Multiview | None = None):
        check_target(target)
        self.target, self.multiview = target, multiview
        self.min_score = min_score if multiview is None else max(min_score, FAINTEST)

    def read(self, output: Tensor, view: View, codec: Codec) -> Prediction:
        """A teacher's output on a view, decoded once for all students and views."""
        if self.multiview is not None:
            output = self.multiview(output, view, codec)
        return Prediction(output, *codec.decode(output), codec)

    def summary(self, prediction: Prediction) -> Summary:
        """What a teacher's record keeps."""
        return Summary(prediction.keypoints, prediction.scores)

    def joints(self, pseudo: PseudoLabels, easy: Tensor | None) -> PredictedJoints:
        """What operations of hard views are told; `easy` (B,) bool or None."""
        return PredictedJoints(pseudo.keypoints, pseudo.scores, pseudo.weights, easy)

    def __call__(
        self, prediction: Prediction, codec: Codec, view_map: ViewMap | None, trust: Tensor | None = None
    ) -> PseudoLabels:
        """Pseudo-labels for a student.

        Args:
            codec: of the student.
            view_map: from the teacher's view to the student's; None if both see the same view.
            trust: (B, K) factors of the weights, in the teacher's order of joints; None = all ones.
        """
        keypoints, scores = prediction.keypoints, prediction.scores
        weights = (scores >= self.min_score).to(prediction.output.dtype)
        if trust is not None:
            weights = weights * trust
        if view_map is not None:
            keypoints, scores = view_map.points(keypoints), view_map.swap(scores)
            weights = view_map.swap(weights)
        if self.warps(prediction.codec, codec):
            target = _warped(prediction, view_map)
        else:
            target, weights = codec.encode(keypoints, weights)
        return PseudoLabels(target, weights, keypoints, scores)

    def warps(self, teacher: Codec, student: Codec) -> bool:
        """Whether targets are warped heatmaps. Raises ConfigError where they should be but cannot."""
        possible = teacher.has_maps and teacher == student
        if self.target == "heatmap" and not possible:
            raise ConfigError(
                "PSEUDO.TARGET is 'heatmap'; this needs a MODEL.CODEC with maps, the same for both networks "
                "(gaussian, msra, udp); allowed with others: auto, redrawn"
            )
        return possible and self.target != "redrawn"


def check_target(target: str) -> None:
    """Raises ConfigError if `target` is not a known form."""
    if target not in PSEUDO_TARGETS:
        raise ConfigError(f"unknown pseudo-label target {target!r}; known: {', '.join(PSEUDO_TARGETS)}")


def _warped(prediction: Prediction, view_map: ViewMap | None) -> Tensor:
    target = prediction.output
    if view_map is not None:
        target = prediction.codec.warp(target, view_map)
    # without a limit, a network that teaches itself could raise its heatmaps forever: BatchNorm's running
    # statistics lag behind growing features, so its heatmaps are larger in eval mode than in train mode
    return target.clamp(-1, 1)
