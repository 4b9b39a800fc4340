import torch
from torch import nn

from semipose.algorithms.algorithm import LossWeights, Ramp, Recipe
from semipose.augment.affine import AffinePolicy
from semipose.augment.joint_cutout import CutoutPolicy
from semipose.augment.views import ViewPolicies, ViewSampler
from semipose.codecs import HeatmapCodec
from semipose.pseudo_labels import PseudoLabeler
from semipose.skeletons import COCO
from semipose.structures import PairBatch, PoseBatch

SIZE = (24, 32)


class TinyNetwork(nn.Module):
    """The smallest network with BatchNorm that has the interface of a pose network."""

    def __init__(self, joints: int = len(COCO)):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 3, 4, 1), nn.BatchNorm2d(8), nn.ReLU(), nn.Conv2d(8, joints, 3, 1, 1)
        )

    def forward(self, images):
        return self.layers(images)


def make_networks(count: int, seed: int = 0) -> list[nn.Module]:
    torch.manual_seed(seed)
    return [TinyNetwork() for _ in range(count)]


def make_recipe(codec: str = "gaussian", pose=1.0, cons=1.0, target="heatmap", **settings) -> Recipe:
    codec = HeatmapCodec(SIZE, (6, 8), 1.0, codec)
    policies = ViewPolicies(
        AffinePolicy(half_body=0.3), AffinePolicy(rotation=15), AffinePolicy(), cutout=CutoutPolicy(3)
    )
    views = ViewSampler(policies, COCO, SIZE, torch.full((3,), 0.5), seed=0)
    settings.setdefault("ramp", Ramp())
    return Recipe(codec, views, PseudoLabeler(codec, target), LossWeights(pose, cons), **settings)


def make_batch(seed: int = 0, labeled: int = 3, unlabeled: int = 4) -> PairBatch:
    generator = torch.Generator().manual_seed(seed)
    return PairBatch(_pose_batch(labeled, generator), _pose_batch(unlabeled, generator))


def _pose_batch(count: int, generator: torch.Generator) -> PoseBatch:
    width, height = 30, 40
    return PoseBatch(
        images=torch.randint(0, 256, (count, 3, height, width), dtype=torch.uint8, generator=generator),
        keypoints=torch.rand(count, 17, 2, generator=generator) * torch.tensor([width - 1.0, height - 1.0]),
        weights=(torch.rand(count, 17, generator=generator) < 0.8).float(),
        to_image=torch.eye(2, 3).repeat(count, 1, 1),
        index=torch.arange(count),
    )
