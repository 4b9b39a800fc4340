"""dekr: any number of instances in a picture, without boxes (Geng et al., CVPR 2021)."""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semipose.codecs.codec import CodecSettings
from semipose.codecs.dekr_decoding import FoundInstances, find_instances, without_duplicates
from semipose.codecs.dekr_head import DekrHead
from semipose.codecs.dekr_targets import SMALLEST, DekrTarget, draw_target, sorted_instances
from semipose.codecs.map_codec import MapCodec, aligned_offsets
from semipose.geometry import affine
from semipose.runtime.ranks import mean_tensor
from semipose.views.view import ViewMap

BETA = 1 / 9  # of the smooth L1 loss, map pixels


class DekrCodec(MapCodec):
    """Heatmaps of the keypoints and of the instances' roots, and at each root the offsets to its keypoints.

    Outputs are (B, K + 1 + 2 K, h, w), see `DekrHead`; targets are (B, 5 K + 2, h, w), see `DekrTarget`. Losses and
    weights are (B, K + 1), one for each heatmap; the loss of the offsets is in those of their keypoints.
    """

    instances = True
    joins = True

    def __init__(self, settings: CodecSettings):
        super().__init__(settings)
        self.offsets = aligned_offsets(settings.stride)
        self.joints = settings.joints

    @property
    def smallest(self) -> float:
        """Diagonal in view pixels of the smallest instance that has a root, and so can be found."""
        return SMALLEST * self.stride

    def make_head(self, in_channels: int, hidden: int = 0) -> nn.Module:
        """`hidden` is not used: the heatmap branch has a layer of its own."""
        return DekrHead(in_channels, self.joints, joint_channels=self.settings.joint_channels)

    def encode(
        self, points: Tensor, weights: Tensor, mask: Tensor | None = None, known: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:  # fmt: skip
        """The target of points (B, N, K, 2) with weights (B, N, K), and ones (B, K + 1).

        Args:
            mask: (B, 1, H, W) of view pixels; where it is below a half no heatmap is learned.
            known: (B, K), 0 for keypoints whose heatmaps are not learned.
        """
        instances = sorted_instances(self.to_heatmap(points), weights)
        target = draw_target(instances, self.size, self.sigma)
        heat_weights = target.heat_weights
        if mask is not None:
            heat_weights = heat_weights * (F.interpolate(mask, target.heat.shape[-2:], mode="area") > 0.5)
        if known is not None:
            heat_weights = heat_weights * F.pad(known, (0, 1), value=1.0)[..., None, None]
        target = replace(target, heat_weights=heat_weights)
        return target.joined, torch.ones_like(target.heat[..., 0, 0])

    def perfect(self, target: Tensor) -> Tensor:
        target = DekrTarget.of(target)
        return torch.cat([target.heat, target.offsets.flatten(1, 2)], 1)

    def decode(self, output: Tensor) -> tuple[Tensor, Tensor]:
        """Points (B, N, K, 2), and scores (B, N, K) that are 0 for instances that are only padding."""
        found = find_instances(output, self.joints, self.settings.snap)
        return self.to_view(found.points), found.scores

    def decode_sizes(self, outputs: list[Tensor]) -> tuple[Tensor, Tensor]:
        """As `decode`, of outputs for the same views at several sizes: all their instances without duplicates."""
        parts = [find_instances(output, self.joints, self.settings.snap) for output in outputs]
        sizes = [output.new_tensor(output.shape[:1:-1]) for output in outputs]
        own = sizes[0].new_tensor(self.size)
        points = [(part.points + 0.5) * (own / size) - 0.5 for part, size in zip(parts, sizes)]
        found = FoundInstances(
            torch.cat(points, 1), torch.cat([part.heights for part in parts], 1),
            torch.cat([part.roots for part in parts], 1),
        )  # fmt: skip
        found = without_duplicates(found)
        return self.to_view(found.points), found.scores

    def difference(self, output: Tensor, other: Tensor) -> tuple[float, float]:
        """Largest difference of two outputs: of their offsets in view pixels, and of their heatmaps."""
        heat, offsets = (output - other).abs().split([self.joints + 1, 2 * self.joints], 1)
        return float(offsets.max()) * self.stride, float(heat.max())

    def unsure_score(self) -> float:
        return 0.0

    def loss(self, output: Tensor, target: Tensor, head: nn.Module) -> Tensor:
        """(B, K + 1): weighted squared error of each heatmap, and `offset_weight` times the smooth L1 of its offsets.

        The mean over all heatmaps is that of their pixels; the offsets of the batch are summed up with their weights
        and divided by the number of pixels that have one. With several ranks the batch is that of all of them.
        """
        output, target = output.float(), DekrTarget.of(target)
        heat, offsets = output.split([self.joints + 1, 2 * self.joints], 1)
        heat_loss = (target.heat_weights * (heat - target.heat).square()).mean((-2, -1))
        misses = F.smooth_l1_loss(offsets.unflatten(1, (-1, 2)), target.offsets, reduction="none", beta=BETA).sum(2)
        counted = mean_tensor(2.0 * (target.offset_weights > 0).sum()).clamp_min(1e-3)
        offset_loss = (target.offset_weights * misses).sum((-2, -1)) * (heat_loss.numel() / counted)
        return heat_loss + self.settings.offset_weight * F.pad(offset_loss, (0, 1))

    def unmirror(self, output: Tensor, flip_order: Tensor) -> Tensor:
        joints, root, offsets = output.flip(-1).split([self.joints, 1, 2 * self.joints], 1)
        along_x, along_y = offsets.unflatten(1, (-1, 2))[:, flip_order].unbind(2)
        return torch.cat([joints[:, flip_order], root, torch.stack([-along_x, along_y], 2).flatten(1, 2)], 1)

    def warp(self, output: Tensor, view_map: ViewMap) -> Tensor:
        """A target of the heatmaps alone, as the target view should show them; offsets have no weight.

        Neither have pixels that the source view does not show.
        """
        to_view = affine.scaling(self.steps, self.offsets, output.device)
        to_source = affine.compose(affine.invert(to_view), affine.compose(view_map.to_source, to_view))
        heat = affine.warp(output[:, : self.joints + 1].float(), to_source, self.size)
        heat = torch.cat([view_map.swap(heat[:, :-1]), heat[:, -1:]], 1).clamp(0, 1)
        seen = affine.warp(torch.ones_like(heat[:, :1]), to_source, self.size) > 0.5
        nothing = torch.zeros_like(heat[:, :-1])
        return DekrTarget(heat, seen.to(heat).expand_as(heat), torch.stack([nothing, nothing], 2), nothing).joined
