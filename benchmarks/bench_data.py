"""What the benchmarks run on: drawn pictures, data sets of them, and algorithms with new networks."""

from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch

from semipose.algorithms import ALGORITHMS, Algorithm
from semipose.algorithms.recipe import Recipe
from semipose.codecs import Codec, CodecSettings, find_codec
from semipose.data.context_crops import ContextCrops
from semipose.data.crop_cache import make_crop_source
from semipose.data.person_dataset import PersonDataset
from semipose.models.pose_network import NetworkPlan, build_pose_network
from semipose.pseudo_labels import PseudoLabeler
from semipose.skeletons import COCO
from semipose.structures import PairBatch, Persons
from semipose.views.sampler import ViewPolicies, ViewSampler

ROOT = Path(__file__).resolve().parent.parent
SIGMA = 2.0


@dataclass(frozen=True)
class Scale:
    """How large the benchmarks are.

    Attributes:
        backbone: of the networks whose steps are timed.
        size: (width, height) of a network input.
        batch: labelled images in a step, and as many unlabelled ones.
        images: pictures that are drawn.
        loader_batch: images in a batch of the loaders.
        repeats: turns of what takes seconds.
        turns: turns of what takes milliseconds.
        turn_seconds: shortest time of such a turn.
        persons: in the OKS evaluation.
        marks: training steps at which memory is read.
        demo: labelled, unlabelled and validation pictures of the demo that is started.
        starts: how often it is started.
        epoch_pictures: labelled, unlabelled and validation pictures of the epochs whose parts are timed.
        epoch_steps: their steps.
        epoch_runs: of how many runs.
    """

    backbone: str = "resnet18"
    size: tuple[int, int] = (192, 256)
    batch: int = 8
    images: int = 256
    loader_batch: int = 32
    repeats: int = 7
    turns: int = 15
    turn_seconds: float = 0.1
    persons: int = 2000
    marks: tuple[int, ...] = (100, 400, 700, 1000)
    demo: tuple[int, int, int] = (40, 1500, 500)
    starts: int = 3
    epoch_pictures: tuple[int, int, int] = (40, 400, 100)
    epoch_steps: int = 25
    epoch_runs: int = 2

    def __str__(self) -> str:
        return f"{self.backbone}, {self.size[1]}x{self.size[0]}, batch {self.batch}+{self.batch}"


QUICK = Scale("light_unet", (64, 96), 2, 32, 8, 2, 2, 0.0, 60, (4, 8), (6, 12, 8), 1, (8, 16, 8), 2, 1)


def write_images(folder: Path, count: int) -> Persons:
    """JPEG pictures of 640x480 with one person box each."""
    rng = np.random.default_rng(0)
    for i in range(count):
        coarse = rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / f"{i}.jpg"), cv2.resize(coarse, (640, 480), interpolation=cv2.INTER_CUBIC))
    boxes = np.tile(np.array([[200, 60, 180, 360]], dtype=np.float32), (count, 1))
    keypoints = np.concatenate([rng.uniform((200, 60), (380, 420), (count, 17, 2)), np.ones((count, 17, 1))], -1)
    return Persons(
        image_paths=np.array([str(folder / f"{i}.jpg") for i in range(count)]), image_ids=np.arange(count),
        image_index=np.arange(count, dtype=np.int32), ids=np.arange(count), boxes=boxes,
        keypoints=keypoints.astype(np.float32), areas=np.full(count, 1e4, np.float32),
        scores=np.ones(count, np.float32),
    )  # fmt: skip


def make_dataset(persons: Persons, size: tuple[int, int], cache: str, folder: Path) -> PersonDataset:
    crops = ContextCrops(persons, size, margin=1.25, padding=1.25)
    return PersonDataset(make_crop_source(crops, cache, folder), [1.0] * len(COCO), "replace")


def gaussian_codec(scale: Scale) -> Codec:
    """Heatmaps at a quarter of the size."""
    return find_codec("gaussian")(CodecSettings(scale.size, len(COCO), sigma=SIGMA))


def first_batch(persons: Persons, size: tuple[int, int], count: int) -> PairBatch:
    dataset = make_dataset(persons, size, "none", Path("."))
    rows = list(range(count))
    return PairBatch(dataset.__getitems__(rows), dataset.__getitems__(rows).without_labels())


def make_algorithm(name: str, backbone: str, size: tuple[int, int], channels_last: bool, **recipe) -> Algorithm:
    """In training mode; `recipe`: fields of `Recipe` that differ from the defaults."""
    entry = ALGORITHMS[name]
    torch.manual_seed(0)
    plan = NetworkPlan(backbone, len(COCO), size)
    students = [build_pose_network(plan, channels_last=channels_last) for _ in range(entry.students)]
    views = ViewSampler(ViewPolicies(), COCO, size, students[0].mean.flatten(), 0)
    use_ema = True if entry.use_ema is None else entry.use_ema
    common = Recipe(views, PseudoLabeler(), phases=entry.phases, use_ema=use_ema, unlabeled_size=Scale.images)
    return entry.make(students, replace(common, **recipe)).train()
