from dataclasses import replace

import torch
from small_codecs import make_codec
from torch import nn

from semipose.algorithms import ALGORITHMS, Algorithm
from semipose.algorithms.recipe import LossWeights, Recipe
from semipose.codecs import Codec
from semipose.pseudo_labels import PseudoLabeler
from semipose.skeletons import COCO
from semipose.structures import PairBatch, PoseBatch
from semipose.views.affine_draws import AffinePolicy
from semipose.views.joint_cutout import CutoutPolicy
from semipose.views.occlusion import OcclusionPolicies
from semipose.views.sampler import ViewPolicies, ViewSampler

SIZE = (24, 32)
CUTOUT = (("joint_cutout",),)
PLAIN = LossWeights()
POOL = 20  # unlabelled images


class TinyNetwork(nn.Module):
    """The smallest network with BatchNorm that has the interface of a pose network."""

    feature_channels = 8

    def __init__(self, codec: Codec):
        super().__init__()
        self.codec = codec
        self.layers = nn.Sequential(nn.Conv2d(3, 8, 3, 4, 1), nn.BatchNorm2d(8), nn.ReLU())
        self.head = self.new_head()
        self.register_buffer("mean", torch.full((1, 3, 1, 1), 0.5))

    @property
    def early_stages(self) -> tuple[nn.Module, ...]:
        return (self.layers[0], self.layers[2])

    def features(self, images):
        return self.layers(images)

    def forward(self, images):
        return self.head(self.features(images))

    def new_head(self) -> nn.Module:
        head = self.codec.make_head(self.feature_channels)
        for parameter in head.parameters():  # a head starts from "nowhere", which teaches nothing
            parameter.data += 0.1 * torch.randn(parameter.shape)
        return head


def make_networks(count: int, seed: int = 0, codec: str = "gaussian") -> list[nn.Module]:
    torch.manual_seed(seed)
    return [TinyNetwork(make_codec(SIZE, (6, 8), 1.0, codec)) for _ in range(count)]


def make_recipe(weights=PLAIN, target="auto", hard_views=CUTOUT, **settings) -> Recipe:
    policies = ViewPolicies(
        AffinePolicy(half_body=0.3), AffinePolicy(rotation=15), AffinePolicy(),
        occlusion=OcclusionPolicies(CutoutPolicy(3)), hard_views=hard_views,
    )  # fmt: skip
    views = ViewSampler(policies, COCO, SIZE, torch.full((3,), 0.5), seed=0)
    return Recipe(views, PseudoLabeler(target), weights, **{"unlabeled_size": POOL} | settings)


def make_algorithm(name: str, seed: int = 0, codec: str = "gaussian", **settings) -> Algorithm:
    """An algorithm of the table; EMAs teach where the table leaves the choice."""
    entry = ALGORITHMS[name]
    fixed = {} if entry.use_ema is None else {"use_ema": entry.use_ema}
    recipe = make_recipe(**{"phases": entry.phases} | settings | fixed)
    return entry.make(make_networks(entry.students, seed, codec), recipe).train()


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


def check_hidden_labels(algorithm: Algorithm, batch: PairBatch) -> None:
    """The loss must not change with the coordinates and weights of the unlabelled side."""
    other = replace(batch.unlabeled, keypoints=batch.unlabeled.keypoints + 5, weights=batch.unlabeled.weights * 0)
    for phase in algorithm.phases:
        losses = []
        for unlabeled in (batch.unlabeled, other):
            state = {key: value.clone() for key, value in algorithm.state_dict().items()}
            losses.append(algorithm(replace(batch, unlabeled=unlabeled), 0, phase).loss)
            algorithm.load_state_dict(state)
        assert losses[0] == losses[1]
