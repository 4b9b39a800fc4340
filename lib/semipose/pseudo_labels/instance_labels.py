"""Pseudo-labels of whole pictures: the instances that a teacher finds on the easy view, for the student's view."""

import torch
import torch.nn.functional as F
from torch import Tensor

from semipose.codecs import Codec
from semipose.geometry import affine
from semipose.pseudo_labels.labeler import Prediction, PseudoLabels, Summary, check_target
from semipose.structures import IGNORED
from semipose.views.occlusion import PredictedJoints
from semipose.views.view import View, ViewMap

NOWHERE = -1e4  # view pixels; a box there hides nothing


class InstanceLabeler:
    """As `PseudoLabeler`, for codecs of instances.

    The score of an instance is the mean of its keypoints' scores.

    Args:
        target: "heatmap" warps the teacher's heatmaps and teaches no offsets; "auto" and "redrawn" encode the instances
            again.
        min_score: keypoints of a learned instance with a lower score are ignored.
        instance_score: instances of this score are learned.
        ignore_score: instances below `instance_score`, down to this score, are neither learned nor background.
    """

    def __init__(
        self, target: str = "auto", min_score: float = 0.0, instance_score: float = 0.3, ignore_score: float = 0.05
    ):
        check_target(target)
        self.target, self.min_score = target, min_score
        self.instance_score, self.ignore_score = instance_score, ignore_score

    def read(self, output: Tensor, view: View, codec: Codec) -> Prediction:
        """A teacher's output on a view, decoded once: keypoints (B, N, K, 2) and scores (B, N, K)."""
        return Prediction(output, *codec.decode(output), codec)

    def summary(self, prediction: Prediction) -> Summary:
        """The best instance of each picture, the mean scores of those that are learned, and how many there are."""
        kept, unsure = self._judge(prediction.scores)
        counted = torch.where(kept.any(1, keepdim=True), kept, torch.arange(kept.shape[1], device=kept.device) == 0)
        peaks = (prediction.scores * counted.unsqueeze(-1)).sum(1) / counted.sum(1, keepdim=True)
        return Summary(prediction.keypoints[:, 0], peaks, torch.stack([kept.sum(1), (kept | unsure).sum(1)], 1))

    def weights(self, scores: Tensor) -> Tensor:
        """(B, N, K) of scores (B, N, K): 1 = learned, 0 = background, `IGNORED` = neither."""
        kept, unsure = self._judge(scores)
        sure = kept.unsqueeze(-1) & (scores >= self.min_score)
        seen = (kept | unsure).unsqueeze(-1).expand_as(scores)
        return sure.to(scores) + IGNORED * (seen & ~sure).to(scores)

    def __call__(
        self, prediction: Prediction, codec: Codec, view_map: ViewMap | None, trust: Tensor | None = None
    ) -> PseudoLabels:
        """Pseudo-labels for a student; the arguments are those of `PseudoLabeler`.

        The scores are 0 where a keypoint is not learned. trust: (B, K), for all instances of a picture.
        """
        keypoints, scores, weights = prediction.keypoints, prediction.scores, self.weights(prediction.scores)
        if trust is not None:
            trusted = weights * trust.unsqueeze(1)
            weights = torch.where(weights > 0, torch.where(trusted > 0, trusted, IGNORED), weights)
        if view_map is not None:
            keypoints = view_map.points(keypoints)
            scores, weights = (view_map.swap(values, axis=-1) for values in (scores, weights))
        target, counted = codec.encode(keypoints, weights, None if view_map is None else _seen(view_map, codec))
        if self.target == "heatmap":
            target = codec.warp(prediction.output, view_map or _same_view(prediction.output, codec))
            if trust is not None:  # it has no weights of its own
                seen = trust if view_map is None else view_map.swap(trust, axis=-1)
                counted = counted * F.pad(seen, (0, 1), value=1.0)
        return PseudoLabels(target, counted, keypoints, torch.where(weights > 0, scores, 0))

    def joints(self, pseudo: PseudoLabels, easy: Tensor | None) -> PredictedJoints:
        """Keypoint k of instance n at place n K + k of the row of a picture, and weights 1.

        Where it is not learned there is that of another instance. If nobody has it, there is any learned keypoint, with
        weight 0.
        """
        learned = pseudo.scores > 0
        count, joints = learned.shape[1:]
        own = _over_and_over(learned) * joints + torch.arange(joints, device=learned.device)
        other = _over_and_over(learned.flatten(1).unsqueeze(-1)).view_as(own)
        chosen = torch.where(learned.any(1, keepdim=True), own, other).flatten(1)
        points = torch.where(learned.any((1, 2))[:, None, None], pseudo.keypoints.flatten(1, 2), NOWHERE)
        points = points.gather(1, chosen.unsqueeze(-1).expand(-1, -1, 2))
        scores = pseudo.scores.flatten(1).gather(1, chosen)
        return PredictedJoints(points, scores, learned.any(1).repeat(1, count).to(scores), easy)

    def _judge(self, scores: Tensor) -> tuple[Tensor, Tensor]:
        """(B, N) bool twice: instances that are learned, and those that are ignored."""
        score = scores.mean(-1)
        kept = (score >= self.instance_score) & (score > 0)
        return kept, (score >= self.ignore_score) & (score > 0) & ~kept


def _over_and_over(learned: Tensor) -> Tensor:
    """(B, N, K) int64, along N the rows where `learned` (B, N, K) is true, over and over until there are N."""
    first = learned.to(torch.uint8).argsort(dim=1, descending=True, stable=True)
    place = torch.arange(learned.shape[1], device=learned.device).unsqueeze(-1)
    return first.gather(1, place % learned.sum(1, keepdim=True).clamp_min(1))


def _seen(view_map: ViewMap, codec: Codec) -> Tensor:
    """(B, 1, H, W) of the student's view, 0 where the teacher's view does not show it: nobody knows who is there."""
    width, height = codec.settings.size
    whole = view_map.to_source.new_ones(len(view_map.to_source), 1, height, width)
    return affine.warp(whole, view_map.to_source, (width, height))


def _same_view(output: Tensor, codec: Codec) -> ViewMap:
    count, device = len(output), output.device
    order = torch.arange(codec.settings.joints, device=device)
    return ViewMap(affine.identity(count, device), torch.zeros(count, dtype=torch.bool, device=device), order)
